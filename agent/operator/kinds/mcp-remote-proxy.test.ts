import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunConfig } from '../../run-config.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { remoteProxy } from './mcp-remote-proxy.ts'
import { configMap, keysMap, message, NAMESPACE, objectOf, planned, verdicts, type Manifest } from './scene.ts'

/** As the article prints it. */
const linear = (spec: object = {}, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPRemoteProxy',
  name: 'linear',
  spec: { url: 'https://mcp.linear.app/mcp', proxyPort: 8080, ...spec },
  ...more,
})
const plans = (spec: object = {}, others: readonly Manifest[] = [], settings: Partial<Settings> = {}): Plan =>
  planned(remoteProxy, { manifests: [linear(spec), ...others], settings })
const runConfig = (plan: Plan): RunConfig => {
  const text = objectOf(plan, 'ConfigMap', 'linear-runconfig').data?.['runconfig.json'] ?? ''
  return JSON.parse(text) as RunConfig
}
const deployment = (status: object, replicas = 1): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'linear', namespace: NAMESPACE, generation: 1 },
  spec: { replicas },
  status: { observedGeneration: 1, ...status },
})
const ready = deployment({ readyReplicas: 1, updatedReplicas: 1, replicas: 1 })

test("the article's manifest gives the objects that ToolHive gives, and an alias by the article's name", () => {
  const { objects } = plans()
  assert.deepEqual(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort(), [
    'ConfigMap linear-runconfig',
    'Deployment linear',
    'NetworkPolicy linear-proxy',
    'Role linear-remote-proxy-runner',
    'RoleBinding linear-remote-proxy-runner',
    'Service mcp-linear-proxy',
    'Service mcp-linear-remote-proxy',
    'ServiceAccount linear-remote-proxy-runner',
  ])
  for (const { metadata } of objects) assert.equal(metadata.namespace, NAMESPACE)
})

test('the run config says where calls go, under whose eyes, and to whom the proxy belongs', () => {
  const config = runConfig(plans())
  assert.deepEqual(config.self, { cluster: 'in-cluster', kind: 'MCPRemoteProxy', namespace: NAMESPACE, name: 'linear' })
  assert.equal(config.url, `http://mcp-linear-remote-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`)
  assert.equal(config.servers[0]?.url, 'https://mcp.linear.app/mcp')
  assert.equal(config.servers[0]?.transport, 'streamable-http')
  assert.equal(config.audit.enabled, true)
  assert.deepEqual(config.signers, [])
})

test('the status URL follows proxyPort and endpointPrefix', () => {
  assert.equal(
    plans({ proxyPort: 9000, endpointPrefix: 'tools/' }).status['url'],
    `http://mcp-linear-remote-proxy.${NAMESPACE}.svc.cluster.local:9000/tools/mcp`,
  )
})

