import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readResource } from '../crds/cluster.ts'
import { planEndpoint } from './cluster.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'
import { pemOf, type Site } from './site.ts'

const site: Site = {
  cluster: 'here',
  defaultIssuer: undefined,
  defaultAudience: undefined,
  open: true,
  proxies: true,
  serviceAccounts: true,
  fleets: undefined,
  configMap: (_namespace, name) => (name === 'corporate-ca' ? { 'ca.crt': 'PEM' } : undefined),
}

function read(...manifests: readonly object[]): Resources {
  const found = manifests.map((manifest): Resource => {
    const reading = readResource({ apiVersion: 'toolhive.stacklok.dev/v1beta1', ...manifest })
    assert.ok(reading.ok, JSON.stringify(reading))
    return reading.resource
  })
  return new Map(found.map((one) => [resourceKey(one.kind, one.metadata.namespace, one.metadata.name), one]))
}

function take<K extends Resource['kind']>(resources: Resources, kind: K, name: string): Extract<Resource, { kind: K }> {
  const found = resources.get(resourceKey(kind, 'team', name))
  assert.ok(found !== undefined)
  return found as Extract<Resource, { kind: K }>
}

const named = (name: string, annotations: Record<string, string> = {}) => ({ name, namespace: 'team', annotations })
const grafana = {
  kind: 'MCPServer',
  metadata: named('grafana'),
  spec: { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', mcpPort: 8000, proxyPort: 8080 },
}
const linear = { kind: 'MCPRemoteProxy', metadata: named('linear'), spec: { url: 'https://mcp.linear.app/mcp' } }

test('a proxy calls its own server, and a virtual server calls the proxies of its members as the caller', () => {
  const resources = read(grafana, linear, {
    kind: 'VirtualMCPServer',
    metadata: named('fleet'),
    spec: { backends: [{ name: 'grafana' }, { name: 'linear' }, { name: 'gone' }] },
  })
  const own = planEndpoint(take(resources, 'MCPServer', 'grafana'), resources, site)
  assert.equal(own.servers[0]?.url, 'http://mcp-grafana.team.svc.cluster.local:8000/mcp')
  assert.deepEqual(own.servers[0]?.credential, { kind: 'none' })
  assert.deepEqual(
    own.endpoint.members.map((member) => member.server),
    ['team/grafana'],
  )

  const fleet = planEndpoint(take(resources, 'VirtualMCPServer', 'fleet'), resources, site)
  assert.deepEqual(
    fleet.servers.map(({ url, catalogUrl, credential }) => ({ url, catalogUrl, credential })),
    [
      {
        url: 'http://mcp-grafana-proxy.team.svc.cluster.local:8080/mcp',
        catalogUrl: 'http://mcp-grafana-proxy.team.svc.cluster.local:9464/catalog',
        credential: { kind: 'assertion', audience: 'here/team/MCPServer/grafana' },
      },
      {
        url: 'http://mcp-linear-remote-proxy.team.svc.cluster.local:8080/mcp',
        catalogUrl: 'http://mcp-linear-remote-proxy.team.svc.cluster.local:9464/catalog',
        credential: { kind: 'assertion', audience: 'here/team/MCPRemoteProxy/linear' },
      },
    ],
  )
})

test('of a text with certificates nothing but the certificates goes on', () => {
  const certificate = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`
  const key = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----'
  const text = `# corporate\n${certificate('MA==')}\n${key}\n${certificate('MQ==')}\n`
  assert.equal(pemOf(text), `${certificate('MA==')}\n${certificate('MQ==')}`)
  assert.equal(pemOf(key), '')
})

test('a transport that no proxy speaks yet refuses calls instead of letting them hang', () => {
  const resources = read({ ...grafana, spec: { image: 'one', transport: 'stdio' } })
  const { servers } = planEndpoint(take(resources, 'MCPServer', 'grafana'), resources, site)
  assert.equal(servers[0]?.credential.kind, 'refused')
})

test('without any issuer an endpoint is open where the site says so; a reference that leads nowhere admits nobody', () => {
  const resources = read(grafana)
  const server = take(resources, 'MCPServer', 'grafana')
  assert.equal(planEndpoint(server, resources, site).endpoint.guard.issuers, undefined)
  assert.deepEqual(planEndpoint(server, resources, { ...site, open: false }).endpoint.guard.issuers, [])
  const named = { ...server, spec: { ...server.spec, oidcConfigRef: { name: 'gone' } } }
  assert.deepEqual(planEndpoint(named, resources, site).endpoint.guard.issuers, [])
})

test('tokens of service accounts are verified by the API server’s keys, and only of the accounts that are named', () => {
  const guarded = (kubernetesServiceAccount: object) =>
    read(
      { ...grafana, spec: { ...grafana.spec, oidcConfigRef: { name: 'accounts', audience: 'mcp' } } },
      {
        kind: 'MCPOIDCConfig',
        metadata: named('accounts'),
        spec: { type: 'kubernetesServiceAccount', kubernetesServiceAccount },
      },
    )
  const resources = guarded({ namespace: 'team', serviceAccount: 'bot' })
  const { guard } = planEndpoint(take(resources, 'MCPServer', 'grafana'), resources, site).endpoint
  assert.equal(guard.audience, 'mcp')
  const [issuer] = guard.issuers ?? []
  assert.equal(issuer?.clusterAuth, true)
  assert.deepEqual(issuer?.subjects, ['system:serviceaccount:team:bot'])
  const subjects = (accounts: object) => {
    const found = guarded(accounts)
    return planEndpoint(take(found, 'MCPServer', 'grafana'), found, site).endpoint.guard.issuers?.[0]?.subjects
  }
  assert.deepEqual(subjects({ serviceAccount: 'bot' }), [`system:serviceaccount:${named('accounts').namespace}:bot`])
  assert.deepEqual(subjects({ namespace: 'team' }), ['system:serviceaccount:team:'])
  for (const everybody of [{}, { serviceAccount: '', namespace: '' }]) assert.equal(subjects(everybody), undefined)
  const atEdge = planEndpoint(take(resources, 'MCPServer', 'grafana'), resources, { ...site, serviceAccounts: false })
  assert.deepEqual(atEdge.endpoint.guard.issuers, [])
})

test('a rule about a name that the member’s proxy changes holds for the new name at a virtual server', () => {
  const resources = read(
    { ...grafana, spec: { ...grafana.spec, toolConfigRef: { name: 'names' } } },
    { kind: 'MCPToolConfig', metadata: named('names'), spec: { toolsOverride: { delete_all: { name: 'tidy' } } } },
    {
      apiVersion: 'waggle.dev/v1alpha1',
      kind: 'ToolPolicy',
      metadata: named('careful'),
      spec: { targetRef: { kind: 'MCPServer', name: 'grafana' }, rules: [{ tools: ['delete_*'], groups: ['admins'] }] },
    },
    { kind: 'VirtualMCPServer', metadata: named('fleet'), spec: { backends: [{ name: 'grafana' }] } },
  )
  const [member] = planEndpoint(take(resources, 'VirtualMCPServer', 'fleet'), resources, site).endpoint.members
  assert.deepEqual(member?.rules, [{ tools: ['delete_*', 'tidy'], groups: ['admins'] }])
  assert.deepEqual(member?.overrides, {})
})

test('what is stated about callers and cannot be enforced admits nobody', () => {
  const webhooks = { kind: 'MCPServer', spec: { ...grafana.spec, webhookConfigRef: { name: 'hooks' } } }
  const embedded = { kind: 'MCPServer', spec: { ...grafana.spec, authServerRef: { name: 'login' } } }
  for (const manifest of [webhooks, embedded]) {
    const resources = read({ ...manifest, metadata: named('grafana') })
    const { endpoint } = planEndpoint(take(resources, 'MCPServer', 'grafana'), resources, site)
    assert.deepEqual(endpoint.guard.issuers, [], JSON.stringify(manifest.spec))
  }
  const authz = { type: 'anonymous', authz: { type: 'cedar' } }
  const login = { type: 'oidc', oidc: { issuer: 'https://login.example', audience: 'a', clientId: 'b' } }
  for (const spec of [
    { config: { incomingAuth: authz } },
    { incomingAuth: { type: 'anonymous' }, config: { incomingAuth: authz } },
    { config: { incomingAuth: login } },
  ]) {
    const resources = read({ kind: 'VirtualMCPServer', metadata: named('fleet'), spec })
    const { endpoint } = planEndpoint(take(resources, 'VirtualMCPServer', 'fleet'), resources, site)
    assert.deepEqual(endpoint.guard.issuers, [], JSON.stringify(spec))
  }
})

test('of a policy that says where, every rule is a placement, resolved for the cluster and the namespace of the server', () => {
  const placements = [
    { tools: ['*'], groups: ['developers'], clusters: ['b'] },
    { tools: ['*'], groups: ['operators'], clusters: ['a', 'b'], scopes: ['run'] },
    { tools: ['drop_*'], namespaces: ['elsewhere'] },
    { tools: ['drop_*'], groups: ['admins'] },
  ]
  const policy = (kind: string, name: string) => ({
    apiVersion: 'waggle.dev/v1alpha1',
    kind: 'ToolPolicy',
    metadata: named('where'),
    spec: { targetRef: { kind, name }, rules: placements },
  })
  const place = { policy: 'team/where', here: true }
  const expected = [
    { tools: ['*'], groups: [], place: { ...place, here: false } },
    { tools: ['*'], groups: ['operators'], scopes: ['run'], place },
    { tools: ['drop_*'], groups: [], place: { ...place, here: false } },
  ]
  const everywhere = { tools: ['drop_*'], groups: ['admins'] }
  const virtual = { kind: 'VirtualMCPServer', metadata: named('fleet'), spec: { backends: [{ name: 'grafana' }] } }
  const at = { ...site, cluster: 'a' }
  const own = read(grafana, virtual, policy('MCPServer', 'grafana'))
  assert.deepEqual(planEndpoint(take(own, 'MCPServer', 'grafana'), own, at).endpoint.members[0]?.rules, [
    ...expected,
    everywhere,
  ])
  const theirs = read(grafana, virtual, policy('VirtualMCPServer', 'fleet'))
  const { endpoint } = planEndpoint(take(theirs, 'VirtualMCPServer', 'fleet'), theirs, at)
  assert.deepEqual(endpoint.members[0]?.rules, expected)
  assert.deepEqual(endpoint.rules, [everywhere])
})
