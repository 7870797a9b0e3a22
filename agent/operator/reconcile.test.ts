import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Applier } from '../kube/apply.ts'
import type { KubeClient } from '../kube/client.ts'
import type { EventRecorder } from '../kube/event.ts'
import { KubeError } from '../kube/error.ts'
import type { Informer } from '../kube/informer.ts'
import type { KubeObject } from '../kube/object.ts'
import { resourceTypes } from './informers.ts'
import { settings } from './kinds/scene.ts'
import { planners } from './planners.ts'
import { Reconciler } from './reconcile.ts'
import { State } from './world.ts'

const fleet: KubeObject = {
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'VirtualMCPServer',
  metadata: { name: 'fleet', namespace: 'team', uid: 'uid-of-fleet', generation: 1, resourceVersion: '1' },
  spec: { backends: [{ name: 'grafana' }] },
}

/** A cluster that holds some ConfigMaps, shows nothing else, and remembers what is written. */
function cluster(objects: readonly KubeObject[], refuseSecrets?: KubeError, spec: object = {}) {
  const writes: string[] = []
  const rehearsed: string[] = []
  /** Names of Secrets that are there. */
  const secrets = new Set<string>()
  const applied: KubeObject[] = []
  const statuses: KubeObject[] = []
  const informer = (kind: string) => ({
    get: (namespace: string, name: string) =>
      objects.find((one) => one.kind === kind && one.metadata.namespace === namespace && one.metadata.name === name),
  })
  const informers = ['ConfigMap', 'Deployment'].map((kind) => [kind, informer(kind) as unknown as Informer] as const)
  const state = new State(settings, [...planners.values()], new Map(informers))
  state.change('VirtualMCPServer', undefined, { ...fleet, spec: { ...(fleet.spec as object), ...spec } })
  const reconciler = new Reconciler({
    state,
    planners,
    client: {
      create: async ({ kind, metadata }: KubeObject, _type: unknown, { dryRun = false }: { dryRun?: boolean }) => {
        if (refuseSecrets !== undefined) throw refuseSecrets
        if (dryRun) rehearsed.push(metadata.name)
        if (secrets.has(metadata.name)) throw new KubeError({ status: 409, reason: 'AlreadyExists', message: 'exists' })
        if (dryRun) return
        secrets.add(metadata.name)
        writes.push(kind)
      },
    } as unknown as KubeClient,
    applier: {
      apply: async (object: KubeObject) => {
        writes.push(`${object.kind} ${object.metadata.name}`)
        const version = { ...object.metadata, resourceVersion: String(applied.push(object)) }
        return { outcome: 'applied', object: { ...object, metadata: version } }
      },
      applyStatus: async (object: KubeObject) => {
        statuses.push(object)
        return { outcome: 'applied', object }
      },
    } as unknown as Applier,
    events: { record: () => undefined } as unknown as EventRecorder,
    types: resourceTypes,
    owned: [],
    configMap: async () => undefined,
  })
  const { signal } = new AbortController()
  return {
    writes,
    applied,
    rehearsed,
    secrets,
    statuses,
    turn: (now = 0) => reconciler.reconcile('VirtualMCPServer/team/fleet', { now, signal }),
  }
}

function ready(statuses: readonly KubeObject[]): unknown {
  const status = statuses.at(-1)?.status as
    | { conditions: { type: string; status: string; reason: string }[] }
    | undefined
  const found = status?.conditions.find(({ type }) => type === 'Ready')
  return [found?.status, found?.reason]
}

test('keys are made once, and named where everybody may read their public parts', async () => {
  const { writes, turn } = cluster([])
  await turn()
  assert.deepEqual(writes.slice(0, 2), ['Secret', 'ConfigMap fleet-keys'])
  await turn()
  assert.equal(writes.filter((one) => one === 'Secret').length, 1)
})

test('keys that somebody planted are not taken for ours: no Secret is made, nothing runs, and the status says why', async () => {
  const planted: KubeObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'fleet-keys',
      namespace: 'team',
      labels: { 'app.kubernetes.io/managed-by': 'waggle', 'toolhive-name': 'fleet' },
    },
    data: { 'signing.json': '{"keys":[{"kty":"EC","crv":"P-256","x":"x","y":"y","kid":"planted"}]}' },
  }
  const { writes, statuses, turn } = cluster([planted])
  for (let i = 0; i < 3; i++) await turn()
  assert.deepEqual(writes, [])
  assert.deepEqual(ready(statuses), ['False', 'NameConflict'])
})

