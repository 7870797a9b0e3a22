// The Durable Object store in real workerd with its state on disk, and its client alone against scripted objects.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DurableStore } from '../../edge/store/durable.ts'
import type { StoreRpc } from '../../edge/store/durable.ts'
import { contract } from './contract.ts'
import { unavailable } from './outage.ts'
import { bundle, call, remote, serve } from './workerd.ts'
import type { Bundle } from './workerd.ts'

interface Rows {
  readonly entries: readonly { key: string; size: number; bytes: number }[]
  readonly parts: readonly { key: string; part: number; bytes: number }[]
  readonly counters: readonly { key: string; count: number }[]
  readonly alarm: number | null
}

contract('Durable Object', async () => {
  const built = await bundle()
  const workerd = await serve(built)
  return {
    store: remote(`${workerd.url}/durable`),
    async close() {
      await workerd.close()
      await built.remove()
    },
  }
})

describe('Durable Object: its own promises', () => {
  let built: Bundle
  let workerd: Awaited<ReturnType<typeof serve>>
  const rows = async (): Promise<Rows> => (await call(`${workerd.url}/probe`, 'rows', [])) as Rows
  before(async () => {
    built = await bundle()
    workerd = await serve(built)
  })
  after(async () => {
    await workerd?.close()
    await built?.remove()
  })

  test('no row is larger than 1.5 MB, and parts go when their value does', async () => {
    const store = remote(`${workerd.url}/durable`)
    await store.set('large', '漢'.repeat(8 * 1024 * 1024))
    await store.set('edge', 'x'.repeat(1_400_000))
    await store.set('over', 'x'.repeat(1_400_001))
    const { entries, parts } = await rows()
    for (const row of [...entries, ...parts]) assert.ok(row.bytes + row.key.length <= 1_500_000, JSON.stringify(row))
    assert.deepEqual(
      ['large', 'edge', 'over'].map((key) => parts.filter((part) => part.key === key).length),
      [17, 0, 1],
    )
    await store.set('large', 'small now')
    await store.del('over')
    assert.deepEqual((await rows()).parts, [])
  })

  test('an alarm is set while anything can expire, and frees what has', async () => {
    const store = remote(`${workerd.url}/durable`)
    const start = Date.now()
    await store.set('stays', 'x')
    assert.equal((await rows()).alarm, null)
    await store.set('goes', 'x'.repeat(2_000_000), { ttlSeconds: 0.05 })
    await store.set('later', 'x', { ttlSeconds: 3600 })
    await store.incr('goes too', 1, 0.05)
    const { alarm } = await rows()
    assert.ok(alarm !== null && alarm >= start + 50 && alarm <= Date.now() + 61_000, `alarm at ${alarm}`)
    await new Promise((resolve) => setTimeout(resolve, 80))
    assert.equal(await store.get('goes'), null)
    await call(`${workerd.url}/probe`, 'ring', [])
    const left = await rows()
    const keys = left.entries.map(({ key }) => key)
    assert.ok(!keys.includes('goes') && keys.includes('stays') && keys.includes('later'))
    assert.deepEqual([left.parts, left.counters], [[], []])
    assert.ok(left.alarm !== null && left.alarm > Date.now() + 3_500_000)
  })

  test('a killed workerd finds every acknowledged write again, and its versions stay new', async () => {
    let store = remote(`${workerd.url}/durable`)
    const value = 'survivor '.repeat(400_000)
    const version = await store.set('kept', value)
    const brief = await store.set('brief', 'x', { ttlSeconds: 3600 })
    await store.incr('count', 41, 3600)
    await workerd.close()
    await assert.rejects(store.get('kept'))
    workerd = await serve(built)
    store = remote(`${workerd.url}/durable`)
    const entry = await store.get('kept')
    assert.equal(entry?.version, version)
    assert.ok(entry.value === value, 'value differs')
    assert.deepEqual(await store.peek(['brief']), [brief])
    assert.equal(await store.incr('count', 1, 3600), 42)
    const versions = [version, brief, await store.set('kept', 'x'), await store.set('brief', 'x')]
    assert.equal(new Set(versions).size, 4)
  })
})

describe('Durable Object: the client', () => {
  const object = (script: Partial<StoreRpc>): { getByName(): unknown } => ({ getByName: () => script })

  test('an object that does not answer is a fault within 4 s, for every operation', async () => {
    const never = (): Promise<never> => new Promise(() => {})
    const store = new DurableStore(object({ read: never, peek: never, write: never, add: never, remove: never }))
    await Promise.all([
      unavailable(() => store.get('k')),
      unavailable(() => store.mget(['k'])),
      unavailable(() => store.peek(['k'])),
      unavailable(() => store.set('k', 'v')),
      unavailable(() => store.cas('k', null, 'v')),
      unavailable(() => store.incr('k', 1, 1)),
      unavailable(() => store.del('k')),
    ])
  })

  test('a failure is a fault, and the next call takes a new stub', async () => {
    let stubs = 0
    const broken: Partial<StoreRpc> = {
      peek: async () => {
        throw new Error('Durable Object storage is broken')
      },
    }
    const healthy: Partial<StoreRpc> = { peek: async () => ['1'] }
    const store = new DurableStore({ getByName: () => (stubs++ === 0 ? broken : healthy) })
    await unavailable(() => store.peek(['k']))
    assert.deepEqual(await store.peek(['k']), ['1'])
  })

  test('a read that an update of the Worker interrupts is asked again once, a write is not', async () => {
    let calls = 0
    const interrupted = async (): Promise<never> => {
      calls += 1
      throw Object.assign(new Error('reset because its code was updated'), { retryable: true })
    }
    const store = new DurableStore(object({ peek: interrupted, write: interrupted }))
    await unavailable(() => store.peek(['k']))
    assert.equal(calls, 2)
    await unavailable(() => store.set('k', 'v'))
    assert.equal(calls, 3)
  })

  test('an object that answers no value it was asked for does not make the client ask for ever', async () => {
    const store = new DurableStore(object({ read: async (keys) => keys.map(() => ({ version: '1', bytes: null })) }))
    await unavailable(() => store.get('k'))
  })
})
