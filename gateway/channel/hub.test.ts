import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Credentials } from '../auth/credentials.ts'
import type { Unasked } from '../backend/upstream.ts'
import type { Endpoint, Target } from '../endpoint.ts'
import { anonymous, type Principal } from '../principal.ts'
import { MemoryStore } from '../store/memory.ts'
import type { StreamRequest } from './channel.ts'
import { Hub } from './hub.ts'

async function* silent(signal: AbortSignal): Unasked {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  yield* []
}

/** A hub over one legacy server, whose guard and store do what the test says. */
function scripted() {
  const revoked = new Set<string>()
  const entered: string[] = []
  const listening = new Set<string>()
  const store = new MemoryStore(Date.now)
  let groups: readonly string[] = ['all']
  const enter = async ({ authorization }: Credentials): Promise<Principal> => {
    const [, subject = ''] = (authorization ?? '').split(' ')
    if (subject.startsWith('slow') && entered.includes(subject)) await new Promise(() => undefined)
    entered.push(subject)
    return { ...anonymous, id: subject, subject, groups, claims: {} }
  }
  const listen = async (
    _uris: readonly string[],
    { name }: { name: string },
    signal: AbortSignal,
  ): Promise<Unasked> => {
    listening.add(name)
    signal.addEventListener('abort', () => listening.delete(name), { once: true })
    return silent(signal)
  }
  const target = { key: 'one', via: undefined, backend: { listen } } as unknown as Target
  const make = () =>
    ({
      key: 'here',
      guard: { enter },
      catalog: { servers: new Map([['server', { era: 'legacy' }]]) },
      projection: {
        digest: () => 'same',
        servers: (principal: Principal) => new Set(principal.groups.includes('all') ? ['server'] : []),
      },
      sole: undefined,
      target: () => target,
      targets: () => [target],
    }) as unknown as Endpoint
  let endpoint = make()
  const hub = new Hub({
    store,
    sealer: undefined as never,
    now: Date.now,
    revoked: ({ subject }) => revoked.has(subject),
    endpoint: async () => endpoint,
    changed: () => undefined,
  })
  const open = (id: string, token = `a.${id}.c`): StreamRequest => ({
    endpoint: 'here',
    credentials: { authorization: `Bearer ${token}` },
    session: { id, revision: '2025-11-25', capabilities: {}, lastEvent: undefined },
  })
  return {
    hub,
    store,
    revoked,
    listening,
    open,
    reconfigure: () => (endpoint = make()),
    regroup: (now: readonly string[]) => (groups = now),
  }
}

const ended = async (stream: ReadableStream<Uint8Array>, ms: number): Promise<boolean> => {
  const reader = stream.getReader()
  const read = async () => {
    while (!(await reader.read()).done);
    return true
  }
  return Promise.race([read(), sleep(ms, false)])
}

test('an issuer that does not answer for one caller leaves nobody else with rights that were withdrawn', async () => {
  const { hub, revoked, open, reconfigure } = scripted()
  for (let at = 0; at < 5; at += 1) await hub.open(open(`slow${at}`, `slow${at}`))
  const stream = await hub.open(open('mallory', 'mallory'))
  reconfigure()
  await sleep(2_500)
  revoked.add('mallory')
  assert.equal(await ended(stream, 3_000), true)
  revoked.add('slow0')
  for (let at = 0; at < 5; at += 1) await hub.end(`slow${at}`)
})

test('a session that ends while its stream opens leaves nothing open at its servers', async () => {
  const { hub, store, listening, open } = scripted()
  const held = Promise.withResolvers<void>()
  store.get = async () => {
    await held.promise
    return null
  }
  const opening = hub.open(open('brief'))
  await sleep(20)
  await hub.end('brief')
  held.resolve()
  assert.equal(await ended(await opening, 1_000), true)
  await sleep(50)
  assert.deepEqual([...listening], [])
  await assert.rejects(hub.open(open('brief')), /does not exist/)
  await assert.rejects(hub.subscribe('brief', 'a', true), /does not exist/)
})

test('a caller whose issuer takes away its rights hears no more of the server', async () => {
  const { hub, listening, open, regroup } = scripted()
  await hub.open(open('demoted'))
  await sleep(50)
  assert.equal(listening.size, 1)
  regroup([])
  await sleep(2_500)
  assert.equal(listening.size, 0)
  await hub.end('demoted')
})

test('subscriptions that are made at once are all kept, and are bounded', async () => {
  const { hub, store } = scripted()
  await Promise.all(['a', 'b', 'c'].map((uri) => hub.subscribe('many', uri, true)))
  assert.equal((await store.get('subscriptions/many'))?.value, '["a","b","c"]')
  await hub.subscribe('many', 'b', false)
  await assert.rejects(hub.subscribe('many', `x:${'y'.repeat(40_000)}`, true), /characters/)
  assert.equal((await store.get('subscriptions/many'))?.value, '["a","c"]')
})