test('every field of the spec shows in the objects or in the run config', () => {
  const secret = { name: 'linear-token', key: 'token' }
  const others: Manifest[] = [
    { kind: 'MCPOIDCConfig', name: 'login', spec: { type: 'inline', inline: { issuer: 'https://login.example' } } },
    {
      kind: 'MCPExternalAuthConfig',
      name: 'vendor',
      spec: { type: 'bearerToken', bearerToken: { tokenSecretRef: secret } },
    },
    { kind: 'MCPToolConfig', name: 'tools', spec: { toolsFilter: ['list_issues'] } },
    { kind: 'MCPGroup', name: 'fleet' },
    { kind: 'MCPTelemetryConfig', name: 'otel', spec: { prometheus: { enabled: true } } },
  ]
  const plan = plans(
    {
      transport: 'sse',
      proxyPort: 9000,
      groupRef: { name: 'fleet' },
      oidcConfigRef: { name: 'login', audience: 'linear', scopes: ['read'], resourceUrl: 'https://mcp.example/linear' },
      externalAuthConfigRef: { name: 'vendor' },
      telemetryConfigRef: { name: 'otel' },
      toolConfigRef: { name: 'tools' },
      headerForward: {
        addPlaintextHeaders: { 'X-Team': 'platform' },
        addHeadersFromSecret: [{ headerName: 'X-Key', valueSecretRef: { name: 'header', key: 'value' } }],
      },
      allowPrivateEndpoint: true,
      audit: { enabled: false },
      trustProxyHeaders: true,
      sessionAffinity: 'None',
      replicas: 2,
      resources: { limits: { cpu: '1', memory: '1Gi' } },
      serviceAccount: 'own',
      podTemplateSpec: { spec: { nodeSelector: { zone: 'a' } } },
      resourceOverrides: {
        proxyDeployment: {
          annotations: { 'example.com/a': 'b' },
          env: [{ name: 'HTTPS_PROXY', value: 'http://proxy' }],
          imagePullSecrets: [{ name: 'pull' }],
          podTemplateMetadataOverrides: { labels: { team: 'platform' } },
        },
        proxyService: { annotations: { 'example.com/lb': 'internal' } },
      },
    },
    others,
  )
  const config = runConfig(plan)
  assert.equal(config.trustProxyHeaders, true)
  assert.equal(config.audit.enabled, false)
  assert.equal(config.endpoint.guard.issuers?.[0]?.issuer, 'https://login.example')
  assert.equal(config.endpoint.guard.audience, 'linear')
  assert.equal(config.endpoint.guard.resource, 'https://mcp.example/linear')
  assert.deepEqual(config.endpoint.guard.scopes, ['read'])
  assert.deepEqual(config.endpoint.members[0]?.filter, ['list_issues'])
  const [server] = config.servers
  assert.equal(server?.transport, 'sse')
  assert.equal(server?.allowPrivate, true)
  assert.deepEqual(server?.headers, { 'x-team': 'platform' })
  assert.deepEqual(server?.secretHeaders, [
    { header: 'x-key', secret: { namespace: NAMESPACE, name: 'header', key: 'value' } },
  ])
  assert.equal(server?.credential.kind, 'header')

  const { spec, metadata } = objectOf(plan, 'Deployment', 'linear')
  const text = JSON.stringify(spec)
  assert.equal(metadata.annotations?.['example.com/a'], 'b')
  for (const part of [
    '"replicas":2',
    '"serviceAccountName":"own"',
    '"nodeSelector":{"zone":"a"}',
    '"memory":"1Gi"',
    '"name":"HTTPS_PROXY"',
    '"imagePullSecrets":[{"name":"pull"}]',
    '"team":"platform"',
    '"path":"linear-token/token"',
    '"path":"header/value"',
    '"containerPort":9000',
  ])
    assert.ok(text.includes(part), part)
  const service = objectOf(plan, 'Service', 'mcp-linear-remote-proxy')
  assert.equal(service.metadata.annotations?.['example.com/lb'], 'internal')
  assert.ok(JSON.stringify(service.spec).includes('"sessionAffinity":"None"'))
  assert.deepEqual(plan.keys, [{ purpose: 'sealing' }])
  assert.equal(plan.objects.filter(({ kind }) => kind === 'ServiceAccount').length, 0)
  const seen = verdicts(plan)
  assert.equal(seen['GroupRefValidated'], 'True GroupRefIsValid')
  assert.equal(seen['OIDCConfigRefValidated'], 'True OIDCConfigRefValid')
  assert.equal(seen['ExternalAuthConfigValidated'], 'True ExternalAuthConfigRefValid')
  assert.equal(seen['ToolConfigValidated'], 'True ToolConfigRefValid')
  assert.equal(seen['TelemetryConfigRefValidated'], 'True TelemetryConfigRefValid')
  assert.equal(seen['PodTemplateValid'], 'True ValidPodTemplateSpec')
  assert.equal(seen['AuthConfigured'], 'True AuthConfigured')
  assert.equal(seen['HeaderSecretRefsValidated'], 'True HeaderSecretRefsNotRead')
  assert.equal(seen['SessionStorageWarning'], 'True SessionStorageMissingForReplicas')
  for (const field of ['oidcConfigHash', 'externalAuthConfigHash', 'toolConfigHash', 'telemetryConfigHash'])
    assert.match(String(plan.status[field]), /^[0-9a-f]{8}$/, field)
})

