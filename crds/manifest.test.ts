import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { parseManifest, type Problem, type Resource } from './manifest.ts'

const linear = `
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPRemoteProxy
metadata:
  name: linear
  namespace: platform-tools
spec:
  url: https://mcp.linear.app/mcp
  proxyPort: 8080
`

const platformTools = `
apiVersion: toolhive.stacklok.dev/v1beta1
kind: VirtualMCPServer
metadata:
  name: platform-tools-vmcp
  namespace: platform-tools
spec:
  backends:
    - name: grafana
      namespace: platform-tools
    - name: github
      namespace: platform-tools
    - name: linear
      namespace: platform-tools
  proxyPort: 9090
`

function accepted(yaml: string): { resource: Resource; warnings: Problem[] } {
  const parsed = parseManifest(parse(yaml))
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed
}

function refused(yaml: string): Problem[] {
  const parsed = parseManifest(parse(yaml))
  assert.ok(!parsed.ok, JSON.stringify(parsed))
  return parsed.problems
}

function manifest(kind: string, spec: string, version = 'toolhive.stacklok.dev/v1beta1'): string {
  return `{apiVersion: ${version}, kind: ${kind}, metadata: {name: a}, spec: ${spec}}`
}

test('the MCPRemoteProxy of the article is accepted as printed', () => {
  const { resource, warnings } = accepted(linear)
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPRemoteProxy',
    metadata: { name: 'linear', namespace: 'platform-tools' },
    spec: {
      remoteUrl: 'https://mcp.linear.app/mcp',
      transport: 'streamable-http',
      allowPrivateEndpoint: false,
      proxyPort: 8080,
    },
  })
  assert.deepEqual(
    warnings.map(({ path, suggestion }) => [path, suggestion]),
    [
      ['spec.url', 'spec.remoteUrl'],
      ['spec.proxyPort', undefined],
    ],
  )
})

test('the VirtualMCPServer of the article is accepted as printed', () => {
  const { resource, warnings } = accepted(platformTools)
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'VirtualMCPServer',
    metadata: { name: 'platform-tools-vmcp', namespace: 'platform-tools' },
    spec: {
      backends: ['grafana', 'github', 'linear'].map((name) => ({ name, namespace: 'platform-tools' })),
      config: {
        aggregation: { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '{workload}_' } },
      },
      proxyPort: 9090,
    },
  })
  assert.deepEqual(
    warnings.map(({ path }) => path),
    ['spec.proxyPort'],
  )
})

test('all problems of a manifest are reported at once, each with its path', () => {
  const problems = refused(`
apiVersion: toolhive.stacklok.dev/v2
kind: VirtualMCPServer
metadata:
  name: Not_A_Name
  annotations: {waggle.dev/call-timout: 3s}
spec:
  groupRf: {name: demo}
  incomingAuth: {type: oidc}
  backends: [{name: a}, {nam: b}, {name: a}]
  config:
    aggregation:
      conflictResolution: priorty
      tools: [{workload: a, overrides: {x.y: {descripton: z}}}]
  proxyPort: '9090'
`)
  assert.deepEqual(
    new Map(problems.map(({ path, suggestion }) => [path, suggestion])),
    new Map([
      ['apiVersion', 'toolhive.stacklok.dev/v1beta1'],
      ['metadata.annotations["waggle.dev/call-timout"]', 'waggle.dev/call-timeout'],
      ['metadata.name', undefined],
      ['spec.backends[1].name', undefined],
      ['spec.backends[1].nam', 'name'],
      ['spec.backends[2].name', undefined],
      ['spec.incomingAuth.oidcConfigRef', undefined],
      ['spec.config.aggregation.conflictResolution', 'priority'],
      ['spec.config.aggregation.tools[0].overrides["x.y"].descripton', 'description'],
      ['spec.proxyPort', undefined],
      ['spec.groupRf', 'groupRef'],
    ]),
  )
})

test('a kind of the cluster is refused with what to do instead', () => {
  const [problem] = refused(manifest('MCPServer', '{image: x}'))
  assert.equal(problem?.path, 'kind')
  assert.match(problem?.message ?? '', /runs in a cluster/)
})