/** What is public of its keys, as the operator itself made it. */
const keys = (secrets: Readonly<Record<string, string>>): KubeObject => {
  const { apiVersion, kind, metadata } = fleet
  const { name, uid = '' } = metadata
  const owner = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
  const old = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'old', alg: 'ES256', use: 'sig' }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'fleet-keys', namespace: 'team', resourceVersion: '0', ownerReferences: [owner] },
    data: { 'signing.json': JSON.stringify({ keys: [old] }), 'secrets.json': JSON.stringify(secrets) },
  }
}
const textOf = (applied: readonly KubeObject[], kind: string): string =>
  JSON.stringify(applied.findLast((one) => one.kind === kind))

test('a key that is added to others is mounted in the same turn, and made once, although nobody shows it yet', async () => {
  const { writes, applied, secrets, turn } = cluster([keys({ signing: 'fleet-signing-one' })], undefined, {
    replicas: 2,
  })
  secrets.add('fleet-signing-one')
  await turn()
  const pods = textOf(applied, 'Deployment')
  assert.match(pods, /"fleet-signing-one"/)
  assert.match(pods, /"fleet-sealing-[0-9a-f]{10}"/)
  await turn()
  assert.equal(writes.filter((one) => one === 'Secret').length, 1)
  assert.equal(textOf(applied, 'Deployment'), pods)
})

test('names of Secrets that somebody takes away are made anew, and what the old key signed is believed a while longer', async () => {
  const { writes, applied, turn } = cluster([keys({})])
  await turn()
  await turn()
  assert.equal(writes.filter((one) => one === 'Secret').length, 1)
  const made = applied.find(({ metadata }) => metadata.name === 'fleet-keys')
  const { keys: known } = JSON.parse(made?.data?.['signing.json'] ?? '') as { keys: { kid: string }[] }
  assert.equal(known.length, 2)
  assert.equal(known[1]?.kid, 'old')
  assert.match(textOf(applied, 'Deployment'), /"fleet-signing-[0-9a-f]{10}"/)
})

test('a key whose Secret somebody deleted is made anew when pods do not come up without it, and nobody asks before', async () => {
  const deployment = (readyReplicas: number): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'fleet', namespace: 'team', generation: 1 },
    spec: { replicas: 1 },
    status: { observedGeneration: 1, replicas: 1, readyReplicas },
  })
  const mine = keys({ signing: 'fleet-signing-one' })
  const running = cluster([mine, deployment(1)])
  await running.turn()
  assert.deepEqual([running.rehearsed, running.writes.includes('Secret')], [[], false])

  const starting = cluster([mine, deployment(0)])
  starting.secrets.add('fleet-signing-one')
  await starting.turn()
  assert.deepEqual([starting.rehearsed, starting.writes.includes('Secret')], [['fleet-signing-one'], false])

  const lost = cluster([mine, deployment(0)])
  await lost.turn()
  assert.deepEqual(lost.rehearsed, ['fleet-signing-one'])
  const [made = ''] = lost.secrets
  assert.match(made, /^fleet-signing-[0-9a-f]{10}$/)
  assert.ok(textOf(lost.applied, 'Deployment').includes(`"${made}"`))
  await lost.turn()
  assert.equal(lost.secrets.size, 1)
})

test('a key that may not be made is said in the status, and tried again', async () => {
  const refusal = new KubeError({ status: 403, reason: 'Forbidden', message: 'exceeded quota' })
  const { writes, statuses, turn } = cluster([], refusal)
  await assert.rejects(turn, refusal)
  assert.deepEqual(writes, [])
  assert.deepEqual(ready(statuses), ['False', 'Forbidden'])
})

test('a status that was written and is not seen yet keeps its times', async () => {
  const { statuses, turn } = cluster([])
  await turn(0)
  await turn(5_000)
  assert.equal(statuses.length, 2)
  assert.deepEqual(statuses[1], statuses[0])
})
