import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { Informer } from '../../agent/kube/informer.ts'
import type { InformerOptions } from '../../agent/kube/informer.ts'
import { TYPES } from '../../agent/kube/object.ts'
import type { Clock } from '../../agent/kube/clock.ts'
import { fastClock, until } from './clock.ts'
import { Collection, line } from './collection.ts'
import type { Asked, Reply } from './server.ts'
import { ScriptedServer } from './server.ts'

const SPEED = 40
/** After so much silence a watch is given up. */
const SILENCE_MS = 90_000
/** After so much silence a first state is asked for as a list. */
const FIRST_SILENCE_MS = 10_000
const PATIENCE = 8

type Fault = (reply: Reply, asked: Asked) => void | Promise<void>

interface Setup {
  readonly collection: Collection
  readonly server: ScriptedServer
  readonly informer: Informer
  readonly errors: unknown[]
  /** What it slept, in milliseconds of its clock. */
  readonly waits: number[]
  /** Waits until the informer holds what the server has. */
  readonly converged: () => Promise<void>
  /** Faults for the next requests, in order; `undefined` lets one pass. */
  readonly faults: (Fault | undefined)[]
  readonly lists: () => number
  readonly watches: () => number
}

async function setUp(
  t: TestContext,
  faults: (Fault | undefined)[],
  options: InformerOptions = {},
  speed = SPEED,
): Promise<Setup> {
  const collection = new Collection()
  collection.put('a', '1')
  collection.put('b', '1')
  const pending = [...faults]
  const server = await ScriptedServer.start(async (asked, reply) => {
    const fault = pending.shift()
    if (fault === undefined) collection.serve(asked, reply)
    else await fault(reply, asked)
  })
  const client = new KubeClient(server.access)
  const errors: unknown[] = []
  const waits: number[] = []
  const fast = fastClock(speed)
  const clock: Clock = {
    ...fast,
    after(milliseconds, ring) {
      // At this speed a first state would have to be there in a quarter of a second: a machine that does other things takes longer.
      if (milliseconds === FIRST_SILENCE_MS) return fast.after(PATIENCE * milliseconds, ring)
      if (milliseconds < SILENCE_MS / 2) waits.push(milliseconds)
      return fast.after(milliseconds, ring)
    },
  }
  const informer = new Informer(client, TYPES.ConfigMap, { clock, onError: (error) => errors.push(error), ...options })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await client.close()
    server.close()
  })
  informer.start(stop.signal)
  const held = (): string => informer.list().map(line).sort().join()
  return {
    collection,
    server,
    informer,
    errors,
    waits,
    faults: pending,
    converged: () => until(() => informer.isSynced && held() === collection.state.join(), 'convergence'),
    lists: () => server.asked.filter(({ query }) => query.get('watch') === null).length,
    watches: () => server.asked.filter(({ query }) => query.get('watch') === 'true').length,
  }
}

/** Changes of every sort, and then the informer must hold them: its watch lives. */
async function follows({ collection, converged }: Setup): Promise<void> {
  collection.put('c', '1')
  collection.put('a', '2')
  collection.delete('b')
  await converged()
}

test('a first state is streamed, and changes follow, by one request', async (t) => {
  const setup = await setUp(t, [])
  await setup.informer.synced()
  await setup.converged()
  await follows(setup)
  assert.equal(setup.server.asked.length, 1)
  assert.equal(setup.server.asked[0]?.query.get('allowWatchBookmarks'), 'true')
  assert.equal(setup.informer.get('n', 'a')?.kind, 'ConfigMap')
  assert.equal(setup.informer.get('n', 'a')?.metadata['managedFields'], undefined)
  assert.deepEqual(setup.errors, [])
})

test('a server that refuses to stream a first state is asked for pages, and never to stream again', async (t) => {
  const setup = await setUp(t, [(reply) => reply.refuse(422, 'Invalid')])
  setup.collection.pageSize = 1
  await setup.converged()
  assert.equal(setup.lists(), 2)
  assert.equal(setup.informer.get('n', 'a')?.apiVersion, 'v1')
  await follows(setup)
  setup.collection.compact()
  setup.collection.put('d', '1')
  setup.collection.compact()
  setup.collection.hangUp((reply) => reply.reset())
  await setup.converged()
  await follows(setup)
  assert.equal(setup.server.asked.filter(({ query }) => query.get('sendInitialEvents') === 'true').length, 1)
})

