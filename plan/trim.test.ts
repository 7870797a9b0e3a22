import assert from 'node:assert/strict'
import { test } from 'node:test'
import type * as z from 'zod'
import { readResource, schemas } from '../crds/cluster.ts'
import { kinds } from '../crds/kinds.ts'
import type { Json, Tree } from '../crds/plain.ts'
import { planEndpoint } from './cluster.ts'
import { resourceKey, type Resource } from './resources.ts'
import type { Site } from './site.ts'
import { SNAPSHOT_KINDS, type SnapshotKind } from '../protocol/snapshot.ts'
import { specs } from '../test/cluster/crds/specs.ts'
import { trim, type Published } from './trim.ts'

const site: Site = {
  cluster: 'here',
  defaultIssuer: undefined,
  defaultAudience: undefined,
  open: true,
  proxies: true,
  serviceAccounts: true,
  fleets: undefined,
  configMap: () => undefined,
}

function read(kind: SnapshotKind, name: string, spec: unknown, annotations = {}): Published | undefined {
  const { apiVersion } = kinds[kind]
  const reading = readResource({ apiVersion, kind, metadata: { name, namespace: 'team', annotations }, spec })
  return reading.ok ? (reading.resource as Published) : undefined
}

function must(kind: SnapshotKind, name: string, spec: unknown, annotations = {}): Published {
  const found = read(kind, name, spec, annotations)
  assert.ok(found !== undefined, `${kind} ${name} is valid`)
  return found
}

function back(trimmed: unknown): Published {
  const reading = readResource(structuredClone(trimmed))
  assert.ok(reading.ok, JSON.stringify(reading))
  return reading.resource as Published
}

const made = new Map<SnapshotKind, readonly Published[]>()

/** Valid resources of a kind, made at random. */
function resources(kind: SnapshotKind): readonly Published[] {
  const before = made.get(kind)
  if (before !== undefined) return before
  const spec = schemas[kind].shape.spec as z.ZodType
  const found = specs(spec, 120, 6).flatMap((one) => read(kind, 'it', known(kind, one)) ?? [])
  assert.ok(found.length > 30, `${found.length} of ${kind}`)
  made.set(kind, found)
  return found
}

/** A spec whose references lead to what is there. */
function known(kind: SnapshotKind, spec: Json): Json {
  if (kind !== 'VirtualMCPServer' || typeof spec !== 'object' || spec === null) return spec
  const tree = spec as Record<string, Json>
  if (tree['groupRef'] !== undefined) tree['groupRef'] = { name: 'club' }
  if (tree['backends'] !== undefined) tree['backends'] = [{ name: 'two' }, { name: 'one' }]
  const tools = ((tree['config'] as Tree | undefined)?.['aggregation'] as Tree | undefined)?.['tools']
  if (Array.isArray(tools))
    for (const [index, tool] of tools.entries())
      Object.assign(tool as object, { workload: index === 0 ? 'one' : `other-${index}` })
  return spec
}

const neighbours = [
  must('MCPGroup', 'club', {}),
  must('MCPToolConfig', 'few', { toolsFilter: ['a', 'b'], toolsOverride: { a: { name: 'alpha' } } }),
  must('MCPServer', 'one', {
    image: 'one',
    transport: 'streamable-http',
    groupRef: { name: 'club' },
    toolConfigRef: { name: 'few' },
  }),
  must('MCPRemoteProxy', 'two', { remoteUrl: 'https://two.example.com/mcp', groupRef: { name: 'club' } }),
  must('ToolPolicy', 'limits', {
    targetRef: { kind: 'MCPServer', name: 'one' },
    rules: [{ tools: ['a'], groups: ['ops'] }],
  }),
  must('ToolPolicy', 'more', {
    targetRef: { kind: 'VirtualMCPServer', name: 'it' },
    rules: [{ tools: ['*'], scopes: ['x'] }],
  }),
]

/** What the edge takes from the plan of an endpoint. */
function planOf(resource: Published, others: readonly Published[]): unknown {
  if (resource.kind !== 'MCPServer' && resource.kind !== 'MCPRemoteProxy' && resource.kind !== 'VirtualMCPServer')
    return undefined
  const all = new Map(
    [...others, resource].map((one): [string, Resource] => [
      resourceKey(one.kind, one.metadata.namespace, one.metadata.name),
      one,
    ]),
  )
  const { key, members, aggregation, rules } = planEndpoint(resource, all, site).endpoint
  const isVirtual = resource.kind === 'VirtualMCPServer'
  // How a proxy authenticates to its own server stays in the cluster.
  return {
    key,
    aggregation,
    rules,
    members: members.map(({ credential, ...rest }) => ({ ...rest, credential: isVirtual && credential })),
  }
}

