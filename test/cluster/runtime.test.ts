// The controller runtime on a real API server that is killed, stopped and edited: what it holds is what there is, what is
// at rest costs nothing, and who lost the lead writes nothing. A cluster of its own, of which only the control plane runs.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { kubeconfigAccess } from '../../agent/kube/access.ts'
import { Applier, NameConflictError } from '../../agent/kube/apply.ts'
import { KubeClient } from '../../agent/kube/client.ts'
import { isNotFound, isRejected } from '../../agent/kube/error.ts'
import { EventRecorder } from '../../agent/kube/event.ts'
import { Informer } from '../../agent/kube/informer.ts'
import { LeaderElection } from '../../agent/kube/leader.ts'
import type { KubeObject } from '../../agent/kube/object.ts'
import { keyOf, TYPES } from '../../agent/kube/object.ts'
import { controllerReference } from '../../agent/kube/owner.ts'
import { down, start, stop, up } from './bed/cluster.ts'
import { inhabitants } from './bed/network.ts'
import { cluster } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import { tools } from './bed/tools.ts'
import type { Tools } from './bed/tools.ts'
import { children, Widget, widgetDefinition } from './runtime/objects.ts'

const c = cluster('k')
const kubeconfig = join(c.dir, 'kubeconfig')
const ended = new AbortController()
const clients: KubeClient[] = []
let built: Tools
let client: KubeClient

before(async () => {
  built = await tools()
  await up(c, built)
  for (const program of ['kubelet', 'kube-proxy', 'kube-scheduler', 'enforce'] as const) await stop(c, built, program)
  client = await connect()
})

after(async () => {
  ended.abort()
  for (const each of clients) await each.close()
  await down(c)
})

/** A client, and the requests it makes, by verb. */
async function connect(count?: (verb: string) => void, timeoutMs = 20_000): Promise<KubeClient> {
  const metrics = { request: (verb: string) => count?.(verb) }
  const made = new KubeClient(await kubeconfigAccess({ path: kubeconfig }), { metrics, timeoutMs })
  clients.push(made)
  return made
}

async function namespace(name: string): Promise<string> {
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, TYPES.Namespace)
  return name
}

const configMap = (ns: string, name: string, value: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: ns, name, labels: { of: 'test' } },
  data: { value },
})

const states = (objects: readonly KubeObject[]): string[] =>
  objects.map((object) => `${keyOf(object)} ${object.metadata.uid} ${object.metadata.resourceVersion}`).sort()

/** Waits until the informer holds what a list says, and compares. */
async function converged(informer: Informer, ns: string, seconds = 60): Promise<void> {
  await until(
    'the informer to hold what there is',
    async () => {
      const { items } = await client.list(informer.type, { namespace: ns, labelSelector: 'of=test' })
      assert.deepEqual(states(informer.list(ns)), states(items))
      return true
    },
    seconds,
  )
}

