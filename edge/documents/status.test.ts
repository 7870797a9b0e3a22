import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Health } from './health.ts'
import { members, serverKey } from '../../plan/members.ts'
import { referrers } from '../../plan/references.ts'
import type { ResourceDocument } from './resources.ts'
import { applied, manifest, pick } from './sample.ts'
import { status } from './status.ts'
import type { Status } from './status.ts'

const url = 'https://mcp.example.com/mcp'
const proxy = (place: string, spec: object = {}, metadata: object = {}) =>
  manifest('MCPRemoteProxy', place, { remoteUrl: url, ...spec }, metadata)
const virtual = (place: string, spec: object) => manifest('VirtualMCPServer', place, spec)
const ok: Health = { state: 'ok', revision: '2026-07-28', tools: 3, at: 0 }
const failed: Health = { state: 'failed', message: 'answered 502' }

function statusOf(
  document: ResourceDocument,
  kind: string,
  place: string,
  health: Record<string, Health> = {},
  secrets?: Record<string, string[]>,
): Status {
  return status(pick(document, kind, place), document.resources, new Map(Object.entries(health)), {
    publicUrl: 'https://edge.example.com',
    ...(secrets !== undefined && {
      secrets: new Map(Object.entries(secrets).map(([id, keys]) => [id, new Set(keys)])),
    }),
  })
}

/** `type=status reason` of one condition, with its message behind it. */
function said({ conditions }: Status, type: string): string {
  const found = conditions.find((condition) => condition.type === type)
  return found === undefined ? 'absent' : `${found.status} ${found.reason}: ${found.message}`
}

test('an endpoint says where clients connect', () => {
  const document = applied([proxy('a/x'), virtual('a/v', {})])
  assert.equal(statusOf(document, 'MCPRemoteProxy', 'a/x').url, 'https://edge.example.com/a/x/mcp')
  assert.equal(statusOf(document, 'VirtualMCPServer', 'a/v').url, 'https://edge.example.com/a/v/mcp')
})

for (const [name, health, phase, ready] of [
  ['a server nobody has reached yet is Pending', undefined, 'Pending', /^Unknown Pending/],
  ['a server that answers is Ready and its reason is Running', ok, 'Ready', /^True Running: .*2026-07-28.* 3 tools/],
  ['a server that does not answer has Failed and says why', failed, 'Failed', /^False RemoteUnavailable: answered 502/],
] as const) {
  test(name, () => {
    const shown = statusOf(applied([proxy('a/x')]), 'MCPRemoteProxy', 'a/x', health && { 'a/x': health })
    assert.equal(shown.phase, phase)
    assert.match(said(shown, 'Ready'), ready)
  })
}

for (const [field, kind, type] of [
  ['oidcConfigRef', 'MCPOIDCConfig', 'OIDCConfigRefValidated'],
  ['toolConfigRef', 'MCPToolConfig', 'ToolConfigValidated'],
  ['externalAuthConfigRef', 'MCPExternalAuthConfig', 'ExternalAuthConfigValidated'],
] as const) {
  test(`a server whose ${field} names nothing has Failed and names it`, () => {
    const document = applied([proxy('a/x', { [field]: { name: 'gone' } })])
    const shown = statusOf(document, 'MCPRemoteProxy', 'a/x', { 'a/x': ok })
    assert.equal(shown.phase, 'Failed')
    assert.match(said(shown, type), new RegExp(`^False .*NotFound: spec\\.${field}\\.name: there is no ${kind} a/gone`))
  })
}

test('a missing group does not stop a server', () => {
  const shown = statusOf(applied([proxy('a/x', { groupRef: { name: 'g' } })]), 'MCPRemoteProxy', 'a/x', { 'a/x': ok })
  assert.equal(shown.phase, 'Ready')
  assert.match(said(shown, 'GroupRefValidated'), /^False GroupRefNotFound/)
})