const cases: readonly {
  readonly name: string
  readonly spec?: object
  readonly others?: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
  readonly phase: string
  readonly ready: string
  readonly stalled?: true
  readonly verdict?: readonly [type: string, verdict: string, says: RegExp]
}[] = [
  { name: 'is new', phase: 'Pending', ready: 'False Starting' },
  { name: 'has a ready pod', objects: [ready], phase: 'Ready', ready: 'True Running' },
  {
    name: 'is stopped',
    spec: { replicas: 0 },
    objects: [deployment({}, 0)],
    phase: 'Pending',
    ready: 'True Stopped',
  },
  {
    name: 'has no authentication',
    objects: [ready],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'False Anonymous', /everybody in this namespace may call/],
  },
  {
    name: 'has no authentication where the admin requires it',
    objects: [ready],
    settings: { requireAuthentication: true },
    phase: 'Failed',
    ready: 'False AuthenticationRequired',
    stalled: true,
  },
  {
    name: "has the chart's default issuer",
    objects: [ready],
    others: [
      {
        kind: 'MCPOIDCConfig',
        name: 'corp',
        namespace: 'toolhive-system',
        spec: { type: 'inline', inline: { issuer: 'https://login.example' } },
      },
    ],
    settings: { defaultOidcConfig: { namespace: 'toolhive-system', name: 'corp', audience: 'mcp' } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'True AuthConfigured', /toolhive-system\/corp, the default/],
  },
  {
    name: "lacks the chart's default issuer, which is no reason to let everybody in",
    objects: [ready],
    settings: { defaultOidcConfig: { namespace: 'toolhive-system', name: 'corp', audience: 'mcp' } },
    phase: 'Failed',
    ready: 'False DefaultOIDCConfigNotUsable',
    stalled: true,
  },
  {
    name: 'waits for an issuer that is not there yet',
    spec: { oidcConfigRef: { name: 'login', audience: 'linear' } },
    objects: [ready],
    phase: 'Pending',
    ready: 'False OIDCConfigRefNotFound',
    verdict: ['OIDCConfigRefValidated', 'False OIDCConfigRefNotFound', /spec\.oidcConfigRef\.name: there is no/],
  },
  {
    name: 'has inline policies, which nobody evaluates',
    spec: { authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } } },
    objects: [ready],
    phase: 'Failed',
    ready: 'False AuthzConfigNotAvailable',
    stalled: true,
  },
  {
    name: 'names an authorization server, which does not run',
    spec: { authServerRef: { kind: 'MCPExternalAuthConfig', name: 'as' } },
    objects: [ready],
    phase: 'Failed',
    ready: 'False InvalidType',
    stalled: true,
  },
  {
    name: 'points to a private address',
    spec: { url: 'http://10.0.0.7/mcp' },
    objects: [ready],
    phase: 'Failed',
    ready: 'False RemoteURLInvalid',
    stalled: true,
    verdict: ['ConfigurationValid', 'False RemoteURLInvalid', /allowPrivateEndpoint/],
  },
  {
    name: 'has pods that may not be made',
    spec: { podTemplateSpec: { spec: { hostNetwork: true } } },
    phase: 'Failed',
    ready: 'False InvalidPodTemplateSpec',
    stalled: true,
    verdict: ['PodTemplateValid', 'False InvalidPodTemplateSpec', /hostNetwork/],
  },
  {
    name: 'wants the port of the metrics',
    spec: { proxyPort: 9464 },
    phase: 'Failed',
    ready: 'False InvalidPort',
    stalled: true,
  },
  {
    name: 'keeps its sessions in Redis',
    spec: { replicas: 2, sessionStorage: { provider: 'redis', address: 'redis:6379', keyPrefix: 'x' } },
    objects: [deployment({ readyReplicas: 2, updatedReplicas: 2, replicas: 2 }, 2)],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['SessionStorageWarning', 'False SessionStorageConfigured', /Redis/],
  },
]

for (const {
  name,
  spec,
  others = [],
  objects = [],
  settings = {},
  phase,
  ready: expected,
  stalled,
  verdict,
} of cases) {
  test(`a remote proxy that ${name} is ${phase}`, () => {
    const plan = planned(remoteProxy, { manifests: [linear(spec), ...others], objects, settings })
    const seen = verdicts(plan)
    assert.equal(plan.status['phase'], phase)
    assert.equal(seen['Ready'], expected)
    assert.equal(seen['Stalled'] !== undefined, stalled === true)
    if (verdict === undefined) return
    const [type, value, says] = verdict
    assert.equal(seen[type], value)
    assert.match(message(plan, type), says)
  })
}

test('who cannot be told apart is kept within the namespace by the network; who can may come from anywhere', () => {
  const from = (plan: Plan): unknown => {
    const spec = objectOf(plan, 'NetworkPolicy', 'linear-proxy').spec as { ingress: readonly { from?: unknown }[] }
    return spec.ingress[0]?.from
  }
  assert.deepEqual(from(plans()), [{ podSelector: {} }])
  const login: Manifest = {
    kind: 'MCPOIDCConfig',
    name: 'login',
    spec: { type: 'inline', inline: { issuer: 'https://login.example' } },
  }
  assert.equal(from(plans({ oidcConfigRef: { name: 'login', audience: 'a' } }, [login])), undefined)
  const off = plans({}, [], { networkPolicies: false })
  assert.equal(off.objects.filter(({ kind }) => kind === 'NetworkPolicy').length, 0)
})

