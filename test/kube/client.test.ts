import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { FencedError, KubeError } from '../../agent/kube/error.ts'
import type { Fence } from '../../agent/kube/fence.ts'
import { TYPES } from '../../agent/kube/object.ts'
import type { ClientOptions } from '../../agent/kube/requester.ts'
import { fastClock, until } from './clock.ts'
import type { Asked, Reply, Script } from './server.ts'
import { ScriptedServer } from './server.ts'

const map = { type: TYPES.ConfigMap, namespace: 'n', name: 'a' }
const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'n', name: 'a' }, data: { k: 'v' } }
const ok = (reply: Reply): void =>
  reply.json(200, { ...object, metadata: { ...object.metadata, resourceVersion: '1' } })

async function setUp(
  t: TestContext,
  script: Script,
  options: ClientOptions = {},
): Promise<{ client: KubeClient; server: ScriptedServer }> {
  const server = await ScriptedServer.start(script)
  const client = new KubeClient(server.access, { clock: fastClock(5), ...options })
  t.after(async () => {
    await client.close()
    server.close()
  })
  return { client, server }
}

/** Fails in turn as told, then serves. */
function failing(...faults: ((reply: Reply) => void)[]): Script {
  const pending = [...faults]
  return (_asked, reply) => (pending.shift() ?? ok)(reply)
}

const failure = async (work: Promise<unknown>): Promise<KubeError> => {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error))
    return error
  }
  throw new assert.AssertionError({ message: 'it did not fail' })
}

test('429, 503 and a broken connection are tried again when a second time does no harm', async (t) => {
  const { client, server } = await setUp(
    t,
    failing(
      (reply) => reply.refuse(429, 'TooManyRequests'),
      (reply) => reply.refuse(503, 'ServiceUnavailable'),
      (reply) => reply.reset(),
    ),
  )
  assert.equal((await client.apply(object, TYPES.ConfigMap, { manager: 'm' })).metadata.resourceVersion, '1')
  assert.equal(server.asked.length, 4)
})

test('after four attempts the last failure is told', async (t) => {
  const { client, server } = await setUp(t, (_asked, reply) => reply.refuse(503, 'ServiceUnavailable'))
  assert.equal((await failure(client.get(map))).status, 503)
  assert.equal(server.asked.length, 4)
})

test('nothing else is tried again', async (t) => {
  for (const status of [400, 401, 403, 404, 409, 410, 422, 500, 504]) {
    const { client, server } = await setUp(t, (_asked, reply) => reply.refuse(status, 'Reason'))
    assert.equal((await failure(client.get(map))).status, status)
    assert.equal(server.asked.length, 1, `${status}`)
  }
})

test('a POST is tried again after 429 only: the others may have been done', async (t) => {
  const again = await setUp(
    t,
    failing((reply) => reply.refuse(429, 'TooManyRequests')),
  )
  await again.client.create(object, TYPES.ConfigMap)
  assert.equal(again.server.asked.length, 2)
  for (const fault of [(reply: Reply) => reply.refuse(503, 'ServiceUnavailable'), (reply: Reply) => reply.reset()]) {
    const { client, server } = await setUp(t, failing(fault))
    await failure(client.create(object, TYPES.ConfigMap))
    assert.equal(server.asked.length, 1)
  }
})

test('Retry-After is waited for, and when it is long the caller is told instead', async (t) => {
  const at: number[] = []
  const short = await setUp(t, (_asked, reply) => {
    at.push(performance.now())
    if (at.length === 1) reply.refuse(429, 'TooManyRequests', { 'retry-after': '4' })
    else ok(reply)
  })
  await short.client.get(map)
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 795)
  const long = await setUp(t, (_asked, reply) => reply.refuse(429, 'TooManyRequests', { 'retry-after': '60' }))
  assert.equal((await failure(long.client.get(map))).retryAfterMs, 60_000)
  assert.equal(long.server.asked.length, 1)
})

test('a request that is not answered ends after its deadline, and leaves room for others', async (t) => {
  const { client, server } = await setUp(t, (asked, reply) => (asked.path.endsWith('/hang') ? undefined : ok(reply)), {
    timeoutMs: 5_000,
    connections: 1,
  })
  const error = await failure(client.get({ ...map, name: 'hang' }))
  assert.equal(error.reason, 'Timeout')
  assert.equal(error.status, 0)
  await client.get(map)
  assert.equal(server.asked.length, 2)
})

