// The Upstash store, in Node, against the contract and against a store that is down, hangs or talks nonsense.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createClient } from '@redis/client'
import { UpstashStore } from '../../edge/store/upstash.ts'
import { startRedis } from '../redis.ts'
import { startUpstash } from '../upstash.ts'
import { contract } from './contract.ts'
import { unavailable } from './outage.ts'
import { startStuck } from './stuck.ts'

contract('Upstash', async () => {
  const redis = await startRedis()
  const upstash = await startUpstash(redis.port)
  return {
    store: new UpstashStore(upstash),
    async close() {
      await upstash.close()
      await redis.close()
    },
  }
})

describe('Upstash: its own promises', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let upstash: Awaited<ReturnType<typeof startUpstash>>
  const dial = () => createClient({ socket: { host: '127.0.0.1', port: redis.port } })
  const admin = async <T>(work: (client: ReturnType<typeof dial>) => Promise<T>): Promise<T> => {
    const client = dial()
    await client.connect()
    return work(client).finally(() => client.destroy())
  }
  before(async () => {
    redis = await startRedis()
    upstash = await startUpstash(redis.port)
  })
  after(async () => {
    await upstash?.close()
    await redis?.close()
  })

  test('every operation on small values is one request', async () => {
    const store = new UpstashStore(upstash)
    const cost = async (call: () => Promise<unknown>): Promise<number> => {
      const start = upstash.requests()
      await call()
      return upstash.requests() - start
    }
    const version = await store.set('cost', 'x')
    assert.deepEqual(
      [
        await cost(() => store.get('cost')),
        await cost(() => store.mget(['cost', 'b', 'c'])),
        await cost(() => store.peek(Array.from({ length: 1000 }, (_, nth) => `cost/${nth}`))),
        await cost(() => store.set('cost', 'y', { ttlSeconds: 5 })),
        await cost(() => store.cas('cost', version, 'z')),
        await cost(() => store.incr('cost', 1, 5)),
        await cost(() => store.del('cost')),
      ],
      [1, 1, 1, 1, 1, 1, 1],
    )
  })

  test('prefixes keep stores in one database apart, and no key lacks its prefix', async () => {
    const [a, b] = [new UpstashStore({ ...upstash, prefix: 'a:' }), new UpstashStore({ ...upstash, prefix: 'b:' })]
    await admin((client) => client.flushAll())
    await a.set('k', 'of a')
    await b.set('k', 'b'.repeat(2_000_000))
    await a.incr('k', 1, 60)
    assert.equal(await b.incr('k', 5, 60), 5)
    assert.equal((await a.get('k'))?.value, 'of a')
    const names = await admin((client) => client.keys('*'))
    assert.ok(names.length > 6)
    for (const name of names) assert.match(name, /^[ab]:(version|record|count|chunk):/)
  })

  test('chunks are complete before they are named, and leave no rubbish behind', async () => {
    const store = new UpstashStore({ ...upstash, prefix: 'rubbish:' })
    const lives = (): Promise<number[]> =>
      admin(async (client) => Promise.all((await client.keys('rubbish:chunk:*')).map((name) => client.pTTL(name))))
    await store.set('k', 'x'.repeat(2_000_000))
    assert.deepEqual(await lives(), [-1, -1, -1])
    assert.equal(await store.set('k', 'y'.repeat(2_000_000), { absent: true }), null)
    await store.set('k', 'small')
    const old = await lives()
    assert.equal(old.length, 6)
    for (const life of old) assert.ok(life > 50_000 && life <= 60_000, `chunk lives ${life} ms`)
    await store.set('brief', 'z'.repeat(800_000), { ttlSeconds: 5 })
    assert.ok(Math.max(...(await lives())) <= 65_000)
    await store.del('brief')
    assert.ok(Math.max(...(await lives())) <= 60_000)
  })

  test('a chunk that was evicted is a fault that says so, not half a value', async () => {
    const store = new UpstashStore({ ...upstash, prefix: 'evicted:' })
    await store.set('k', 'x'.repeat(2_000_000))
    await admin(async (client) => client.del((await client.keys('evicted:chunk:*'))[0] ?? ''))
    await unavailable(() => store.get('k'))
    await assert.rejects(store.get('k'), { detail: /eviction/ })
    assert.ok(await store.set('k', 'healed'))
    assert.equal((await store.get('k'))?.value, 'healed')
  })

  test('a wrong token is a fault without the token, the key or the value in it', async () => {
    const store = new UpstashStore({ url: upstash.url, token: 'wrong-secret' })
    const secrets = ['wrong-secret', 'private-key', 'private-value']
    await unavailable(() => store.get('private-key'), secrets)
    await unavailable(() => store.set('private-key', 'private-value'), secrets)
    await unavailable(() => store.set('private-key', 'private-value'.repeat(20_000)), secrets)
  })

  test('an error of Redis is a fault without the command in it', async () => {
    const store = new UpstashStore({ ...upstash, prefix: 'wrongtype:' })
    await admin((client) => client.lPush('wrongtype:count:private-key', 'x'))
    await unavailable(() => store.incr('private-key', 1, 60), ['private-key'])
    await admin((client) => client.set('wrongtype:count:text', 'x'))
    await assert.rejects(store.incr('text', 1, 60), { detail: /HTTP 400 ERR value is not an integer/ })
  })

  test('Redis going away is a fault within 4 s, and coming back heals without help', async () => {
    const first = await startRedis()
    const front = await startUpstash(first.port)
    const store = new UpstashStore(front)
    await store.set('k', 'x')
    await first.close()
    await Promise.all([
      unavailable(() => store.get('k')),
      unavailable(() => store.mget(['k'])),
      unavailable(() => store.peek(['k'])),
      unavailable(() => store.set('k', 'y')),
      unavailable(() => store.set('k', 'y'.repeat(5_000_000))),
      unavailable(() => store.cas('k', null, 'y')),
      unavailable(() => store.incr('k', 1, 5)),
      unavailable(() => store.del('k')),
    ])
    const second = await startRedis({ port: first.port })
    const patience = Date.now() + 60_000
    let version: string | null = null
    while (version === null && Date.now() < patience) version = await store.set('k', 'back').catch(() => null)
    assert.deepEqual(await store.get('k'), { value: 'back', version })
    await front.close()
    await unavailable(() => store.get('k'))
    await second.close()
  })

  test('an endpoint that never answers, or stops in the middle of its answer, is a fault within 4 s', async () => {
    const stuck = await Promise.all([startStuck(null), startStuck('{"result":"ha')])
    await Promise.all(
      stuck.flatMap(({ url }) => {
        const store = new UpstashStore({ url, token: 'secret' })
        return [
          unavailable(() => store.get('k'), ['secret']),
          unavailable(() => store.set('k', 'v'.repeat(5_000_000)), ['secret']),
          unavailable(() => store.incr('k', 1, 60), ['secret']),
        ]
      }),
    )
    for (const endpoint of stuck) endpoint.close()
  })

  test('answers that are no answer of Redis are faults', async () => {
    const bodies = ['', 'null', '[]', '<html>secret</html>', '{"error":"ERR secret, command was: secret"}', '{}', 'x']
    for (const body of bodies) {
      const store = new UpstashStore({ url: 'https://redis.test', token: 't', fetch: async () => new Response(body) })
      await unavailable(() => store.get('k'))
      await unavailable(() => store.incr('k', 1, 60))
      await unavailable(() => store.set('k', 'v'))
    }
    const endless = new UpstashStore({
      url: 'https://redis.test',
      token: 't',
      fetch: async () =>
        new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(1024 * 1024).fill(32)) })),
    })
    await assert.rejects(endless.get('k'), { reason: 'store_unavailable', detail: /more than 33554432 bytes/ })
  })
})