test('an informer holds what there is after the API server was killed again and again while everything changed', async () => {
  const ns = await namespace('killed')
  const requests: string[] = []
  const watching = await connect((verb) => requests.push(verb))
  const informer = new Informer(watching, TYPES.ConfigMap, { labelSelector: 'of=test' })
  const lengths: number[] = []
  informer.onChange(() => lengths.push(informer.size))
  informer.start(ended.signal)
  await informer.synced()
  const done = new AbortController()
  const churn = async (): Promise<void> => {
    for (let step = 0; !done.signal.aborted; step++) {
      const name = `m-${(step * 7) % 40}`
      const gone = step % 5 === 4
      const reference = { type: TYPES.ConfigMap, namespace: ns, name }
      const work = gone
        ? client.delete(reference)
        : client.apply(configMap(ns, name, `${step}`), TYPES.ConfigMap, { manager: 't' })
      // The server is away half of the time: then nothing changes.
      await Promise.resolve(work).catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const churning = churn()
  for (let round = 0; round < 3; round++) {
    const before = lengths.length
    await until('much to have changed', () => lengths.length > before + 10)
    await stop(c, built, 'kube-apiserver')
    await start(c, built, 'kube-apiserver')
  }
  done.abort()
  await churning
  await converged(informer, ns)
  assert.ok(lengths.length > 30)
  assert.ok(requests.length < 60, `${requests.length} requests of the informer`)
})

test('an informer and a leader outlive an etcd that stands still; leave to write does not', async () => {
  const ns = await namespace('frozen')
  const informer = new Informer(client, TYPES.ConfigMap, { labelSelector: 'of=test', namespaces: [ns] })
  informer.start(ended.signal)
  await informer.synced()
  const timing = { leaseMs: 15_000, renewMs: 10_000, retryMs: 500 }
  await client.create(
    { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace: ns, name: 'l' } },
    TYPES.Lease,
  )
  const election = new LeaderElection(await connect(undefined, 5_000), {
    namespace: ns,
    name: 'l',
    identity: 'one',
    ...timing,
  })
  const leadership = await election.acquire(ended.signal)
  const fenced = client.fenced(leadership.fence)
  await fenced.apply(configMap(ns, 'a', '1'), TYPES.ConfigMap, { manager: 't' })
  const etcd = inhabitants(c).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('etcd'))
  assert.equal(etcd.length, 1)
  for (const pid of etcd) process.kill(pid, 'SIGSTOP')
  try {
    await until('leave to be lost', () => leadership.fence.signal.aborted, 15)
    await assert.rejects(fenced.apply(configMap(ns, 'a', '2'), TYPES.ConfigMap, { manager: 't' }), {
      name: 'FencedError',
    })
  } finally {
    for (const pid of etcd) process.kill(pid, 'SIGCONT')
  }
  const again = await election.acquire(ended.signal)
  await client.fenced(again.fence).apply(configMap(ns, 'b', '1'), TYPES.ConfigMap, { manager: 't' })
  await converged(informer, ns)
  assert.equal(informer.get(ns, 'a')?.data?.['value'], '1')
  await again.release()
})

/** A contender for the lead, in a process of its own. */
function contender(
  ns: string,
  identity: string,
): { child: ChildProcess; said: () => string; exit: Promise<number | null> } {
  const script = join(import.meta.dirname, 'runtime/contender.ts')
  const child = spawn(process.execPath, [script, kubeconfig, ns, identity], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (said += more))
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  return { child, said: () => said, exit }
}

test('a leader that is stopped beyond its lease and wakes writes nothing, and the one who releases is followed at once', async (t) => {
  const ns = await namespace('leaders')
  const writers: string[] = []
  const informer = new Informer(client, TYPES.ConfigMap, { namespaces: [ns] })
  informer.onChange((_old, next) => {
    if (next?.data?.['who'] !== undefined) writers.push(next.data['who'])
  })
  informer.start(ended.signal)
  const a = contender(ns, 'a')
  t.after(() => a.child.kill('SIGKILL'))
  await until('a to write', () => writers.length > 50)
  const b = contender(ns, 'b')
  t.after(() => b.child.kill('SIGKILL'))
  a.child.kill('SIGSTOP')
  await until('b to write', () => writers.filter((who) => who === 'b').length > 50)
  a.child.kill('SIGCONT')
  assert.equal(await a.exit, 1)
  assert.match(a.said(), /lost/)
  const first = writers.indexOf('b')
  assert.deepEqual(
    writers.slice(first).filter((who) => who === 'a'),
    [],
  )

  const third = contender(ns, 'c')
  t.after(() => third.child.kill('SIGKILL'))
  await until('c to wait', () => third.said().includes('waits'))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const startedAt = performance.now()
  b.child.kill('SIGTERM')
  await until('c to lead', () => third.said().includes('leads'))
  const took = performance.now() - startedAt
  console.log(`a lease that is released is taken after ${Math.round(took)} ms`)
  // Of the 15 seconds that it would be waited for.
  assert.ok(took < 8_000, `a lease that was released is waited for: ${took} ms`)
  assert.equal(await b.exit, 0)
})

