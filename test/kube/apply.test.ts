import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Applier, NameConflictError } from '../../agent/kube/apply.ts'
import type { ApplierOptions } from '../../agent/kube/apply.ts'
import { KubeClient } from '../../agent/kube/client.ts'
import { Informer } from '../../agent/kube/informer.ts'
import type { InformerOptions } from '../../agent/kube/informer.ts'
import type { KubeObject } from '../../agent/kube/object.ts'
import { TYPES } from '../../agent/kube/object.ts'
import { FakeClock, until } from './clock.ts'
import type { Asked, Reply } from './server.ts'
import { ScriptedServer } from './server.ts'

const OWNER = { apiVersion: 'waggle.dev/v1', kind: 'Thing', name: 't', uid: 'u1', controller: true }

function deployment(replicas: number, uid = 'u1'): KubeObject {
  const metadata = { name: 'd', namespace: 'n', ownerReferences: [{ ...OWNER, uid }] }
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas } }
}

const status = (ready: boolean): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'n' },
  status: { ready, at: 'x' },
})

/** One Deployment as the API server would hold it; its watch can be held back. */
class Cluster {
  object: KubeObject | undefined
  #version = 10
  #generation = 0
  #watch: Reply | undefined
  /** Events that are not sent yet; undefined: sent at once. */
  held: (() => void)[] | undefined

  serve(asked: Asked, reply: Reply): void {
    const sent = asked.body as KubeObject
    if (asked.query.get('watch') === 'true') {
      reply.stream()
      if (this.object !== undefined) reply.event('ADDED', this.object)
      const metadata = { resourceVersion: `${this.#version}`, annotations: { 'k8s.io/initial-events-end': 'true' } }
      reply.event('BOOKMARK', { metadata })
      this.#watch = reply
    } else if (asked.method === 'GET') {
      if (this.object === undefined) reply.refuse(404, 'NotFound')
      else reply.json(200, this.object)
    } else {
      const old = this.object
      if (asked.path.endsWith('/status')) this.change({ status: sent.status })
      else if (JSON.stringify(old?.spec) !== JSON.stringify(sent.spec)) this.change({ spec: sent.spec }, sent)
      reply.json(200, this.object)
    }
  }

  /** Somebody changes something; a new spec is a new generation. */
  change(fields: { spec?: unknown; status?: unknown; labels?: Record<string, string> }, made?: KubeObject): void {
    const { labels, ...rest } = fields
    const base: KubeObject = this.object ?? {
      ...(made as KubeObject),
      metadata: { ...(made as KubeObject).metadata, uid: 'd1' },
    }
    this.#version += 1
    if ('spec' in fields) this.#generation += 1
    const metadata = {
      ...base.metadata,
      resourceVersion: `${this.#version}`,
      generation: this.#generation,
      ...(labels !== undefined && { labels }),
    }
    const type = this.object === undefined ? 'ADDED' : 'MODIFIED'
    const object = { ...base, ...rest, metadata }
    this.object = object
    this.#send(() => this.#watch?.event(type, object))
  }

  /** Somebody takes the owner from the object. */
  disown(): void {
    const { ownerReferences: _gone, ...metadata } = (this.object as KubeObject).metadata
    this.object = { ...(this.object as KubeObject), metadata }
    this.change({})
  }

  remove(): void {
    const { object } = this
    if (object === undefined) return
    this.#version += 1
    this.object = undefined
    const metadata = { ...object.metadata, resourceVersion: `${this.#version}` }
    this.#send(() => this.#watch?.event('DELETED', { ...object, metadata }))
  }

  #send(event: () => void): void {
    if (this.held === undefined) event()
    else this.held.push(event)
  }
}

interface Setup {
  readonly cluster: Cluster
  readonly informer: Informer
  readonly applier: Applier
  readonly clock: FakeClock
  /** Writes and single reads since last asked. */
  readonly requests: () => string[]
  readonly seen: () => Promise<void>
}

async function setUp(
  t: TestContext,
  options: Partial<ApplierOptions> = {},
  informerOptions: InformerOptions = {},
  before?: (cluster: Cluster) => void,
): Promise<Setup> {
  const cluster = new Cluster()
  before?.(cluster)
  const server = await ScriptedServer.start((asked, reply) => cluster.serve(asked, reply))
  const client = new KubeClient(server.access)
  const informer = new Informer(client, TYPES.Deployment, informerOptions)
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await client.close()
    server.close()
  })
  const clock = new FakeClock()
  const applier = new Applier(client, { manager: 'm', informers: [informer], clock, ...options })
  informer.start(stop.signal)
  await informer.synced()
  let counted = server.asked.length
  return {
    cluster,
    informer,
    applier,
    clock,
    requests: () => {
      const made = server.asked.slice(counted).map(({ method }) => method)
      counted = server.asked.length
      return made
    },
    seen: () =>
      until(
        () => informer.get('n', 'd')?.metadata.resourceVersion === cluster.object?.metadata.resourceVersion,
        'the event',
      ),
  }
}

test('what was written and has not changed costs no request', async (t) => {
  const { applier, requests, seen } = await setUp(t)
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
  await seen()
  assert.deepEqual(requests(), ['PATCH'])
  for (let round = 0; round < 5; round++) assert.equal((await applier.apply(deployment(1))).outcome, 'unchanged')
  assert.deepEqual(requests(), [])
  assert.equal((await applier.apply(deployment(2))).outcome, 'applied')
  assert.deepEqual(requests(), ['PATCH'])
})

