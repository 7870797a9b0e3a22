import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse, stringify } from 'yaml'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { mcpServer } from './mcp-server.ts'
import { configMap, keysMap, message, NAMESPACE, objectOf, planned, verdicts, type Manifest } from './scene.ts'

/** As the article prints it. */
const printed = {
  image: 'grafana/mcp-grafana:latest',
  transport: 'streamable-http',
  mcpPort: 8000,
  proxyPort: 8080,
  env: [{ name: 'GRAFANA_URL', value: 'https://your-grafana.internal' }],
  secrets: [{ name: 'grafana-token', key: 'token', targetEnvName: 'GRAFANA_SERVICE_ACCOUNT_TOKEN' }],
  resources: { limits: { cpu: '200m', memory: '256Mi' }, requests: { cpu: '50m', memory: '128Mi' } },
}
const grafana = (spec: object = {}, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPServer',
  name: 'grafana',
  spec: { ...printed, ...spec },
  ...more,
})

interface Around {
  readonly others?: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
  readonly more?: Partial<Manifest>
}
const plans = (spec: object = {}, { others = [], objects = [], settings = {}, more = {} }: Around = {}): Plan =>
  planned(mcpServer, { manifests: [grafana(spec, more), ...others], objects, settings })

interface PodSpec {
  readonly containers: readonly Readonly<Record<string, unknown>>[]
  readonly [field: string]: unknown
}
interface Template {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> }
  readonly spec: PodSpec
}
const specOf = (object: KubeObject): Readonly<Record<string, unknown>> => object.spec as Record<string, unknown>
const template = (object: KubeObject): Template => specOf(object)['template'] as Template
const server = (plan: Plan): Template => template(objectOf(plan, 'StatefulSet', 'grafana'))
const proxy = (plan: Plan): Template => template(objectOf(plan, 'Deployment', 'grafana'))
const container = ({ spec }: Template): Readonly<Record<string, unknown>> => {
  const [first] = spec.containers
  assert.ok(first)
  return first
}
const variables = (one: Template): Record<string, unknown> =>
  Object.fromEntries(
    (container(one)['env'] as { name: string; value?: string; valueFrom?: unknown }[]).map((variable) => [
      variable.name,
      variable.value ?? variable.valueFrom,
    ]),
  )
const runConfig = (plan: Plan): RunConfig =>
  JSON.parse(objectOf(plan, 'ConfigMap', 'grafana-runconfig').data?.['runconfig.json'] ?? '') as RunConfig

const workload = (kind: 'Deployment' | 'StatefulSet', status: object, replicas = 1): KubeObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name: 'grafana', namespace: NAMESPACE, generation: 1 },
  spec: { replicas, template: { metadata: { labels: { 'waggle.dev/role': 'server' } } } },
  status: { observedGeneration: 1, ...status },
})
const serving = { readyReplicas: 1, updatedReplicas: 1, replicas: 1 }
const running = [workload('Deployment', serving), workload('StatefulSet', serving)]
const pod = (labels: Record<string, string>, waiting: object, lastState: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'grafana-0', namespace: NAMESPACE, labels },
  status: {
    containerStatuses: [{ name: 'mcp', image: printed.image, restartCount: 3, state: { waiting }, lastState }],
  },
})
const serverPod = { app: 'grafana', toolhive: 'true', 'toolhive-name': 'grafana' }

test("the article's manifest gives exactly these objects", () => {
  const path = join(import.meta.dirname, 'grafana.golden.yaml')
  const made = plans().objects.map((object) => JSON.parse(JSON.stringify(object)) as unknown)
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, stringify(made))
  assert.deepEqual(made, parse(readFileSync(path, 'utf8')))
})

test('the objects have the names that ToolHive gives them', () => {
  assert.deepEqual(
    plans()
      .objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      .sort(),
    [
      'ConfigMap grafana-runconfig',
      'Deployment grafana',
      'NetworkPolicy grafana-proxy',
      'NetworkPolicy grafana-server',
      'Role grafana-proxy-runner',
      'RoleBinding grafana-proxy-runner',
      'Service mcp-grafana',
      'Service mcp-grafana-headless',
      'Service mcp-grafana-proxy',
      'ServiceAccount grafana-proxy-runner',
      'ServiceAccount grafana-sa',
      'StatefulSet grafana',
    ],
  )
})