test('a stated policy that cannot be enforced makes the endpoint fail, not look safe', () => {
  const authzConfigRef = { name: 'p' }
  const document = applied([
    proxy('a/x', { authzConfigRef }),
    manifest('MCPOIDCConfig', 'a/login', { type: 'inline', inline: { issuer: 'https://id.example.com' } }),
    virtual('a/v', {
      backends: [{ name: 'x' }],
      incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'login' }, authzConfigRef },
    }),
  ])
  const health = { 'a/x': ok }
  assert.equal(statusOf(document, 'MCPRemoteProxy', 'a/x', health).phase, 'Failed')
  const shown = statusOf(document, 'VirtualMCPServer', 'a/v', health)
  assert.equal(shown.phase, 'Failed')
  assert.match(said(shown, 'AuthConfigured'), /^False .*not enforced/)
})

test('an auth configuration whose secret is missing is not valid, nor is what names it', () => {
  const document = applied([
    manifest('MCPExternalAuthConfig', 'a/auth', {
      type: 'bearerToken',
      bearerToken: { tokenSecretRef: { name: 's', key: 'token' } },
    }),
    proxy('a/x', { externalAuthConfigRef: { name: 'auth' } }),
  ])
  const shown = (secrets: Record<string, string[]>) => [
    statusOf(document, 'MCPExternalAuthConfig', 'a/auth', {}, secrets).phase,
    statusOf(document, 'MCPRemoteProxy', 'a/x', { 'a/x': ok }, secrets).phase,
  ]
  assert.deepEqual(shown({}), ['Failed', 'Failed'])
  assert.deepEqual(shown({ 'a/s': ['other'] }), ['Failed', 'Failed'])
  assert.deepEqual(shown({ 'a/s': ['token'] }), ['Valid', 'Ready'])
})

test('a kind of external auth that the edge cannot do is shown as such', () => {
  const document = applied([
    manifest('MCPExternalAuthConfig', 'a/auth', { type: 'upstreamInject', upstreamInject: { providerName: 'p' } }),
  ])
  assert.match(said(statusOf(document, 'MCPExternalAuthConfig', 'a/auth'), 'Valid'), /^False NotAvailableAtEdge/)
})

const seed = [
  proxy('platform-tools/linear'),
  virtual('platform-tools/platform-tools-vmcp', {
    backends: ['grafana', 'github', 'linear'].map((name) => ({ name, namespace: 'platform-tools' })),
    proxyPort: 9090,
  }),
]

test('a virtual server with backends that do not exist serves the others and names the missing', () => {
  const shown = statusOf(applied(seed), 'VirtualMCPServer', 'platform-tools/platform-tools-vmcp', {
    'platform-tools/linear': ok,
  })
  assert.equal(shown.phase, 'Degraded')
  assert.equal(shown['backendCount'], 1)
  assert.match(
    said(shown, 'BackendsDiscovered'),
    /^False BackendsNotFound: .*platform-tools\/grafana, platform-tools\/github/,
  )
  assert.deepEqual(shown['discoveredBackends'], [
    {
      name: 'linear',
      url,
      status: 'ready',
      mcpRevision: '2026-07-28',
      tools: 3,
      lastHealthCheck: '1970-01-01T00:00:00.000Z',
    },
  ])
})

const pair = [proxy('a/x'), proxy('a/y'), virtual('a/v', { backends: [{ name: 'x' }, { name: 'y' }] })]

for (const [name, health, phase] of [
  ['all backends answer: Ready', { 'a/x': ok, 'a/y': ok }, 'Ready'],
  ['one does not answer: Degraded', { 'a/x': ok, 'a/y': failed }, 'Degraded'],
  ['none answers: Failed', { 'a/x': failed, 'a/y': failed }, 'Failed'],
  ['none was reached yet: Pending', {}, 'Pending'],
] as const) {
  test(name, () => assert.equal(statusOf(applied(pair), 'VirtualMCPServer', 'a/v', health).phase, phase))
}

test('a virtual server without backends is Pending and says how to add some', () => {
  const shown = statusOf(applied([virtual('a/v', {})]), 'VirtualMCPServer', 'a/v')
  assert.equal(shown.phase, 'Pending')
  assert.match(said(shown, 'BackendsDiscovered'), /^False NoBackends: .*spec\.backends/)
})

