// What others make of our statuses: kstatus by its published rules, and Argo CD by the script that we give it, run by a real Lua.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { createClient } from '@redis/client'
import { parse } from 'yaml'
import { startRedis } from '../../test/redis.ts'
import type { Kind } from '../../crds/kinds.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Condition } from '../kube/condition.ts'
import { NAMESPACE, planned, type Manifest } from './kinds/scene.ts'
import { planners } from './planners.ts'
import { composeStatus, invalidStatus } from './status.ts'

type Kstatus = 'Current' | 'InProgress' | 'Failed' | 'Terminating'
type Argo = 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended'

interface Seen {
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string }
  readonly status: {
    readonly observedGeneration?: number
    readonly phase?: string
    readonly conditions?: readonly Condition[]
  }
}

/** The rules for kinds that kstatus does not know, of sigs.k8s.io/cli-utils: the first of Reconciling and Stalled that holds decides. */
function kstatus({ metadata, status }: Seen): Kstatus {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating'
  const { observedGeneration, conditions = [] } = status
  if (observedGeneration !== undefined && observedGeneration !== metadata.generation) return 'InProgress'
  for (const { type, status: value } of conditions) {
    if (type === 'Reconciling' && value === 'True') return 'InProgress'
    if (type === 'Stalled' && value === 'True') return 'Failed'
  }
  const ready = conditions.find(({ type }) => type === 'Ready')
  return ready === undefined || ready.status === 'True' ? 'Current' : 'InProgress'
}

const workload = (kind: 'Deployment' | 'StatefulSet', name: string, replicas: number, ready: number): KubeObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, namespace: NAMESPACE, generation: 1 },
  spec: { replicas },
  status: { observedGeneration: 1, readyReplicas: ready, updatedReplicas: ready, replicas: ready },
})
const proxies = (name: string, ready = 1): KubeObject => workload('Deployment', name, 1, ready)
const pods = (name: string, ready = 1): KubeObject => workload('StatefulSet', name, 1, ready)