test("a server's secrets are in its own pods and nowhere in its proxy's", () => {
  const plan = plans()
  assert.deepEqual(variables(server(plan))['GRAFANA_SERVICE_ACCOUNT_TOKEN'], {
    secretKeyRef: { name: 'grafana-token', key: 'token' },
  })
  const others = plan.objects.filter(({ kind }) => kind !== 'StatefulSet')
  assert.doesNotMatch(JSON.stringify(others), /grafana-token/)
})

test('variables: what the user says wins over what the server is told of itself, a secret over both', () => {
  assert.deepEqual(
    variables(
      server(
        plans({
          env: [
            { name: 'MCP_PORT', value: '9' },
            { name: 'T', value: 'x' },
          ],
          secrets: [{ name: 's', key: 'T' }],
        }),
      ),
    ),
    {
      MCP_TRANSPORT: 'streamable-http',
      FASTMCP_PORT: '8000',
      MCP_HOST: '0.0.0.0',
      MCP_PORT: '9',
      T: { secretKeyRef: { name: 's', key: 'T' } },
    },
  )
})

test('two keys of one Secret become two variables', () => {
  const secrets = [
    { name: 'both', key: 'a', targetEnvName: 'A' },
    { name: 'both', key: 'b', targetEnvName: 'B' },
  ]
  const made = variables(server(plans({ secrets })))
  assert.deepEqual(made['A'], { secretKeyRef: { name: 'both', key: 'a' } })
  assert.deepEqual(made['B'], { secretKeyRef: { name: 'both', key: 'b' } })
})

test('resources are the server container’s, resourceOverrides the proxy’s', () => {
  const plan = plans({
    resourceOverrides: {
      proxyDeployment: {
        env: [{ name: 'EXTRA', value: '1' }],
        annotations: { a: 'deployment' },
        labels: { team: 'x', app: 'stolen' },
        imagePullSecrets: [{ name: 'pull' }],
        podTemplateMetadataOverrides: { annotations: { a: 'pod' }, labels: { tier: 'proxy' } },
      },
      proxyService: { annotations: { a: 'service' } },
    },
  })
  assert.deepEqual(container(server(plan))['resources'], printed.resources)
  assert.equal(variables(proxy(plan))['EXTRA'], '1')
  const deployment = objectOf(plan, 'Deployment', 'grafana')
  assert.deepEqual(deployment.metadata.annotations, { a: 'deployment' })
  assert.equal(deployment.metadata.labels?.['team'], 'x')
  assert.equal(deployment.metadata.labels?.['app'], 'mcpserver', 'labels that find pods are not the user’s')
  assert.equal(proxy(plan).metadata.annotations?.['a'], 'pod')
  assert.equal(proxy(plan).metadata.labels['tier'], 'proxy')
  assert.deepEqual(objectOf(plan, 'Service', 'mcp-grafana-proxy').metadata.annotations, { a: 'service' })
  for (const one of [proxy(plan), server(plan)]) assert.deepEqual(one.spec['imagePullSecrets'], [{ name: 'pull' }])
})

test('variables by which a proxy would run other code or trust others are left out, and said so', () => {
  const names = ['NODE_OPTIONS', 'node_extra_ca_certs', 'WAGGLE_CONFIG_FOLDER', 'KUBERNETES_SERVICE_HOST', 'LD_PRELOAD']
  const env = [...names, 'TOOLHIVE_DEBUG'].map((name) => ({ name, value: 'x' }))
  const plan = plans({ resourceOverrides: { proxyDeployment: { env } } })
  const set = Object.keys(variables(proxy(plan)))
  assert.ok(set.includes('TOOLHIVE_DEBUG'))
  assert.equal(variables(proxy(plan))['WAGGLE_CONFIG_MAP'], 'grafana-runconfig')
  for (const name of names) assert.ok(!set.includes(name), name)
  assert.equal(verdicts(plan)['ProxyEnvironmentApplied'], 'False ReservedVariables')
  for (const name of names) assert.ok(message(plan, 'ProxyEnvironmentApplied').includes(name), name)
  assert.equal(verdicts(plans())['ProxyEnvironmentApplied'], undefined)
})