test('what is left of a valid manifest is a valid manifest, which plans the same', () => {
  for (const kind of SNAPSHOT_KINDS) {
    for (const resource of resources(kind)) {
      const again = back(trim(resource, 'uid-1'))
      assert.equal(again.metadata.uid, 'uid-1')
      assert.deepEqual(
        planOf(
          again,
          neighbours.map((one) => back(trim(one, 'u'))),
        ),
        planOf(resource, neighbours),
      )
      if (kind === 'ToolPolicy' || kind === 'MCPToolConfig') assert.deepEqual(again.spec, resource.spec)
      assert.deepEqual(trim(again, 'uid-1'), trim(resource, 'uid-1'))
    }
  }
})

const SERVER = ['groupRef.name', 'image', 'remoteUrl', 'toolConfigRef.name', 'transport']

test('no other fields of a server leave the cluster than these', () => {
  const seen = new Set<string>()
  for (const kind of ['MCPServer', 'MCPRemoteProxy'] as const)
    for (const resource of resources(kind)) for (const path of paths(trim(resource, 'u')['spec'])) seen.add(path)
  assert.deepEqual([...seen].sort(), SERVER)
})

test('nothing of secrets, environments or ways in leaves the cluster with a virtual server', () => {
  for (const resource of resources('VirtualMCPServer')) {
    const { config, ...rest } = trim(resource, 'u')['spec'] as Tree
    assert.ok(Object.keys(rest).every((field) => field === 'backends' || field === 'groupRef'))
    assert.ok(Object.keys(config as Tree).every((field) => field === 'aggregation' || field === 'operational'))
  }
})

test('what hides in fields that people fill with secrets is not told', () => {
  const secret = { name: 'hush', key: 'hush' }
  const hidden = [
    must(
      'MCPServer',
      's',
      {
        image: 'img',
        args: ['--token=hush'],
        env: [{ name: 'HUSH', value: 'hush' }],
        secrets: [secret],
        serviceAccount: 'hush',
        podTemplateSpec: { spec: { containers: [{ name: 'mcp', env: [{ name: 'A', value: 'hush' }] }] } },
        externalAuthConfigRef: { name: 'hush' },
        endpointPrefix: '/hush',
      },
      { 'hush.example.com/token': 'hush', 'waggle.dev/federation': 'prefixed' },
    ),
    must('MCPRemoteProxy', 'p', {
      remoteUrl: 'https://mcp.example.com/s/hush/mcp?key=hush',
      headerForward: {
        addPlaintextHeaders: { 'x-key': 'hush' },
        addHeadersFromSecret: [{ headerName: 'x-a', valueSecretRef: secret }],
      },
    }),
    must('VirtualMCPServer', 'v', {
      config: { telemetry: { headers: { a: 'hush' } }, optimizer: { embeddingHeaders: { a: 'hush' } } },
      outgoingAuth: { default: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name: 'hush' } } },
      incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'hush', audience: 'hush' } },
    }),
  ]
  for (const resource of hidden) assert.doesNotMatch(JSON.stringify(trim(resource, 'u')), /hush/iu)
  const [first] = hidden
  assert.deepEqual(first === undefined ? {} : trim(first, 'u')['metadata'], {
    annotations: { 'waggle.dev/federation': 'prefixed' },
    name: 's',
    namespace: 'team',
    uid: 'u',
  })
})

test('the order in which somebody wrote fields makes no difference', () => {
  const a = must('MCPToolConfig', 'c', { toolsOverride: { a: { name: 'x', description: 'y' }, b: { name: 'z' } } })
  const b = must('MCPToolConfig', 'c', { toolsOverride: { b: { name: 'z' }, a: { description: 'y', name: 'x' } } })
  assert.equal(JSON.stringify(trim(a, 'u')), JSON.stringify(trim(b, 'u')))
})

function paths(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return [at]
  return Object.entries(value).flatMap(([name, field]) => paths(field, at === '' ? name : `${at}.${name}`))
}