test('an answer that stops half way ends after its deadline too', async (t) => {
  const { client } = await setUp(
    t,
    (_asked, reply) => {
      reply.stream()
      reply.raw('{"half":')
    },
    { timeoutMs: 5_000 },
  )
  assert.equal((await failure(client.get(map))).reason, 'Timeout')
})

test('an abort ends a request with its reason, also while it waits its turn', async (t) => {
  const { client, server } = await setUp(t, () => undefined, { rate: { perSecond: 0.1, burst: 1 } })
  const stop = new AbortController()
  const both = [client.get(map, { signal: stop.signal }), client.get(map, { signal: stop.signal })]
  await until(() => server.asked.length === 1, 'the first request')
  stop.abort(new Error('enough'))
  for (const work of both) await assert.rejects(work, /enough/)
  assert.equal(server.asked.length, 1)
})

test('the rate is kept: a burst at once and the rest in their time', async (t) => {
  const { client } = await setUp(t, (_asked, reply) => ok(reply), {
    rate: { perSecond: 50, burst: 5 },
    clock: fastClock(1),
  })
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: 15 }, () => client.get(map)))
  const took = performance.now() - startedAt
  assert.ok(took >= 190, `${took} ms`)
})

test('connections are kept and few, however many requests there are', async (t) => {
  const { client, server } = await setUp(t, (_asked, reply) => ok(reply), { connections: 4 })
  await Promise.all(Array.from({ length: 100 }, () => client.get(map)))
  assert.equal(server.asked.length, 100)
  assert.ok(server.connections <= 4, `${server.connections} connections`)
})

test('an error carries what the server said and why, and nothing of what was sent', async (t) => {
  const causes = [{ reason: 'FieldValueInvalid', message: 'must be positive', field: 'spec.replicas' }]
  const { client } = await setUp(t, (_asked, reply) =>
    reply.json(422, { kind: 'Status', code: 422, reason: 'Invalid', message: 'it is invalid', details: { causes } }),
  )
  const secret = { ...object, data: { password: 'hunter2' } }
  const error = await failure(client.apply(secret, TYPES.ConfigMap, { manager: 'm' }))
  assert.equal(error.reason, 'Invalid')
  assert.deepEqual(error.causes, causes)
  assert.ok(!JSON.stringify([error.message, error.causes, error.stack, error.cause]).includes('hunter2'))
})

test('an error page that is no Status is an error with its status', async (t) => {
  const { client } = await setUp(t, (_asked, reply) => reply.json(502, 'bad gateway'))
  const error = await failure(client.get(map))
  assert.equal(error.status, 502)
  assert.equal(error.reason, 'Status502')
})

test('apply is strict, takes fields over under its manager, and says what it is', async (t) => {
  const seen: Asked[] = []
  const { client } = await setUp(t, (asked, reply) => {
    seen.push(asked)
    ok(reply)
  })
  await client.apply(object, TYPES.ConfigMap, { manager: 'waggle/x' })
  await client.applyStatus(object, TYPES.ConfigMap, { manager: 'waggle/y', force: false, dryRun: true })
  assert.deepEqual(
    seen.map(({ method, path, query, headers }) => [method, path, query.toString(), headers['content-type']]),
    [
      [
        'PATCH',
        '/api/v1/namespaces/n/configmaps/a',
        'fieldManager=waggle%2Fx&force=true&fieldValidation=Strict',
        'application/apply-patch+yaml',
      ],
      [
        'PATCH',
        '/api/v1/namespaces/n/configmaps/a/status',
        'fieldManager=waggle%2Fy&force=false&fieldValidation=Strict&dryRun=All',
        'application/apply-patch+yaml',
      ],
    ],
  )
  assert.deepEqual(seen[0]?.body, object)
})