test('the proxy may read its own ConfigMap and nothing else, the server nothing at all', () => {
  const plan = plans()
  assert.deepEqual(objectOf(plan, 'Role', 'grafana-proxy-runner')['rules'], [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['grafana-runconfig'],
      verbs: ['get', 'list', 'watch'],
    },
  ])
  assert.equal(server(plan).spec['automountServiceAccountToken'], false)
  assert.equal(objectOf(plan, 'ServiceAccount', 'grafana-sa')['automountServiceAccountToken'], false)
})

test('a ServiceAccount of the user’s replaces the server’s own', () => {
  const plan = plans({ serviceAccount: 'robot' })
  assert.equal(server(plan).spec['serviceAccountName'], 'robot')
  assert.equal(proxy(plan).spec['serviceAccountName'], 'grafana-proxy-runner')
  assert.ok(!plan.objects.some(({ metadata }) => metadata.name === 'grafana-sa'))
})

test('every pod is of the restricted level', () => {
  const plan = plans()
  for (const { spec } of [server(plan), proxy(plan)]) {
    const pods = spec['securityContext'] as Record<string, unknown>
    assert.equal(pods['runAsNonRoot'], true)
    assert.deepEqual(pods['seccompProfile'], { type: 'RuntimeDefault' })
    for (const one of spec.containers) {
      const context = one['securityContext'] as Record<string, unknown>
      assert.equal(context['allowPrivilegeEscalation'], false)
      assert.equal(context['readOnlyRootFilesystem'], true)
      assert.deepEqual(context['capabilities'], { drop: ['ALL'] })
    }
  }
  const openshift = plans({}, { settings: { openshift: true } })
  assert.doesNotMatch(JSON.stringify([server(openshift), proxy(openshift)]), /runAsUser|fsGroup/)
})