test('every sort of child is written once, is left alone at rest, and is repaired when somebody touches it', async () => {
  const ns = await namespace('children')
  const requests: string[] = []
  const counted = await connect((verb) => requests.push(verb))
  const owner = await client.create(configMap(ns, 'owner', ''), TYPES.ConfigMap)
  const wanted = children(ns, controllerReference(owner))
  const types = [...new Map(wanted.map(({ type }) => [type.kind, type])).values()]
  const informers = types.map((type) => new Informer(counted, type, { namespaces: [ns], labelSelector: 'of=test' }))
  for (const informer of informers) informer.start(ended.signal)
  await Promise.all(informers.map((informer) => informer.synced()))
  const applier = new Applier(counted, { manager: 'waggle/test', informers })
  const pass = async (): Promise<string[]> => {
    const applied = await Promise.all(wanted.map(({ object }) => applier.apply(object)))
    return wanted.flatMap(({ object }, index) => (applied[index]?.outcome === 'applied' ? [object.kind] : []))
  }
  assert.deepEqual(
    await pass(),
    wanted.map(({ object }) => object.kind),
  )
  // The controllers of the cluster have their say: status, revisions, defaults.
  const revision = 'deployment.kubernetes.io/revision'
  await until('the revision', async () => {
    const deployment = await client.get({ type: TYPES.Deployment, namespace: ns, name: 'x' })
    return deployment.metadata.annotations?.[revision] !== undefined
  })
  await until('rest', async () => {
    if ((await pass()).length > 0) return false
    // What the controllers write can come late.
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    return (await pass()).length === 0
  })
  requests.length = 0
  for (let round = 0; round < 3; round++) assert.deepEqual(await pass(), [])
  assert.deepEqual(
    requests.filter((verb) => verb !== 'WATCH'),
    [],
  )

  const changed = { labels: { of: 'test', by: 'hand' } }
  for (const { type, object } of wanted) await client.patch({ type, ...named(object) }, { metadata: changed })
  await seen(informers, ({ metadata }) => metadata.name !== 'x' || metadata.labels?.['by'] === 'hand')
  assert.deepEqual(
    await pass(),
    wanted.map(({ object }) => object.kind),
  )
  assert.deepEqual(await pass(), [])

  await client.patch({ type: TYPES.Deployment, namespace: ns, name: 'x' }, { spec: { replicas: 7 } })
  await until('the edit to be repaired', async () => (await pass()).includes('Deployment'))
  const repaired = await client.get({ type: TYPES.Deployment, namespace: ns, name: 'x' })
  assert.equal((repaired.spec as { replicas: number }).replicas, 0)

  for (const { type, object } of wanted) await client.delete({ type, ...named(object) })
  const back = new Set<string>()
  await until(
    'all of them to be back',
    async () => {
      for (const kind of await pass()) back.add(kind)
      return back.size === types.length
    },
    60,
  )
  for (const { type, object } of wanted) await client.get({ type, ...named(object) })
})

const named = ({ metadata }: KubeObject): { name: string; namespace?: string | undefined } => ({
  name: metadata.name,
  namespace: metadata.namespace,
})

async function seen(informers: readonly Informer[], holds: (object: KubeObject) => boolean): Promise<void> {
  await until('the informers to see it', () => informers.every((informer) => informer.list().every(holds)))
}

