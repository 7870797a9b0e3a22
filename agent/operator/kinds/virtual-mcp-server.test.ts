import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resourceKey } from '../../../plan/resources.ts'
import { deployment, is, keys, NAME, plans, runConfig, running, server, starting, virtual } from './fleet-scene.ts'
import { message, NAMESPACE, objectOf, verdicts, world, type Manifest } from './scene.ts'
import { virtualServer } from './virtual-mcp-server.ts'

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
  const plan = plans({ spec: { backends: [{ name: 'docs', namespace: 'team-a' }] }, others: [entry] })
  assert.equal(verdicts(plan)['SecretsMounted'], 'False SecretInOtherNamespace')
  assert.match(message(plan, 'SecretsMounted'), /team-a\/k/)
  assert.ok(!JSON.stringify(objectOf(plan, 'Deployment', NAME).spec).includes('"k/v"'))
})