test('status that others write costs no request, and their edits are repaired', async (t) => {
  const { applier, cluster, requests, seen } = await setUp(t)
  await applier.apply(deployment(1))
  cluster.change({ status: { replicas: 1 } })
  await seen()
  assert.equal((await applier.apply(deployment(1))).outcome, 'unchanged')
  cluster.change({ spec: { replicas: 9 } })
  await seen()
  requests()
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
  assert.deepEqual(requests(), ['PATCH'])
  assert.deepEqual(cluster.object?.spec, { replicas: 1 })
  await seen()
  cluster.change({ labels: { app: 'stolen' } })
  await seen()
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
  assert.equal((await applier.apply(deployment(1))).outcome, 'unchanged')
})

test('a child whose owner somebody removed is ours all the same, and gets it back', async (t) => {
  const { applier, cluster, requests, seen } = await setUp(t)
  await applier.apply(deployment(1))
  await seen()
  cluster.disown()
  await seen()
  requests()
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
  assert.deepEqual(requests(), ['PATCH'])
})

test('a child that was deleted is made again', async (t) => {
  const { applier, cluster, informer } = await setUp(t)
  await applier.apply(deployment(1))
  await until(() => informer.size === 1, 'the child')
  cluster.remove()
  await until(() => informer.size === 0, 'the deletion')
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
  assert.notEqual(cluster.object, undefined)
})

test('an informer that lags behind a write of ours costs no request, for ten seconds', async (t) => {
  const { applier, cluster, requests, clock } = await setUp(t)
  cluster.held = []
  await applier.apply(deployment(1))
  requests()
  assert.equal((await applier.apply(deployment(1))).outcome, 'unchanged')
  clock.jump(10_001)
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
})

test('a child that was made and deleted before the informer showed it is made again', async (t) => {
  const { applier, cluster, informer } = await setUp(t)
  const changes: string[] = []
  informer.onChange((old) => changes.push(old === undefined ? 'added' : 'deleted'))
  cluster.held = []
  await applier.apply(deployment(1))
  cluster.remove()
  for (const event of cluster.held.splice(0)) event()
  await until(() => changes.length === 2, 'both events')
  assert.equal((await applier.apply(deployment(1))).outcome, 'applied')
})

const foreign = (cluster: Cluster): void => cluster.change({ spec: { replicas: 1 } }, deployment(1, 'other'))

test('an object of another owner is never written, and the error names the owner', async (t) => {
  const { applier, requests } = await setUp(t, {}, {}, foreign)
  await assert.rejects(applier.apply(deployment(1)), (error) => {
    assert.ok(error instanceof NameConflictError)
    assert.match(error.message, /Deployment "d" exists and belongs to Thing "t"/)
    return true
  })
  assert.deepEqual(requests(), [])
})

test('an informer that sees a part only is not believed: the server is asked before the first write', async (t) => {
  const { applier, requests } = await setUp(t, {}, { labelSelector: 'ours' }, undefined)
  await applier.apply(deployment(1))
  assert.deepEqual(requests(), ['GET', 'PATCH'])
  await applier.apply(deployment(1))
  assert.deepEqual(requests(), [])
})

test('who is told to take over does', async (t) => {
  const adopted: string[] = []
  const adopt = (existing: KubeObject): boolean => adopted.push(existing.metadata.name) > 0
  const { applier } = await setUp(t, { adopt }, {}, foreign)
  assert.equal((await applier.apply(deployment(2))).outcome, 'applied')
  assert.deepEqual(adopted, ['d'])
})

test('a status is written when it differs from the one seen, whatever the order of its fields', async (t) => {
  const { applier, cluster, requests, seen } = await setUp(t, {}, {}, (made) => {
    made.change({ spec: { replicas: 1 } }, deployment(1))
    made.change({ status: { at: 'x', ready: false } })
  })
  assert.equal((await applier.applyStatus(status(false))).outcome, 'unchanged')
  assert.equal((await applier.applyStatus(status(true))).outcome, 'applied')
  await seen()
  assert.equal((await applier.applyStatus(status(true))).outcome, 'unchanged')
  requests()
  cluster.change({ spec: { replicas: 3 } })
  await seen()
  assert.equal((await applier.applyStatus(status(true))).outcome, 'unchanged')
  cluster.change({ status: {} })
  await seen()
  assert.equal((await applier.applyStatus(status(true))).outcome, 'applied')
  assert.deepEqual(requests(), ['PATCH'])
})

test('a status that somebody puts back to what it was before ours is written again', async (t) => {
  const { applier, cluster, seen } = await setUp(t, {}, {}, (made) => {
    made.change({ spec: { replicas: 1 } }, deployment(1))
    made.change({ status: { at: 'x', ready: false } })
  })
  cluster.held = []
  await applier.applyStatus(status(true))
  for (const event of cluster.held.splice(0)) event()
  cluster.held = undefined
  await seen()
  cluster.change({ status: { at: 'x', ready: false } })
  await seen()
  assert.equal((await applier.applyStatus(status(true))).outcome, 'applied')
})

test('a type without informer is a mistake in the program', async (t) => {
  const { applier } = await setUp(t)
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n' } }
  await assert.rejects(applier.apply(pod), /no informer of v1 Pod/)
})