test('delete carries its preconditions', async (t) => {
  const { client, server } = await setUp(t, (_asked, reply) => ok(reply))
  await client.delete(map, { preconditions: { uid: 'u', resourceVersion: '7' } })
  assert.equal(server.asked[0]?.method, 'DELETE')
  assert.deepEqual(server.body(0)['preconditions'], {
    uid: 'u',
    resourceVersion: '7',
  })
})

test('names cannot climb out of their place in a path', async (t) => {
  const { client, server } = await setUp(t, (_asked, reply) => ok(reply))
  await client.get({ ...map, name: '../secrets/x' })
  assert.equal(server.asked[0]?.path, '/api/v1/namespaces/n/configmaps/..%2Fsecrets%2Fx')
  for (const name of ['', '.', '..']) await assert.rejects(client.get({ ...map, name }), /metadata\.name/)
  await assert.rejects(client.get({ type: TYPES.ConfigMap, name: 'a' }), /metadata\.namespace/)
})

test('the token is asked for again for every request', async (t) => {
  let token = 1
  const { server } = await setUp(t, (_asked, reply) => ok(reply))
  const client = new KubeClient({ ...server.access, authorization: () => Promise.resolve(`Bearer ${token++}`) })
  await client.get(map)
  await client.get(map)
  await client.close()
  assert.deepEqual(
    server.asked.map(({ headers }) => headers.authorization),
    ['Bearer 1', 'Bearer 2'],
  )
})

test('an API server below a path is reached there', async (t) => {
  const { server } = await setUp(t, (_asked, reply) => ok(reply))
  const client = new KubeClient({ ...server.access, server: `${server.access.server}/k8s/clusters/c-1/` })
  await client.get(map)
  await client.close()
  assert.equal(server.asked[0]?.path, '/k8s/clusters/c-1/api/v1/namespaces/n/configmaps/a')
})

/** A fence that closes when told, without a word to anybody. */
function gate(): Fence & { closed: boolean } {
  const fence = {
    closed: false,
    signal: new AbortController().signal,
    check() {
      if (fence.closed) throw new FencedError('closed')
    },
  }
  return fence
}

test('behind a closed fence nothing is written and everything can be read', async (t) => {
  const { client, server } = await setUp(t, (_asked, reply) => ok(reply))
  const fence = gate()
  const fenced = client.fenced(fence)
  await fenced.apply(object, TYPES.ConfigMap, { manager: 'm' })
  fence.closed = true
  const writes = [
    () => fenced.apply(object, TYPES.ConfigMap, { manager: 'm' }),
    () => fenced.applyStatus(object, TYPES.ConfigMap, { manager: 'm' }),
    () => fenced.create(object, TYPES.ConfigMap),
    () => fenced.replace(object, TYPES.ConfigMap),
    () => fenced.patch(map, {}),
    () => fenced.delete(map),
  ]
  for (const write of writes) await assert.rejects(write(), FencedError)
  await fenced.get(map)
  assert.deepEqual(
    server.asked.map(({ method }) => method),
    ['PATCH', 'GET'],
  )
})

test('a write that waited for a connection asks the fence once more when its turn comes', async (t) => {
  const first = Promise.withResolvers<void>()
  const { client, server } = await setUp(
    t,
    async (asked, reply) => {
      if (asked.method === 'GET') await first.promise
      ok(reply)
    },
    { connections: 1 },
  )
  const fence = gate()
  const fenced = client.fenced(fence)
  const reading = fenced.get(map)
  await until(() => server.asked.length === 1, 'the first request')
  const writing = fenced.apply(object, TYPES.ConfigMap, { manager: 'm' })
  await new Promise((resolve) => setTimeout(resolve, 30))
  fence.closed = true
  first.resolve()
  await reading
  await assert.rejects(writing, FencedError)
  assert.deepEqual(
    server.asked.map(({ method }) => method),
    ['GET'],
  )
})

test('losing leave cuts off the writes that are under way', async (t) => {
  const { client, server } = await setUp(t, () => undefined)
  const stop = new AbortController()
  const fenced = client.fenced({ signal: stop.signal, check: () => stop.signal.throwIfAborted() })
  const writing = fenced.apply(object, TYPES.ConfigMap, { manager: 'm' })
  await until(() => server.asked.length === 1, 'the write')
  stop.abort(new FencedError('lost'))
  await assert.rejects(writing, FencedError)
})