test('kinds and versions that nobody knows are refused with a suggestion', () => {
  const cases: [string, string, string | undefined][] = [
    ['{}', 'kind', undefined],
    ['{kind: VirtualMCPSever}', 'kind', 'VirtualMCPServer'],
    ['{kind: vmcp}', 'kind', 'VirtualMCPServer'],
    ['{kind: List, items: []}', 'kind', undefined],
    ['{kind: MCPGroup, metadata: {name: a}}', 'apiVersion', 'toolhive.stacklok.dev/v1beta1'],
    [manifest('ToolPolicy', '{targetRef: {kind: MCPServer, name: a}, rules: []}'), 'apiVersion', 'waggle.dev/v1alpha1'],
    ['[]', '', undefined],
    ['text', '', undefined],
  ]
  for (const [yaml, path, suggestion] of cases) {
    const problems = refused(yaml)
    assert.equal(problems.length, 1, yaml)
    assert.equal(problems[0]?.path, path, yaml)
    assert.equal(problems[0]?.suggestion, suggestion, yaml)
  }
})

test('the older version is read as the present one, with a warning', () => {
  const { resource, warnings } = accepted(manifest('MCPGroup', '{}', 'toolhive.stacklok.dev/v1alpha1'))
  assert.equal(resource.apiVersion, 'toolhive.stacklok.dev/v1beta1')
  assert.deepEqual(
    warnings.map(({ message }) => message),
    ['toolhive.stacklok.dev/v1alpha1 is deprecated; use v1beta1'],
  )
})

test('what a server sets is dropped, what identifies the object is kept', () => {
  const { resource, warnings } = accepted(`
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPGroup
metadata:
  name: a
  uid: u
  resourceVersion: '7'
  generation: 3
  creationTimestamp: '2026-10-01T00:00:00Z'
  managedFields: [{manager: kubectl}]
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', team.example.com/owner: me}
spec: {description: null}
status: {phase: Ready}
`)
  assert.deepEqual(warnings, [])
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPGroup',
    metadata: {
      name: 'a',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '7',
      annotations: { 'team.example.com/owner': 'me' },
    },
    spec: {},
  })
})

test('the namespace of the options is used only where the manifest names none', () => {
  const namespaceOf = (yaml: string): string | undefined => {
    const parsed = parseManifest(parse(yaml), { defaultNamespace: 'team' })
    return parsed.ok ? parsed.resource.metadata.namespace : undefined
  }
  assert.equal(namespaceOf(manifest('MCPGroup', '{}')), 'team')
  assert.equal(namespaceOf(linear), 'platform-tools')
})

test('what the edge does not act on is accepted with a warning that names it', () => {
  const cases: [kind: string, spec: string, paths: string[]][] = [
    [
      'MCPExternalAuthConfig',
      '{type: xaa, xaa: {idpTokenUrl: https://a.example, targetTokenUrl: https://b.example, targetAudience: c}}',
      ['spec.type'],
    ],
    ['MCPExternalAuthConfig', '{type: unauthenticated}', []],
    ['MCPOIDCConfig', '{type: kubernetesServiceAccount, kubernetesServiceAccount: {}}', ['spec.type']],
    [
      'VirtualMCPServer',
      '{authServerConfig: {issuer: https://a.example, upstreamProviders: [{name: p, type: oidc, oidcConfig: {issuerUrl: https://b.example, clientId: c}}]}, config: {optimizer: {}, compositeTools: [{name: x, steps: []}], audit: {enabled: true}}}',
      ['spec.authServerConfig', 'spec.config.audit', 'spec.config.compositeTools', 'spec.config.optimizer'],
    ],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, resources: {limits: {cpu: 100m}}, authzConfigRef: {name: a}}',
      ['spec.authzConfigRef', 'spec.resources'],
    ],
  ]
  for (const [kind, spec, paths] of cases) {
    const { warnings } = accepted(manifest(kind, spec))
    assert.deepEqual(warnings.map(({ path }) => path).sort(), paths, `${kind} ${spec}`)
  }
})

test('a ToolPolicy takes single claim values, numbers and booleans as lists of text', () => {
  const spec = `{targetRef: {kind: MCPServerEntry, name: board}, rules: [
    {tools: ['delete_*'], groups: [admins], claims: {dept: ops, verified: true, level: [3, four]}, scopes: [mcp:write]},
    {tools: ['*']}]}`
  const { resource, warnings } = accepted(manifest('ToolPolicy', spec, 'waggle.dev/v1alpha1'))
  assert.ok(resource.kind === 'ToolPolicy')
  assert.deepEqual(resource.spec.rules[0]?.claims, { dept: ['ops'], verified: ['true'], level: ['3', 'four'] })
  assert.deepEqual(
    warnings.map(({ path }) => path),
    ['spec.rules[1]'],
  )
})
