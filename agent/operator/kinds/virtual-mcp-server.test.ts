import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resourceKey } from '../../../plan/resources.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { keysMap, message, NAMESPACE, objectOf, planned, verdicts, world, type Manifest } from './scene.ts'
import { virtualServer } from './virtual-mcp-server.ts'

const NAME = 'platform-tools-vmcp'
const is = (type: string, status: 'True' | 'False', reason: string) => ({ type, status, reason, message: reason })
const running = { conditions: [is('Ready', 'True', 'Running')] }
const starting = { conditions: [is('Ready', 'False', 'Starting')] }
const stalled = { conditions: [is('Ready', 'False', 'InvalidName'), is('Stalled', 'True', 'InvalidName')] }

const server = (name: string, status: Manifest['status'] = running, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPServer',
  name,
  spec: { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', mcpPort: 8000, proxyPort: 8080 },
  status,
  ...more,
})
const remote = (name: string, status: Manifest['status'] = running): Manifest => ({
  kind: 'MCPRemoteProxy',
  name,
  spec: { url: 'https://mcp.linear.app/mcp', proxyPort: 8080 },
  status,
})
/** As the article prints it. */
const virtual = (spec: object = {}, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'VirtualMCPServer',
  name: NAME,
  spec: {
    backends: ['grafana', 'github', 'linear'].map((name) => ({ name, namespace: NAMESPACE })),
    proxyPort: 9090,
    ...spec,
  },
  ...more,
})
const fleet = [server('grafana'), server('github'), remote('linear')]
const deployment: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: NAME, namespace: NAMESPACE, generation: 1 },
  spec: { replicas: 1 },
  status: { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 1, replicas: 1 },
}
const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'k1', alg: 'ES256', use: 'sig' }
const keys = keysMap('VirtualMCPServer', NAME, {
  'signing.json': JSON.stringify({ keys: [jwk] }),
  'secrets.json': JSON.stringify({ signing: `${NAME}-signing-abc` }),
})
const runConfig = (plan: Plan): RunConfig =>
  JSON.parse(objectOf(plan, 'ConfigMap', `${NAME}-vmcp-config`).data?.['runconfig.json'] ?? '') as RunConfig

interface Case {
  readonly spec?: object
  readonly others?: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
}
const plans = ({ spec, others = fleet, objects = [deployment, keys], settings = {} }: Case = {}): Plan =>
  planned(virtualServer, { manifests: [virtual(spec), ...others], objects, settings })

test("the article's manifest gives ToolHive's objects, a Service on the article's port, and an alias by its name", () => {
  const plan = plans()
  assert.deepEqual(plan.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort(), [
    `ConfigMap ${NAME}-vmcp-config`,
    `Deployment ${NAME}`,
    `NetworkPolicy ${NAME}-vmcp`,
    `Role ${NAME}-vmcp`,
    `RoleBinding ${NAME}-vmcp`,
    `Service mcp-${NAME}-proxy`,
    `Service vmcp-${NAME}`,
    `ServiceAccount ${NAME}-vmcp`,
  ])
  const ports = (name: string): unknown[] =>
    (objectOf(plan, 'Service', name).spec as { ports: { port: number }[] }).ports.map(({ port }) => port)
  assert.deepEqual(ports(`vmcp-${NAME}`), [4483, 9090, 9464])
  assert.deepEqual(ports(`mcp-${NAME}-proxy`), [9090])
  assert.equal(plan.status['url'], `http://vmcp-${NAME}.${NAMESPACE}.svc.cluster.local:9090/mcp`)
  assert.equal(plan.status['phase'], 'Ready')
  assert.equal(verdicts(plan)['Ready'], 'True Running')
})

test('it calls the proxies of its servers as its caller, and never their pods', () => {
  const { servers, endpoint, port, self } = runConfig(plans())
  assert.equal(port, 4483)
  assert.deepEqual(self, { cluster: 'in-cluster', kind: 'VirtualMCPServer', namespace: NAMESPACE, name: NAME })
  assert.deepEqual(
    servers.map(({ url }) => url),
    [
      `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`,
      `http://mcp-github-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`,
      `http://mcp-linear-remote-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`,
    ],
  )
  for (const { credential } of endpoint.members) assert.equal(credential.kind, 'assertion')
})

