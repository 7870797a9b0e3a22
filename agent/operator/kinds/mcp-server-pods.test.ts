import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import { container, plans, printed, proxy, running, server, variables } from './grafana-scene.ts'
import { message, NAMESPACE, objectOf, verdicts } from './scene.ts'

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

test('a restart by annotation gives new pods of both', () => {
  const key = 'mcpserver.toolhive.stacklok.dev/restarted-at'
  const plan = plans({}, { more: { annotations: { [key]: '2026-11-22T00:00:00Z' } } })
  for (const one of [server(plan), proxy(plan)]) assert.equal(one.metadata.annotations?.[key], '2026-11-22T00:00:00Z')
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