test('podTemplateSpec is merged into the server’s pods by Kubernetes’ rules', () => {
  const plan = plans({
    podTemplateSpec: {
      metadata: { annotations: { 'vault.hashicorp.com/agent-inject': 'true' } },
      spec: {
        nodeSelector: { disk: 'ssd' },
        containers: [
          {
            name: 'mcp',
            env: [{ name: 'GRAFANA_URL', value: 'https://other' }],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
          { name: 'side', image: 'side:1' },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
  })
  const made = server(plan)
  assert.equal(made.metadata.annotations?.['vault.hashicorp.com/agent-inject'], 'true')
  assert.deepEqual(made.spec['nodeSelector'], { disk: 'ssd' })
  assert.deepEqual(
    made.spec.containers.map((one) => one['name']),
    ['mcp', 'side'],
  )
  assert.equal(container(made)['image'], printed.image)
  assert.equal(variables(made)['GRAFANA_URL'], 'https://other')
  assert.deepEqual(
    (container(made)['volumeMounts'] as { mountPath: string }[]).map(({ mountPath }) => mountPath),
    ['/tmp', '/data'],
  )
  assert.equal(verdicts(plan)['PodTemplateValid'], 'True ValidPodTemplateSpec')
  assert.doesNotMatch(JSON.stringify(proxy(plan)), /vault/)
})

test('a pod that asks for Vault’s sidecar by annotations, as in ToolHive, has the token that the sidecar signs in with', () => {
  const inject = (value: string) => ({ metadata: { annotations: { 'vault.hashicorp.com/agent-inject': value } } })
  const mounts = (podTemplateSpec: object): unknown =>
    server(plans({ podTemplateSpec })).spec['automountServiceAccountToken']
  assert.equal(mounts(inject('true')), true)
  assert.equal(mounts(inject('false')), false)
  assert.equal(
    mounts({ ...inject('true'), spec: { automountServiceAccountToken: false } }),
    false,
    'the last word is theirs',
  )
})

test('a podTemplateSpec that weakens the pod is refused, and what runs is kept', () => {
  const spec = {
    podTemplateSpec: {
      spec: { hostNetwork: true, containers: [{ name: 'mcp', securityContext: { privileged: true } }] },
    },
  }
  const plan = plans(spec, { objects: running })
  assert.equal(plan.keep, true)
  assert.deepEqual(plan.objects, [])
  assert.equal(plan.status['phase'], 'Failed')
  assert.equal(verdicts(plan)['PodTemplateValid'], 'False InvalidPodTemplateSpec')
  assert.equal(verdicts(plan)['Stalled'], 'True InvalidPodTemplateSpec')
  assert.match(message(plan, 'Ready'), /hostNetwork \(hostNamespaces\).*securityContext.privileged \(privileged\)/)
  assert.equal(plan.events[0]?.reason, 'InvalidPodTemplateSpec')
  const allowed = plans(spec, { settings: { podTemplateAllow: new Set(['hostNamespaces', 'privileged']) } })
  assert.equal(server(allowed).spec['hostNetwork'], true)
})

test('directories of the node are mounted only where the admin allows it', () => {
  const spec = { volumes: [{ name: 'data', hostPath: '/srv', mountPath: '/data', readOnly: true }] }
  assert.equal(verdicts(plans(spec))['Stalled'], 'True HostPathNotAllowed')
  const made = server(plans(spec, { settings: { podTemplateAllow: new Set(['hostPath']) } }))
  assert.deepEqual((made.spec['volumes'] as object[]).at(-1), { name: 'data', hostPath: { path: '/srv' } })
  assert.deepEqual((container(made)['volumeMounts'] as object[]).at(-1), {
    name: 'data',
    mountPath: '/data',
    readOnly: true,
  })
})

test('the server hears only its proxy, and an anonymous proxy only its namespace', () => {
  const plan = plans()
  const policy = (name: string): Record<string, unknown[]> =>
    specOf(objectOf(plan, 'NetworkPolicy', name)) as Record<string, unknown[]>
  const labels = objectOf(plan, 'Deployment', 'grafana')
  assert.deepEqual(policy('grafana-server')['ingress'], [
    { from: [{ podSelector: specOf(labels)['selector'] }], ports: [{ port: 8000, protocol: 'TCP' }] },
  ])
  assert.deepEqual(policy('grafana-proxy')['ingress']?.[0], {
    from: [{ podSelector: {} }],
    ports: [{ port: 8080, protocol: 'TCP' }],
  })
  assert.equal(verdicts(plan)['AuthConfigured'], 'False Anonymous')
  const egress = JSON.stringify(policy('grafana-server')['egress'])
  assert.match(egress, /169\.254\.169\.254\/32/)
  assert.ok(!plans({}, { settings: { networkPolicies: false } }).objects.some(({ kind }) => kind === 'NetworkPolicy'))
})

const oidc: Manifest = {
  kind: 'MCPOIDCConfig',
  name: 'login',
  spec: { type: 'inline', inline: { issuer: 'https://idp.example.com' } },
}

test('with an issuer the proxy is reachable from everywhere, for callers it knows', () => {
  const plan = plans({ oidcConfigRef: { name: 'login', audience: 'grafana' } }, { others: [oidc], objects: running })
  const [public_] = specOf(objectOf(plan, 'NetworkPolicy', 'grafana-proxy'))['ingress'] as { from?: unknown }[]
  assert.equal(public_?.from, undefined)
  assert.equal(runConfig(plan).endpoint.guard.audience, 'grafana')
  assert.deepEqual(
    runConfig(plan).endpoint.guard.issuers?.map(({ issuer }) => issuer),
    ['https://idp.example.com'],
  )
  assert.equal(verdicts(plan)['Ready'], 'True Running')
  assert.match(String(plan.status['oidcConfigHash']), /^\w+$/)
})

test('an issuer that is not there admits nobody, and heals when it comes', () => {
  const plan = plans({ oidcConfigRef: { name: 'login', audience: 'grafana' } }, { objects: running })
  assert.deepEqual(runConfig(plan).endpoint.guard.issuers, [])
  assert.equal(verdicts(plan)['Ready'], 'False OIDCConfigRefNotFound')
  assert.equal(verdicts(plan)['Stalled'], undefined, 'it may still come')
  assert.equal(plan.status['phase'], 'Pending')
})

test('a default issuer whose Secret is in another namespace is believed, and what will fail for want of it is said', () => {
  const shared: Manifest = {
    kind: 'MCPOIDCConfig',
    name: 'company',
    namespace: 'toolhive-system',
    spec: {
      type: 'inline',
      inline: {
        issuer: 'https://idp.example.com',
        introspectionUrl: 'https://idp.example.com/introspect',
        clientId: 'proxy',
        clientSecretRef: { name: 'client', key: 'secret' },
      },
    },
  }
  const settings = { defaultOidcConfig: { namespace: 'toolhive-system', name: 'company', audience: undefined } }
  const plan = plans({}, { others: [shared], settings, objects: running })
  assert.equal(verdicts(plan)['SecretsMounted'], 'False SecretInOtherNamespace')
  assert.match(message(plan, 'SecretsMounted'), /toolhive-system\/client/)
  assert.equal(verdicts(plan)['AuthConfigured'], 'True AuthConfigured')
  assert.equal(verdicts(plan)['Ready'], 'True Running', 'signed tokens need no Secret')
  const own = plans(
    { oidcConfigRef: { name: 'company', audience: 'a' } },
    { others: [{ ...shared, namespace: NAMESPACE }] },
  )
  assert.equal(verdicts(own)['SecretsMounted'], undefined)
  assert.match(JSON.stringify(proxy(own)), /"client\/secret"/)
})

test('where authentication is required, a server without is refused', () => {
  const plan = plans({}, { settings: { requireAuthentication: true }, objects: running })
  assert.deepEqual(runConfig(plan).endpoint.guard.issuers, [])
  assert.equal(verdicts(plan)['Stalled'], 'True AuthenticationRequired')
})

test('the URL follows proxyPort and endpointPrefix; ports that need privileges are the Service’s only', () => {
  const url = (spec: object): unknown => plans(spec).status['url']
  assert.equal(url({}), `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`)
  assert.equal(
    url({ proxyPort: 9000, endpointPrefix: '/a' }),
    `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:9000/a/mcp`,
  )
  const plan = plans({ proxyPort: 80 })
  const ports = specOf(objectOf(plan, 'Service', 'mcp-grafana-proxy'))['ports'] as {
    port: number
    targetPort: unknown
  }[]
  assert.equal(ports[0]?.port, 80)
  assert.equal(ports[0]?.targetPort, 'http')
  assert.equal(runConfig(plan).port, 8080)
  assert.equal(verdicts(plans({ proxyPort: 9464 }))['Stalled'], 'True InvalidPort')
})

test('replicas are left alone unless they are given, and stdio has one of each', () => {
  const replicas = (spec: object): unknown[] => {
    const plan = plans(spec)
    return [
      specOf(objectOf(plan, 'Deployment', 'grafana'))['replicas'],
      specOf(objectOf(plan, 'StatefulSet', 'grafana'))['replicas'],
    ]
  }
  assert.deepEqual(replicas({}), [undefined, undefined])
  assert.deepEqual(replicas({ replicas: 2, backendReplicas: 3 }), [2, 3])
  assert.deepEqual(replicas({ replicas: 0, backendReplicas: 0 }), [0, 0])
  assert.deepEqual(replicas({ replicas: 2, backendReplicas: 3, transport: 'stdio' }), [1, 1])
})

test('several replicas share a sealing key, which is asked for once', () => {
  assert.deepEqual(plans({ replicas: 1 }).keys, [])
  assert.deepEqual(plans({ replicas: 2 }).keys, [{ purpose: 'sealing' }])
  const keys = keysMap('MCPServer', 'grafana', { 'secrets.json': '{"sealing":"grafana-sealing-0123456789"}' })
  const plan = plans({ replicas: 2 }, { objects: [keys] })
  assert.deepEqual(plan.keys, [])
  assert.match(JSON.stringify(proxy(plan).spec['volumes']), /grafana-sealing-0123456789/)
})

test('sessions without a common store are warned about', () => {
  const warning = (spec: object, settings: Partial<Settings> = {}) =>
    verdicts(plans(spec, { settings }))['SessionStorageWarning']
  const redis = { sessionStorage: { provider: 'redis', address: 'redis:6379' } }
  assert.equal(warning({}), 'False SessionStorageWarningNotApplicable')
  assert.equal(warning({ backendReplicas: 3 }), 'True SessionStorageMissingForReplicas')
  assert.equal(warning({ replicas: 2, ...redis }), 'False SessionStorageConfigured')
  assert.equal(
    warning({ replicas: 2 }, { defaultRedis: { address: 'r:1', secret: undefined } }),
    'False SessionStorageConfigured',
  )
})

test('servers over stdio and sse are planned, and say that calls are refused for now', () => {
  for (const transport of ['stdio', 'sse']) {
    const plan = plans({ transport }, { objects: running })
    assert.equal(verdicts(plan)['TransportServed'], 'False NotAvailable')
    assert.equal(verdicts(plan)['Stalled'], 'True TransportNotServed')
    assert.equal(container(server(plan))['stdin'], transport === 'stdio' ? true : undefined)
    const services = plan.objects.filter(({ kind }) => kind === 'Service').length
    assert.equal(services, transport === 'stdio' ? 1 : 3)
  }
})

test('it is running when a server and a proxy serve, and says so while a change is rolled out', () => {
  const plan = plans({}, { objects: running })
  assert.equal(verdicts(plan)['Ready'], 'True Running')
  assert.deepEqual(
    [plan.status['phase'], plan.status['message'], plan.status['readyReplicas']],
    ['Ready', 'MCP server is running', 1],
  )
  const rolling = plans(
    {},
    { objects: [workload('Deployment', serving), workload('StatefulSet', { ...serving, updatedReplicas: 0 })] },
  )
  assert.equal(verdicts(rolling)['Ready'], 'True Running')
  assert.equal(verdicts(rolling)['Reconciling'], 'True RollingOut')
  assert.equal(verdicts(plans())['Ready'], 'False Starting')
  const stopped = plans({ replicas: 0 }, { objects: [workload('Deployment', {}, 0), workload('StatefulSet', serving)] })
  assert.equal(stopped.status['phase'], 'Stopped')
  assert.equal(verdicts(stopped)['Ready'], 'True Stopped')
})

const troubles: readonly [string, KubeObject, string, string, RegExp][] = [
  [
    'a missing Secret',
    pod(serverPod, { reason: 'CreateContainerConfigError', message: 'secret "grafana-token" not found' }),
    'Pending',
    'SecretNotFound',
    /Secret platform-tools\/grafana-token does not exist/,
  ],
  [
    'a missing key',
    pod(serverPod, {
      reason: 'CreateContainerConfigError',
      message: "couldn't find key token in Secret platform-tools/grafana-token",
    }),
    'Pending',
    'SecretKeyNotFound',
    /has no key "token"/,
  ],
  [
    'an image that runs as root',
    pod(serverPod, {
      reason: 'CreateContainerConfigError',
      message: 'container has runAsNonRoot and image will run as root',
    }),
    'Failed',
    'CreateContainerConfigError',
    /runAsUser/,
  ],
  [
    'a crash',
    pod(serverPod, { reason: 'CrashLoopBackOff' }, { terminated: { exitCode: 7 } }),
    'Failed',
    'CrashLoopBackOff',
    /exit code 7: kubectl logs/,
  ],
  [
    'too little memory',
    pod(serverPod, { reason: 'CrashLoopBackOff' }, { terminated: { reason: 'OOMKilled' } }),
    'Failed',
    'CrashLoopBackOff',
    /resources.limits.memory/,
  ],
  [
    'an image that is not there',
    pod(serverPod, { reason: 'ErrImagePull', message: 'not found' }),
    'Pending',
    'ImagePullBackOff',
    /mcp-grafana:latest/,
  ],
  ['no name of an image', pod(serverPod, { reason: 'InvalidImageName' }), 'Failed', 'InvalidImageName', /spec.image/],
]
for (const [what, one, phase, reason, words] of troubles) {
  test(`${what} is told in the status`, () => {
    const plan = plans({}, { objects: [workload('Deployment', serving), workload('StatefulSet', {}), one] })
    assert.equal(plan.status['phase'], phase)
    assert.equal(verdicts(plan)['Ready'], `False ${reason}`)
    assert.match(String(plan.status['message']), words)
    assert.equal(verdicts(plan)['Stalled'], phase === 'Failed' ? `True ${reason}` : undefined)
  })
}

test('names that no Service can have are refused', () => {
  for (const name of ['a.b', 'x'.repeat(60)]) {
    const plan = planned(mcpServer, { manifests: [grafana({}, { name })] })
    assert.equal(verdicts(plan)['Stalled'], 'True InvalidName')
  }
})

test('a restart by annotation gives new pods of both', () => {
  const key = 'mcpserver.toolhive.stacklok.dev/restarted-at'
  const plan = plans({}, { more: { annotations: { [key]: '2026-11-22T00:00:00Z' } } })
  for (const one of [server(plan), proxy(plan)]) assert.equal(one.metadata.annotations?.[key], '2026-11-22T00:00:00Z')
})

test('a permission profile decides where the server may connect to', () => {
  const egress = (profile: object, objects: readonly KubeObject[] = []): unknown[] => {
    const plan = plans({ permissionProfile: profile }, { objects })
    return specOf(objectOf(plan, 'NetworkPolicy', 'grafana-server'))['egress'] as unknown[]
  }
  assert.deepEqual(egress({ type: 'builtin', name: 'none' }), [])
  assert.equal(egress({ type: 'builtin', name: 'network' }).length, 1)
  const profile = configMap('profile', { 'p.json': '{"network":{"outbound":{"allow_port":[5432]}}}' })
  assert.match(JSON.stringify(egress({ type: 'configmap', name: 'profile' }, [profile])), /5432/)
  assert.deepEqual(egress({ type: 'configmap', name: 'absent' }), [])
  const broken = plans({ permissionProfile: { type: 'configmap', name: 'absent' } })
  assert.equal(verdicts(broken)['PermissionProfileApplied'], 'False ProfileNotFound')
})

test('a StatefulSet of ToolHive’s keeps its pods until the spec changes', () => {
  const theirs = workload('StatefulSet', serving)
  const theirSpec = {
    replicas: 1,
    podManagementPolicy: 'OrderedReady',
    template: { metadata: { labels: { app: 'grafana' } } },
  }
  const first = objectOf(plans({}, { objects: [{ ...theirs, spec: theirSpec }] }), 'StatefulSet', 'grafana')
  assert.equal(specOf(first)['template'], undefined)
  assert.equal(specOf(first)['podManagementPolicy'], 'OrderedReady')
  const metadata = { ...theirs.metadata, annotations: { ...first.metadata.annotations } }
  const adopted = { ...theirs, metadata, spec: theirSpec }
  assert.deepEqual(objectOf(plans({}, { objects: [adopted] }), 'StatefulSet', 'grafana'), first, 'nothing changes')
  const changed = plans({ image: 'grafana/mcp-grafana:2' }, { objects: [adopted] })
  assert.equal(container(server(changed))['image'], 'grafana/mcp-grafana:2')
  assert.equal(specOf(objectOf(changed, 'StatefulSet', 'grafana'))['podManagementPolicy'], 'OrderedReady')
  const service = specOf(objectOf(plans({}, { objects: [adopted] }), 'Service', 'mcp-grafana'))
  assert.deepEqual(service['selector'], { app: 'grafana' }, 'pods without our label are found')
})

test('a plan depends on nothing but what it is given, and no list names anything twice', () => {
  const envs = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[A-Z_]{1,6}$/), value: fc.string({ maxLength: 8 }) }),
    {
      selector: ({ name }) => name,
      maxLength: 5,
    },
  )
  const specs = fc.record(
    {
      env: envs,
      secrets: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('a', 'b'),
          key: fc.constant('k'),
          targetEnvName: fc.stringMatching(/^[A-Z_]{1,6}$/),
        }),
        { selector: ({ targetEnvName }) => targetEnvName, maxLength: 4 },
      ),
      proxyPort: fc.integer({ min: 1, max: 65_535 }),
      mcpPort: fc.integer({ min: 1, max: 65_535 }),
      replicas: fc.nat({ max: 3 }),
      transport: fc.constantFrom('stdio', 'sse', 'streamable-http'),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(specs, (spec) => {
      const plan = plans(spec)
      assert.deepEqual(plan, plans(spec))
      const objects = plan.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      assert.equal(new Set(objects).size, objects.length)
      if (plan.objects.length === 0) return
      for (const one of [server(plan), proxy(plan)]) {
        const names = (container(one)['env'] as { name: string }[]).map(({ name }) => name)
        assert.equal(new Set(names).size, names.length)
      }
    }),
    { numRuns: 60 },
  )
})

test('where Secrets are watched, a server gets new pods when one of its own changes, and only then', () => {
  const secret = (name: string, resourceVersion: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: NAMESPACE, resourceVersion },
  })
  const pods = (objects: KubeObject[], rollOnSecretChange = true): string =>
    JSON.stringify(server(plans({}, { objects, settings: { rollOnSecretChange } })))
  const first = pods([secret('grafana-token', '1')])
  assert.equal(pods([secret('grafana-token', '1'), secret('other', '7')]), first)
  assert.notEqual(pods([secret('grafana-token', '2')]), first)
  assert.notEqual(pods([]), first)
  assert.equal(pods([secret('grafana-token', '2')], false), pods([], false))
})