test('a key is made once, mounted when it is there, and told to whoever asks', () => {
  const before = plans({ objects: [deployment] })
  assert.deepEqual(before.keys, [{ purpose: 'signing' }])
  assert.equal(verdicts(before)['SigningKeyReady'], 'False KeyMissing')
  const after = plans()
  assert.deepEqual(after.keys, [])
  assert.match(message(after, 'SigningKeyReady'), /k1/)
  assert.ok(JSON.stringify(objectOf(after, 'Deployment', NAME).spec).includes(`"${NAME}-signing-abc"`))
})

test('several pods share a sealing key', () => {
  const objects = [deployment, keys]
  assert.deepEqual(plans({ spec: { replicas: 2 }, objects }).keys, [{ purpose: 'sealing' }])
})

test('servers that are found are listed, with how they are and how they are spoken to', () => {
  const entry: Manifest = {
    kind: 'MCPServerEntry',
    name: 'docs',
    spec: {
      remoteUrl: 'https://docs.example/mcp',
      transport: 'streamable-http',
      externalAuthConfigRef: { name: 'vendor' },
    },
    status: { conditions: [is('Ready', 'True', 'Valid')] },
  }
  const vendor: Manifest = {
    kind: 'MCPExternalAuthConfig',
    name: 'vendor',
    spec: { type: 'bearerToken', bearerToken: { tokenSecretRef: { name: 'docs-token', key: 'token' } } },
  }
  const plan = plans({
    spec: { backends: [{ name: 'grafana' }, { name: 'github' }, { name: 'docs' }] },
    others: [server('grafana'), server('github', starting), entry, vendor],
  })
  assert.deepEqual(plan.status['discoveredBackends'], [
    {
      name: 'grafana',
      url: `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`,
      status: 'ready',
      authType: 'assertion',
    },
    {
      name: 'github',
      url: `http://mcp-github-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`,
      status: 'unavailable',
      authType: 'assertion',
      message: 'Starting',
    },
    {
      name: 'docs',
      url: 'https://docs.example/mcp',
      status: 'ready',
      authType: 'header_injection',
      authConfigRef: 'vendor',
    },
  ])
  assert.equal(plan.status['backendCount'], 2)
  // The token of a server that is called directly is a file in these pods.
  assert.ok(JSON.stringify(objectOf(plan, 'Deployment', NAME).spec).includes('"path":"docs-token/token"'))
})

test('the servers of a group are found by their groupRef', () => {
  const joined = server('grafana', running, {
    spec: { image: 'x', transport: 'streamable-http', groupRef: { name: 'fleet' } },
  })
  const plan = plans({
    spec: { backends: undefined, groupRef: { name: 'fleet' } },
    others: [{ kind: 'MCPGroup', name: 'fleet' }, joined, server('alone')],
  })
  assert.equal(plan.status['backendCount'], 1)
  assert.equal(verdicts(plan)['GroupRefValidated'], 'True GroupRefIsValid')
})