test('an object of somebody else is not taken over, and what the schema does not know is refused for good', async () => {
  const ns = await namespace('foreign')
  const owner = await client.create(configMap(ns, 'owner', ''), TYPES.ConfigMap)
  await client.create(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: ns, name: 'x' } },
    TYPES.ServiceAccount,
  )
  const informer = new Informer(client, TYPES.ServiceAccount, { namespaces: [ns], labelSelector: 'of=test' })
  informer.start(ended.signal)
  await informer.synced()
  const applier = new Applier(client, { manager: 'waggle/test', informers: [informer] })
  const account = children(ns, controllerReference(owner)).find(
    ({ object }) => object.kind === 'ServiceAccount',
  )?.object
  assert.ok(account)
  await assert.rejects(applier.apply(account), NameConflictError)
  const untouched = await client.get({ type: TYPES.ServiceAccount, namespace: ns, name: 'x' })
  assert.equal(untouched.metadata.ownerReferences, undefined)

  const wrong = { ...configMap(ns, 'wrong', ''), spelling: 'mistake' }
  await assert.rejects(client.apply(wrong, TYPES.ConfigMap, { manager: 't' }), isRejected)
})

test('a status is written by a manager of its own, once; partial objects and events are as the server wants them', async () => {
  const ns = await namespace('widgets')
  await client.apply(widgetDefinition, TYPES.CustomResourceDefinition, { manager: 't' })
  await until('widgets to be served', () => client.list(Widget, { namespace: ns }).then(() => true))
  const requests: string[] = []
  const counted = await connect((verb) => requests.push(verb))
  const informer = new Informer(counted, Widget, { namespaces: [ns] })
  const partial = new Informer(counted, Widget, { metadataOnly: true })
  for (const each of [informer, partial]) each.start(ended.signal)
  const made = await client.create(
    { apiVersion: Widget.apiVersion, kind: Widget.kind, metadata: { namespace: ns, name: 'w' }, spec: { size: 1 } },
    Widget,
  )
  await until('the widget', () => informer.size === 1 && partial.size === 1)
  assert.equal(partial.list()[0]?.spec, undefined)
  assert.equal(partial.list()[0]?.kind, 'Widget')
  const applier = new Applier(counted, { manager: 'waggle/test', informers: [informer] })
  const status = (phase: string): KubeObject => ({
    apiVersion: Widget.apiVersion,
    kind: Widget.kind,
    metadata: { namespace: ns, name: 'w' },
    status: { phase, conditions: [{ type: 'Ready', status: 'True' }] },
  })
  assert.equal((await applier.applyStatus(status('Running'))).outcome, 'applied')
  assert.equal((await applier.applyStatus(status('Running'))).outcome, 'unchanged')
  await until(
    'the status',
    () => (informer.get(ns, 'w')?.status as { phase?: string } | undefined)?.phase === 'Running',
  )
  assert.equal((await applier.applyStatus(status('Running'))).outcome, 'unchanged')
  const restarted = new Applier(counted, { manager: 'waggle/test', informers: [informer] })
  assert.equal((await restarted.applyStatus(status('Running'))).outcome, 'unchanged')
  const unknown = { ...status('Running'), status: { unknown: 1 } }
  await assert.rejects(client.applyStatus(unknown, Widget, { manager: 't' }), isRejected)

  const errors: unknown[] = []
  let now = 0
  const clock = { monotonic: () => now, wall: () => Date.now(), after: () => () => undefined }
  const recorder = new EventRecorder(client, {
    controller: 'waggle.dev/test',
    instance: 'i',
    clock,
    onError: (error) => errors.push(error),
  })
  const tell = (): void => recorder.record(made, { type: 'Warning', reason: 'Bent', message: 'it is bent' })
  const events = async (): Promise<KubeObject[]> => (await client.list(TYPES.Event, { namespace: ns })).items
  tell()
  await until('the event', async () => (await events()).length === 1)
  now += 61_000
  tell()
  await until(
    'the series',
    async () => ((await events())[0]?.['series'] as { count?: number } | undefined)?.count === 2,
  )
  assert.deepEqual(errors, [])
  await assert.rejects(client.get({ type: Widget, namespace: ns, name: 'none' }), isNotFound)
})