test('a virtual server whose login configuration is missing has Failed', () => {
  const document = applied([
    proxy('a/x'),
    virtual('a/v', { backends: [{ name: 'x' }], incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'gone' } } }),
  ])
  const shown = statusOf(document, 'VirtualMCPServer', 'a/v', { 'a/x': ok })
  assert.equal(shown.phase, 'Failed')
  assert.match(said(shown, 'AuthConfigured'), /MCPOIDCConfig a\/gone/)
})

function memberKeys(document: ResourceDocument, place: string) {
  const resource = pick(document, 'VirtualMCPServer', place)
  assert.ok(resource.kind === 'VirtualMCPServer')
  const { servers, missing, denied } = members(resource, document.resources)
  return { servers: servers.map(serverKey), missing, denied: denied.map(serverKey) }
}

test('a server of another namespace is a member only with the consent of its owner', () => {
  const consent = (namespaces: string) => ({ annotations: { 'waggle.dev/allow-virtual-servers-from': namespaces } })
  const document = applied([
    proxy('b/open', {}, consent('c, a')),
    proxy('b/other', {}, consent('c')),
    proxy('b/closed'),
    virtual('a/v', { backends: ['open', 'other', 'closed'].map((name) => ({ name, namespace: 'b' })) }),
  ])
  assert.deepEqual(memberKeys(document, 'a/v'), { servers: ['b/open'], missing: [], denied: ['b/other', 'b/closed'] })
  const shown = statusOf(document, 'VirtualMCPServer', 'a/v', { 'b/open': ok })
  assert.equal(shown.phase, 'Degraded')
  assert.match(
    said(shown, 'BackendsAllowed'),
    /^False ConsentMissing: .*b\/other, b\/closed.*allow-virtual-servers-from: "a"/,
  )
})

test('a group has the servers of its own namespace that joined it', () => {
  const groupRef = { name: 'g' }
  const document = applied([
    manifest('MCPGroup', 'a/g', {}),
    proxy('a/y', { groupRef }),
    manifest('MCPServerEntry', 'a/x', { remoteUrl: url, transport: 'sse', groupRef }),
    proxy('b/z', { groupRef }),
    virtual('a/v', { groupRef }),
  ])
  assert.deepEqual(memberKeys(document, 'a/v').servers, ['a/x', 'a/y'])
  const { remoteProxies, entries } = statusOf(document, 'MCPGroup', 'a/g')
  assert.deepEqual([remoteProxies, entries], [['y'], ['x']])
})

test('a backend that is named twice, with and without its namespace, is one member', () => {
  const document = applied([proxy('a/x'), virtual('a/v', { backends: [{ name: 'x' }, { name: 'x', namespace: 'a' }] })])
  assert.deepEqual(memberKeys(document, 'a/v').servers, ['a/x'])
})

test('a policy waits for its target', () => {
  const policy = manifest('ToolPolicy', 'a/p', { targetRef: { kind: 'VirtualMCPServer', name: 'v' }, rules: [] })
  assert.equal(statusOf(applied([policy]), 'ToolPolicy', 'a/p').phase, 'Pending')
  assert.equal(statusOf(applied([policy, virtual('a/v', {})]), 'ToolPolicy', 'a/p').phase, 'Valid')
})

test('everything that names a resource is found, with the field that does', () => {
  const auth = { type: 'externalAuthConfigRef', externalAuthConfigRef: { name: 'auth' } }
  const document = applied([
    manifest('MCPExternalAuthConfig', 'a/auth', { type: 'unauthenticated' }),
    proxy('a/x', { externalAuthConfigRef: { name: 'auth' } }),
    virtual('a/v', { backends: [], outgoingAuth: { backends: { x: auth } } }),
    proxy('b/x', { externalAuthConfigRef: { name: 'auth' } }),
  ])
  const found = referrers(pick(document, 'MCPExternalAuthConfig', 'a/auth'), document.resources)
  assert.deepEqual(
    found.map(({ resource, path }) => `${serverKey(resource)} ${path}`),
    ['a/x spec.externalAuthConfigRef.name', 'a/v spec.outgoingAuth.backends["x"].externalAuthConfigRef.name'],
  )
})