test('an ERROR before the bookmark leads to a paged list, and half a state is never shown', async (t) => {
  const setup = await setUp(t, [
    (reply) => {
      reply.stream()
      reply.event('ADDED', { metadata: { name: 'ghost', namespace: 'n', resourceVersion: '1' } })
      reply.event('ERROR', { kind: 'Status', code: 500, message: 'RequestWatchProgress is disabled' })
      reply.end()
    },
  ])
  const ghosts: string[] = []
  setup.informer.onChange((_old, next) => ghosts.push(next?.metadata.name ?? ''))
  await setup.converged()
  await follows(setup)
  assert.ok(!ghosts.includes('ghost'))
  assert.equal(setup.lists(), 1)
  assert.equal(setup.watches(), 2)
})

test('410 at connect and 410 in the stream cost one new state each, at once', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  setup.collection.put('c', '1')
  await setup.converged()
  setup.faults.push((reply) => reply.refuse(410, 'Expired'))
  setup.collection.hangUp((reply) => reply.end())
  await until(() => setup.collection.watchers === 1, 'the watch after 410 at connect')
  await follows(setup)
  assert.equal(setup.server.asked.length, 3)
  setup.collection.hangUp((reply) => {
    reply.event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })
    reply.end()
  })
  await until(() => setup.collection.watchers === 1, 'the watch after 410 in the stream')
  setup.collection.put('d', '1')
  await setup.converged()
  assert.equal(setup.server.asked.length, 4)
  assert.deepEqual(setup.waits, [])
})

test('half a line and then a reset costs a watch from where it was, and no list', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  setup.collection.hangUp((reply) => {
    reply.raw('{"type":"MODIFIED","object":{"metadata":{"name":"a"')
    setTimeout(() => reply.reset(), 20)
  })
  setup.collection.put('a', '7')
  await setup.converged()
  await follows(setup)
  assert.equal(setup.server.asked.length, 2)
  assert.notEqual(setup.server.asked[1]?.query.get('resourceVersion'), null)
  assert.equal(setup.errors.length, 1)
})

test('half a line and then a clean end is a broken stream too', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  setup.collection.hangUp((reply) => {
    reply.raw('{"type":"DELETED","object":{"metadata":{"name":"a"')
    reply.end()
  })
  await follows(setup)
  assert.equal(setup.errors.length, 1)
  assert.equal(setup.server.asked.length, 2)
})

test('a watch that says nothing for longer than bookmarks take is opened again', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  setup.collection.hangUp(() => undefined)
  setup.collection.put('z', '1')
  await setup.converged()
  assert.equal(setup.server.asked.length, 2)
  await follows(setup)
})

test('a first state that is not told within seconds is asked for as a list', async (t) => {
  const setup = await setUp(t, [(reply) => reply.stream()])
  await setup.converged()
  assert.equal(setup.lists(), 1)
  assert.match((setup.informer.lastError as Error).message, /silent for 10000 ms/)
  await follows(setup)
})

test('bookmarks keep a quiet watch open, and move the version from which it goes on', async (t) => {
  const quiet: Reply[] = []
  // Slow enough for a process that stands still between two bookmarks.
  const speed = 15
  const setup = await setUp(
    t,
    [
      (reply) => {
        setup.collection.stream(reply)
        quiet.push(reply)
      },
    ],
    {},
    speed,
  )
  await setup.converged()
  const beats = setInterval(() => quiet[0]?.event('BOOKMARK', { metadata: { resourceVersion: '777' } }), 20_000 / speed)
  await new Promise((resolve) => setTimeout(resolve, (1.5 * SILENCE_MS) / speed))
  clearInterval(beats)
  assert.equal(setup.server.asked.length, 1)
  setup.collection.hangUp((reply) => reply.end())
  await until(() => setup.server.asked.length === 2, 'the next watch')
  assert.equal(setup.server.asked[1]?.query.get('resourceVersion'), '777')
})