const server = (spec: object = {}): Manifest => ({
  kind: 'MCPServer',
  name: 'it',
  spec: { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', ...spec },
})
const remote = (spec: object = {}): Manifest => ({
  kind: 'MCPRemoteProxy',
  name: 'it',
  spec: { remoteUrl: 'https://mcp.linear.app/mcp', ...spec },
})
const virtual = (...backends: string[]): Manifest => ({
  kind: 'VirtualMCPServer',
  name: 'it',
  spec: { backends: backends.map((name) => ({ name })) },
})
const member = (name: string, ready: 'True' | 'False'): Manifest => ({
  ...server(),
  name,
  status: { conditions: [{ type: 'Ready', status: ready, reason: ready === 'True' ? 'Running' : 'Starting' }] },
})
const entry = (spec: object = {}): Manifest => ({
  kind: 'MCPServerEntry',
  name: 'it',
  spec: { remoteUrl: 'https://a.example', transport: 'streamable-http', ...spec },
})
const simple = (kind: Kind, spec: object = {}): Manifest => ({ kind, name: 'it', spec })
const tool = (dependsOn: readonly string[]): object => ({ name: 'x', steps: [{ id: 'a', tool: 'b.c', dependsOn }] })
const oidc = { type: 'inline', inline: { issuer: 'https://login.example' } }
const ca = { caBundleRef: { configMapRef: { name: 'ca', key: 'ca.crt' } } }
const oidcRef = { oidcConfigRef: { name: 'login', audience: 'a' } }
const crashing: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'it-0', namespace: NAMESPACE, labels: { app: 'it', 'toolhive-name': 'it' } },
  status: {
    phase: 'Running',
    containerStatuses: [{ name: 'mcp', restartCount: 5, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  },
}

const cases: readonly (readonly [
  state: string,
  manifest: Manifest,
  kstatus: Kstatus,
  argo: Argo,
  others?: { readonly manifests?: readonly Manifest[]; readonly objects?: readonly KubeObject[] },
])[] = [
  ['is new', server(), 'InProgress', 'Progressing'],
  ['serves', server(), 'Current', 'Healthy', { objects: [pods('it'), proxies('it')] }],
  [
    'is rolled out',
    server(),
    'InProgress',
    'Progressing',
    { objects: [pods('it'), workload('Deployment', 'it', 2, 1)] },
  ],
  ['crashes', server(), 'Failed', 'Degraded', { objects: [pods('it', 0), proxies('it'), crashing] }],
  ['waits for an issuer', server(oidcRef), 'InProgress', 'Progressing', { objects: [pods('it'), proxies('it')] }],
  [
    'is stopped',
    server({ replicas: 0 }),
    'Current',
    'Suspended',
    { objects: [pods('it'), workload('Deployment', 'it', 0, 0)] },
  ],
  ['speaks what nobody serves yet', server({ transport: 'stdio' }), 'Failed', 'Degraded'],
  ['asks for the host network', server({ podTemplateSpec: { spec: { hostNetwork: true } } }), 'Failed', 'Degraded'],

  ['is new', remote(), 'InProgress', 'Progressing'],
  ['serves', remote(), 'Current', 'Healthy', { objects: [proxies('it')] }],
  ['is stopped', remote({ replicas: 0 }), 'Current', 'Suspended', { objects: [workload('Deployment', 'it', 0, 0)] }],
  ['waits for an issuer', remote(oidcRef), 'InProgress', 'Progressing', { objects: [proxies('it')] }],
  ['points inside', remote({ remoteUrl: 'http://10.0.0.1' }), 'Failed', 'Degraded', { objects: [proxies('it')] }],

  ['is new', virtual('a'), 'InProgress', 'Progressing', { manifests: [member('a', 'True')] }],
  ['serves', virtual('a'), 'Current', 'Healthy', { manifests: [member('a', 'True')], objects: [proxies('it')] }],
  [
    'waits for its servers',
    virtual('a'),
    'InProgress',
    'Progressing',
    { manifests: [member('a', 'False')], objects: [proxies('it')] },
  ],
  [
    'misses a server',
    virtual('a', 'b'),
    'Current',
    'Degraded',
    { manifests: [member('a', 'True')], objects: [proxies('it')] },
  ],
  ['has no servers yet', virtual(), 'InProgress', 'Progressing', { objects: [proxies('it')] }],

  ['can be called', entry(), 'Current', 'Healthy'],
  ['waits for certificates', entry(ca), 'InProgress', 'Progressing'],
  ['is a loopback address', entry({ remoteUrl: 'http://localhost', allowPrivateEndpoint: true }), 'Failed', 'Degraded'],

  ['is empty', simple('MCPGroup'), 'Current', 'Healthy'],
  ['is valid', simple('MCPOIDCConfig', oidc), 'Current', 'Healthy'],
  [
    'lacks its certificates',
    simple('MCPOIDCConfig', { ...oidc, inline: { ...oidc.inline, ...ca } }),
    'Failed',
    'Degraded',
  ],
  ['is valid', simple('MCPExternalAuthConfig', { type: 'unauthenticated' }), 'Current', 'Healthy'],
  [
    'cannot be done',
    simple('MCPExternalAuthConfig', {
      type: 'tokenExchange',
      tokenExchange: { tokenUrl: 'https://a.example', audience: 'b' },
    }),
    'Failed',
    'Degraded',
  ],
  ['cannot be done', simple('MCPAuthzConfig', { type: 'cedarv1', config: {} }), 'Failed', 'Degraded'],
  ['is valid', simple('MCPToolConfig'), 'Current', 'Healthy'],
  [
    'shows two tools as one',
    simple('MCPToolConfig', { toolsOverride: { a: { name: 'c' }, b: { name: 'c' } } }),
    'Failed',
    'Degraded',
  ],
  ['is valid', simple('MCPTelemetryConfig', { prometheus: { enabled: true } }), 'Current', 'Healthy'],
  ['sends to nowhere', simple('MCPTelemetryConfig', { openTelemetry: { enabled: true } }), 'Failed', 'Degraded'],
  [
    'cannot be done',
    simple('MCPWebhookConfig', { validating: [{ name: 'a', url: 'https://a.example' }] }),
    'Failed',
    'Degraded',
  ],

  ['is valid', simple('VirtualMCPCompositeToolDefinition', tool([])), 'Current', 'Healthy'],
  ['waits for itself', simple('VirtualMCPCompositeToolDefinition', tool(['a'])), 'Failed', 'Degraded'],
  ['is new', simple('EmbeddingServer'), 'InProgress', 'Progressing'],
  ['serves', simple('EmbeddingServer'), 'Current', 'Healthy', { objects: [pods('it')] }],
  ['is not served here', simple('MCPRegistry', { configYAML: 'a: b' }), 'Failed', 'Degraded'],
  [
    'has no target yet',
    simple('ToolPolicy', { targetRef: { kind: 'MCPServer', name: 'a' }, rules: [] }),
    'InProgress',
    'Progressing',
  ],
  [
    'is in force',
    simple('ToolPolicy', { targetRef: { kind: 'MCPServer', name: 'a' }, rules: [] }),
    'Current',
    'Healthy',
    { manifests: [member('a', 'True')] },
  ],
]

let redis: Awaited<ReturnType<typeof startRedis>> | undefined
let argo: (seen: Seen) => Promise<unknown> = () => Promise.reject(new Error('no Lua'))
let end = (): void => undefined

before(async () => {
  redis = await startRedis()
  const client = createClient({ url: `redis://127.0.0.1:${redis.port}` })
  await client.connect()
  const file = new URL('../../examples/cluster/argocd/health.yaml', import.meta.url)
  const { data } = parse(await readFile(file, 'utf8')) as { data: { 'resource.customizations': string } }
  const rules = parse(data['resource.customizations']) as Record<string, { 'health.lua': string }>
  const scripts = Object.values(rules).map((one) => one['health.lua'])
  assert.deepEqual(Object.keys(rules), ['toolhive.stacklok.dev/*', 'waggle.dev/*'])
  assert.equal(new Set(scripts).size, 1)
  const script = `local obj = cjson.decode(ARGV[1])\nlocal function health()\n${scripts[0] ?? ''}\nend\nreturn cjson.encode(health())`
  argo = async (seen) => {
    const answer = await client.eval(script, { arguments: [JSON.stringify(seen)] })
    return (JSON.parse(String(answer)) as { status: unknown }).status
  }
  end = () => client.destroy()
})
after(async () => {
  end()
  await redis?.close()
})

for (const [state, manifest, expected, health, { manifests = [], objects = [] } = {}] of cases) {
  test(`${manifest.kind} that ${state} is ${expected} for kstatus and ${health} for Argo CD`, async () => {
    const planner = planners.get(manifest.kind)
    assert.ok(planner !== undefined)
    const { conditions, status: fields } = planned(planner, { manifests: [manifest, ...manifests], objects }, 'it')
    const written = composeStatus({ generation: 3, conditions, fields, warnings: [], failure: undefined }, {}, 0)
    const seen: Seen = { metadata: { generation: 3 }, status: written }
    assert.equal(kstatus(seen), expected, JSON.stringify(written))
    assert.equal(await argo(seen), health)
    // A newer spec that nobody has looked at yet.
    const newer: Seen = { metadata: { generation: 4 }, status: written }
    assert.equal(kstatus(newer), 'InProgress')
    assert.equal(await argo(newer), 'Progressing')
    const going: Seen = { metadata: { generation: 3, deletionTimestamp: '2026-11-22T00:00:00Z' }, status: written }
    assert.equal(kstatus(going), 'Terminating')
    assert.equal(await argo(going), 'Progressing')
  })
}

test('every kind is in the table', () => {
  assert.deepEqual([...new Set(cases.map(([, { kind }]) => kind))].sort(), [...planners.keys()].sort())
})

test('a resource that cannot be read is Failed and Degraded, whatever it was before', async () => {
  for (const previous of [{}, { phase: 'Ready', conditions: [{ type: 'Ready', status: 'True', reason: 'Running' }] }]) {
    const draft = invalidStatus(previous, [{ path: 'spec.image', message: 'is required' }])
    const seen: Seen = { metadata: { generation: 1 }, status: composeStatus({ ...draft, generation: 1 }, previous, 0) }
    assert.equal(kstatus(seen), 'Failed')
    assert.equal(await argo(seen), 'Degraded')
  }
})

test('a resource that nobody has looked at yet is not healthy for Argo CD', async () => {
  assert.equal(await argo({ metadata: { generation: 1 }, status: {} }), 'Progressing')
})