test('nothing is deleted while a spec cannot be carried out', () => {
  const plan = plans({ podTemplateSpec: { spec: { hostPID: true } } })
  assert.equal(plan.keep, true)
  assert.deepEqual(plan.objects, [])
})

test('the keys of virtual servers that use the proxy are in its trust list, others are not', () => {
  const fleet: Manifest = { kind: 'VirtualMCPServer', name: 'fleet', spec: { backends: [{ name: 'linear' }] } }
  const other: Manifest = {
    kind: 'VirtualMCPServer',
    name: 'other',
    namespace: 'team-a',
    spec: { backends: [{ name: 'linear', namespace: NAMESPACE }] },
  }
  const jwk = (kid: string) => ({ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' })
  const keys = (name: string, namespace: string): KubeObject =>
    keysMap(
      'VirtualMCPServer',
      name,
      { 'signing.json': JSON.stringify({ keys: [{ ...jwk(name), d: 'private' }] }), 'secrets.json': '{}' },
      namespace,
    )
  const objects = [keys('fleet', NAMESPACE), keys('other', 'team-a')]
  const trusted = (annotations: Record<string, string>) =>
    runConfig(planned(remoteProxy, { manifests: [linear({}, { annotations }), fleet, other], objects })).signers
  const uses = ['call', 'catalog']
  const own = { issuer: `in-cluster/${NAMESPACE}/VirtualMCPServer/fleet`, uses, jwks: { keys: [jwk('fleet')] } }
  const far = { issuer: 'in-cluster/team-a/VirtualMCPServer/other', uses, jwks: { keys: [jwk('other')] } }
  assert.deepEqual(trusted({}), [own])
  assert.deepEqual(trusted({ 'waggle.dev/allow-virtual-servers-from': 'team-a' }), [own, far])
  assert.deepEqual(trusted({ 'waggle.dev/allow-virtual-servers-from': 'team-b' }), [own])
  // Whoever could not make the virtual server's keys cannot put others in their place.
  const planted = configMap('fleet-keys', { 'signing.json': JSON.stringify({ keys: [jwk('planted')] }) })
  const manifests = [linear(), fleet]
  const { signers } = runConfig(planned(remoteProxy, { manifests, objects: [planted] }))
  assert.deepEqual(signers, [])
})

test('nobody vouches for callers where what its owner says about them cannot be enforced', () => {
  const fleet: Manifest = { kind: 'VirtualMCPServer', name: 'fleet', spec: { backends: [{ name: 'linear' }] } }
  const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'k', alg: 'ES256', use: 'sig' }
  const objects = [keysMap('VirtualMCPServer', 'fleet', { 'signing.json': JSON.stringify({ keys: [jwk] }) })]
  const signers = (spec: object) =>
    runConfig(planned(remoteProxy, { manifests: [linear(spec), fleet], objects })).signers.length
  assert.equal(signers({}), 1)
  for (const spec of [
    { authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } } },
    { authzConfigRef: { name: 'policies' } },
    { oidcConfigRef: { name: 'gone', audience: 'a' } },
    { authServerRef: { name: 'login' } },
  ])
    assert.equal(signers(spec), 0, JSON.stringify(spec))
})

test('a Secret of the default issuer that is in another namespace cannot be mounted, which is said', () => {
  const clientSecretRef = { name: 'client', key: 'secret' }
  const inline = {
    issuer: 'https://idp.example.com',
    introspectionUrl: 'https://idp.example.com/introspect',
    clientId: 'proxy',
    clientSecretRef,
  }
  const company: Manifest = {
    kind: 'MCPOIDCConfig',
    name: 'company',
    namespace: 'toolhive-system',
    spec: { type: 'inline', inline },
  }
  const defaultOidcConfig = { namespace: 'toolhive-system', name: 'company', audience: undefined }
  const plan = plans({}, [company], { defaultOidcConfig })
  assert.equal(verdicts(plan)['SecretsMounted'], 'False SecretInOtherNamespace')
  assert.match(message(plan, 'SecretsMounted'), /toolhive-system\/client/)
})

test('deleting needs nothing to be cleaned up', () => {
  const plan = planned(remoteProxy, { manifests: [linear({}, { deleting: true })] })
  assert.deepEqual(plan.finalizers, [])
  assert.equal(plan.status['phase'], 'Terminating')
})