const authServerConfig = {
  issuer: 'https://as.example',
  upstreamProviders: [
    { name: 'corp', type: 'oidc', oidcConfig: { issuerUrl: 'https://login.example', clientId: 'waggle' } },
  ],
}
const team = { namespace: 'team-a' }
const cases: readonly (Case & {
  readonly name: string
  readonly phase: string
  readonly ready: string
  readonly stalled?: true
  readonly verdict?: readonly [type: string, verdict: string, says: RegExp]
})[] = [
  { name: 'its pods start', objects: [keys], phase: 'Pending', ready: 'False Starting' },
  {
    name: 'its servers start',
    others: [server('grafana', starting), server('github', {}), remote('linear', starting)],
    phase: 'Pending',
    ready: 'False BackendsUnavailable',
  },
  {
    name: 'all of its servers need somebody',
    others: [server('grafana', stalled), server('github', stalled), remote('linear', stalled)],
    phase: 'Failed',
    ready: 'False BackendsUnavailable',
    stalled: true,
  },
  {
    name: 'one of its servers is away',
    others: [server('grafana'), server('github', starting), remote('linear')],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['Ready', 'True BackendsDegraded', /2 of 3 servers are ready; not ready: github \(Starting\)/],
  },
  {
    name: 'one of its servers does not exist',
    others: [server('grafana'), remote('linear')],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['BackendsDiscovered', 'False BackendsNotFound', /is named platform-tools\/github/],
  },
  {
    name: 'it has no servers',
    spec: { backends: [] },
    phase: 'Pending',
    ready: 'False BackendsUnavailable',
    verdict: ['BackendsDiscovered', 'False NoBackends', /spec\.backends/],
  },
  {
    name: 'the owner of a server elsewhere has not agreed',
    spec: { backends: [{ name: 'grafana' }, { name: 'secret', ...team }] },
    others: [server('grafana'), server('secret', running, team)],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['BackendsAllowed', 'False ConsentMissing', /team-a\/secret has not agreed.*"platform-tools"/],
  },
  {
    name: 'the owner of a server elsewhere has agreed',
    spec: { backends: [{ name: 'grafana' }, { name: 'secret', ...team }] },
    others: [
      server('grafana'),
      server('secret', running, { ...team, annotations: { 'waggle.dev/allow-virtual-servers-from': NAMESPACE } }),
    ],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['BackendsDiscovered', 'True BackendsDiscovered', /2/],
  },
  {
    name: 'everybody may call because nobody said who may',
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'False Anonymous', /spec\.incomingAuth\.oidcConfigRef/],
  },
  {
    name: 'everybody may call because it says so',
    spec: { incomingAuth: { type: 'anonymous' } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'True IncomingAuthValid', /anonymous/],
  },
  {
    name: 'everybody may call although the admin forbids it',
    spec: { incomingAuth: { type: 'anonymous' } },
    settings: { requireAuthentication: true },
    phase: 'Failed',
    ready: 'False IncomingAuthInvalid',
    stalled: true,
  },
  {
    name: 'users of an issuer may call',
    spec: { incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'login', audience: 'mcp' } } },
    others: [
      ...fleet,
      { kind: 'MCPOIDCConfig', name: 'login', spec: { type: 'inline', inline: { issuer: 'https://login.example' } } },
    ],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'True IncomingAuthValid', /login/],
  },
  {
    name: 'its issuer is not there yet',
    spec: { incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'login', audience: 'mcp' } } },
    phase: 'Pending',
    ready: 'False OIDCConfigRefNotFound',
  },
  {
    name: 'its policies cannot be evaluated',
    spec: {
      incomingAuth: {
        type: 'anonymous',
        authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } },
      },
    },
    phase: 'Failed',
    ready: 'False AuthzConfigNotAvailable',
    stalled: true,
  },
  {
    name: 'it wants an authorization server of its own',
    spec: { authServerConfig },
    phase: 'Failed',
    ready: 'False NotSupported',
    stalled: true,
  },
  {
    name: "the settings of one server's tools are missing",
    spec: { config: { aggregation: { tools: [{ workload: 'grafana', toolConfigRef: { name: 'gone' } }] } } },
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['ToolConfigValidated', 'False ToolConfigRefNotFound', /gone/],
  },
  {
    name: 'it asks for what is not done yet',
    spec: {
      config: { optimizer: {}, rateLimiting: { shared: { maxTokens: 1, refillPeriod: '1s' } } },
      sessionStorage: { provider: 'redis', address: 'redis:6379' },
    },
    phase: 'Ready',
    ready: 'True Running',
    verdict: [
      'FieldsWithoutEffect',
      'True NotAvailable',
      /rateLimiting, spec\.config\.optimizer, spec\.sessionStorage/,
    ],
  },
  {
    name: 'it names a composite tool that is not there',
    spec: { config: { compositeToolRefs: [{ name: 'deploy' }] } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['CompositeToolRefsValidated', 'False CompositeToolRefNotFound', /deploy/],
  },
  {
    name: 'its own composite tool waits for itself',
    spec: { config: { compositeTools: [{ name: 'x', steps: [{ id: 'a', tool: 'b.c', dependsOn: ['a'] }] }] } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['CompositeToolRefsValidated', 'False CompositeToolRefInvalid', /compositeTools\[0\]: steps\[0\]/],
  },
  {
    name: 'its EmbeddingServer is not there',
    spec: { embeddingServerRef: { name: 'tei' } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['EmbeddingServerReady', 'False EmbeddingServerRefNotFound', /tei/],
  },
  {
    name: 'its pods may not be made',
    spec: { podTemplateSpec: { spec: { hostNetwork: true } } },
    phase: 'Failed',
    ready: 'False InvalidPodTemplateSpec',
    stalled: true,
    verdict: ['PodTemplateSpecValid', 'False InvalidPodTemplateSpec', /hostNetwork/],
  },
]

for (const { name, phase, ready, stalled: stuck, verdict, ...one } of cases) {
  test(`a virtual server is ${phase} when ${name}`, () => {
    const plan = plans(one)
    const seen = verdicts(plan)
    assert.equal(plan.status['phase'], phase)
    assert.equal(seen['Ready'], ready)
    assert.equal(seen['Stalled'] !== undefined, stuck === true)
    if (verdict === undefined) return
    const [type, value, says] = verdict
    assert.equal(seen[type], value)
    assert.match(message(plan, type), says)
  })
}

test('fields of the spec show in the objects or in the run config', () => {
  const plan = plans({
    spec: {
      serviceType: 'NodePort',
      sessionAffinity: 'None',
      serviceAccount: 'own',
      imagePullSecrets: [{ name: 'pull' }],
      podTemplateSpec: { spec: { nodeSelector: { zone: 'a' } } },
      config: {
        audit: { enabled: false },
        aggregation: {
          conflictResolution: 'priority',
          conflictResolutionConfig: { priorityOrder: ['grafana'] },
          excludeAllTools: true,
          defaultToolVisibility: 'deny',
          tools: [{ workload: 'grafana', filter: ['search'], overrides: { search: { name: 'find' } } }],
        },
        operational: {
          timeouts: { default: '10s', perWorkload: { github: '90s' } },
          failureHandling: { circuitBreaker: { enabled: true, failureThreshold: 7, timeout: '20s' } },
        },
      },
    },
  })
  const { endpoint, audit } = runConfig(plan)
  assert.equal(audit.enabled, false)
  assert.deepEqual(endpoint.aggregation, {
    strategy: 'priority',
    prefixFormat: '{workload}_',
    priorityOrder: ['grafana'],
    excludeAllTools: true,
    defaultToolVisibility: 'deny',
  })
  const [grafana, github] = endpoint.members
  assert.deepEqual(grafana?.filter, ['search'])
  assert.deepEqual(grafana?.overrides, { search: { name: 'find' } })
  assert.equal(grafana?.timeoutMs, 10_000)
  assert.equal(github?.timeoutMs, 90_000)
  assert.deepEqual(github?.breaker, { threshold: 7, openMs: 20_000 })
  const service = objectOf(plan, 'Service', `vmcp-${NAME}`).spec as {
    type: string
    sessionAffinity: string
    ports: { port: number }[]
  }
  assert.equal(service.type, 'NodePort')
  assert.ok(!service.ports.some(({ port }) => port === 9464), 'metrics and the catalog stay inside')
  assert.equal(service.sessionAffinity, 'None')
  const pods = JSON.stringify(objectOf(plan, 'Deployment', NAME).spec)
  for (const part of ['"serviceAccountName":"own"', '"imagePullSecrets":[{"name":"pull"}]', '"zone":"a"', '"vmcp"'])
    assert.ok(pods.includes(part), part)
})

test('a change of a server, or of a policy about it, reaches the virtual servers of its group', () => {
  const joined = server('grafana', running, {
    spec: { image: 'x', transport: 'streamable-http', groupRef: { name: 'fleet' } },
  })
  const policy: Manifest = {
    kind: 'ToolPolicy',
    name: 'careful',
    spec: { targetRef: { kind: 'MCPServer', name: 'grafana' }, rules: [] },
  }
  const users = virtual({ backends: undefined, groupRef: { name: 'fleet' } })
  const here = world({ manifests: [joined, policy, users, server('alone')] })
  const affected = (kind: string, name: string): readonly string[] => {
    const changed = here.resources.get(resourceKey(kind, NAMESPACE, name))
    assert.ok(changed !== undefined)
    return virtualServer.affected?.(changed, here) ?? []
  }
  const expected = [resourceKey('VirtualMCPServer', NAMESPACE, NAME)]
  assert.deepEqual(affected('MCPServer', 'grafana'), expected)
  assert.deepEqual(affected('ToolPolicy', 'careful'), expected)
  assert.deepEqual(affected('MCPServer', 'alone'), [])
})

test('a Secret of another namespace cannot be mounted, which is said', () => {
  const entry: Manifest = {
    kind: 'MCPServerEntry',
    name: 'docs',
    namespace: 'team-a',
    annotations: { 'waggle.dev/allow-virtual-servers-from': NAMESPACE },
    spec: {
      remoteUrl: 'https://docs.example/mcp',
      transport: 'streamable-http',
      headerForward: { addHeadersFromSecret: [{ headerName: 'X-Key', valueSecretRef: { name: 'k', key: 'v' } }] },
    },
  }
  const plan = plans({ spec: { backends: [{ name: 'docs', ...team }] }, others: [entry] })
  assert.equal(verdicts(plan)['SecretsMounted'], 'False SecretInOtherNamespace')
  assert.match(message(plan, 'SecretsMounted'), /team-a\/k/)
  assert.ok(!JSON.stringify(objectOf(plan, 'Deployment', NAME).spec).includes('"k/v"'))
})