test('429 with Retry-After is waited for', async (t) => {
  const at: number[] = []
  const refuse: Fault = (reply) => {
    at.push(performance.now())
    reply.refuse(429, 'TooManyRequests', { 'retry-after': '20' })
  }
  const setup = await setUp(t, [
    refuse,
    (reply, asked) => {
      at.push(performance.now())
      setup.collection.serve(asked, reply)
    },
  ])
  await setup.converged()
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 20_000 / SPEED - 5, `came back after ${(at[1] ?? 0) - (at[0] ?? 0)} ms`)
  await follows(setup)
})

test('what is told twice changes nothing, and a new list takes away what was deleted unseen', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  const changes: string[] = []
  setup.informer.onChange((old, next) =>
    changes.push(`${old === undefined ? '' : line(old)}>${next === undefined ? '' : line(next)}`),
  )
  changes.length = 0
  const again = setup.informer.get('n', 'a')
  setup.collection.hangUp((reply) => {
    reply.event('ADDED', again)
    reply.event('ADDED', again)
    reply.end()
  })
  setup.collection.delete('b')
  setup.collection.put('c', '1')
  setup.collection.compact()
  await setup.converged()
  assert.deepEqual(changes, ['b=1>', '>c=1'])
})

test('while the server refuses everything requests come slower and slower, and then it recovers', async (t) => {
  const setup = await setUp(
    t,
    Array.from({ length: 6 }, () => (reply: Reply) => reply.refuse(403, 'Forbidden')),
  )
  await setup.converged()
  assert.equal(setup.errors.length, 6)
  assert.equal(setup.waits.length, 6)
  for (const [index, wait] of setup.waits.entries())
    assert.ok(wait >= 80 * 2 ** index && wait <= 800 * 2 ** index, `${wait}`)
  assert.match((setup.informer.lastError as Error).message, /Forbidden/)
  await follows(setup)
})

test('a watch that the server ends at once, again and again, is not asked for in a loop', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  const end: Fault = (reply) => {
    reply.stream()
    reply.end()
  }
  setup.faults.push(...Array.from({ length: 500 }, () => end))
  setup.collection.hangUp((reply) => reply.end())
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const made = setup.server.asked.length
  assert.ok(made < 15, `${made} requests in ${SPEED} seconds`)
  setup.faults.length = 0
  await follows(setup)
})

test('a version that the server refuses three times is given up for a new list', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  const tooLarge: Fault = (reply) => reply.refuse(504, 'Timeout')
  setup.faults.push(tooLarge, tooLarge, tooLarge)
  setup.collection.hangUp((reply) => reply.end())
  await until(() => setup.collection.watchers === 1, 'a watch')
  await follows(setup)
  assert.equal(setup.server.asked.at(-1)?.query.get('sendInitialEvents'), 'true')
})

test('what a handler throws is reported, and the others are told all the same', async (t) => {
  const setup = await setUp(t, [])
  await setup.converged()
  let told = 0
  setup.informer.onChange(() => {
    throw new Error('handler')
  })
  setup.informer.onChange(() => (told += 1))
  await follows(setup)
  assert.equal(told, 5)
  assert.equal(setup.errors.length, 5)
})

test('several namespaces are watched one by one, and it is synced when all of them are', async (t) => {
  const gate = Promise.withResolvers<void>()
  const setup = await setUp(
    t,
    [
      (reply) => {
        reply.stream()
        reply.event('BOOKMARK', setup.collection.bookmark({ 'k8s.io/initial-events-end': 'true' }))
      },
      async (reply) => {
        await gate.promise
        setup.collection.stream(reply)
      },
    ],
    { namespaces: ['one', 'n', 'one'] },
  )
  await until(() => setup.server.asked.length === 2, 'two watches')
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(setup.informer.isSynced, false)
  gate.resolve()
  await setup.informer.synced()
  assert.deepEqual(setup.server.asked.map(({ path }) => path).sort(), [
    '/api/v1/namespaces/n/configmaps',
    '/api/v1/namespaces/one/configmaps',
  ])
})

test('metadata-only asks for partial objects and gives them their type', async (t) => {
  const setup = await setUp(t, [(reply) => reply.refuse(422, 'Invalid')], { metadataOnly: true })
  await until(() => setup.server.asked.length === 3, 'the watch')
  const accepts = setup.server.asked.map(({ headers }) => headers.accept)
  assert.deepEqual(accepts, [
    'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  ])
  assert.equal(setup.informer.get('n', 'a')?.kind, 'ConfigMap')
})
