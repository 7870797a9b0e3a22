// What the operator's chart renders, without a cluster. UPDATE_GOLDEN=1 writes the golden files anew.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { KubeObject } from '../../agent/kube/object.ts'
import { run } from './bed/shell.ts'
import { tools } from './bed/tools.ts'
import { charts, container, environmentOf, find, isOne, objectsOf, render, values as file } from './chart.ts'
import { examples } from './release.ts'
import { allowed, fill, rightsIn, sorted } from './rights.ts'
import type { Rule } from './rights.ts'

const built = await tools()
const ci = join(charts.agent, 'ci')
const golden = join(import.meta.dirname, 'golden')
const valuesFiles = readdirSync(ci).sort()
const seed = join(examples, 'seed/namespace-mode.values.yaml')

const managed = sorted(allowed.operator.managed)
const own = sorted(fill(allowed.operator.own, { release: 'waggle-agent' }))
const objects = (...values: string[]): KubeObject[] => objectsOf(render(built, ...values))
const rulesOf = (object: KubeObject): readonly Rule[] => object['rules'] as Rule[]
const environment = (...values: string[]): Record<string, string | undefined> => environmentOf(objects(...values))

/** What Helm says when it refuses. */
function refusal(...values: string[]): string {
  try {
    render(built, ...values)
  } catch (error) {
    return String(error)
  }
  return 'rendered'
}

test('both charts pass lint --strict, with every values file', () => {
  run([built.helm, 'lint', '--strict', charts.crds, '--kube-version', '1.36.0'])
  for (const name of valuesFiles)
    run([built.helm, 'lint', '--strict', charts.agent, '--kube-version', '1.36.0', '--values', join(ci, name)])
})

for (const name of valuesFiles)
  test(`${name} renders what its golden file says`, () => {
    const rendered = render(built, '--values', join(ci, name))
    const path = join(golden, name.replace('-values', ''))
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, rendered)
    assert.equal(rendered, readFileSync(path, 'utf8'))
  })

test('in cluster scope the operator gets exactly the rights of the list', () => {
  const rendered = objects()
  assert.deepEqual(rightsIn(rulesOf(find(rendered, 'ClusterRole'))), managed)
  assert.deepEqual(rightsIn(rulesOf(find(rendered, 'Role', 'waggle-agent-own'))), own)
})

test('in namespace scope it gets them in each namespace and nothing is cluster-wide', () => {
  const rendered = objects('--values', seed)
  assert.deepEqual(
    rendered.filter((object) => object.metadata.namespace === undefined),
    [],
  )
  const role = rulesOf(find(rendered, 'Role', 'waggle-agent-own'))
  assert.deepEqual(rightsIn(role), own)
  const withCa = objects('--values', seed, '--set', 'operator.extraCA.configMap=company-ca')
  assert.deepEqual(rightsIn(rulesOf(find(withCa, 'Role', 'waggle-agent-own'))), {
    ...own,
    ...sorted(allowed.operator.apart),
  })
  const namespaces = ['platform-tools', 'team-frontend', 'team-backend', 'production']
  for (const namespace of namespaces) {
    const there = rendered.filter((object) => object.metadata.namespace === namespace)
    assert.deepEqual(
      there.map((object) => object.kind),
      ['Role', 'RoleBinding'],
    )
    assert.deepEqual(rightsIn(rulesOf(find(there, 'Role'))), managed)
  }
  assert.equal(environment('--values', seed)['WATCH_NAMESPACE'], namespaces.join(','))
})

test('reading Secrets is a right that has to be asked for', () => {
  const asked = find(objects(...file('take-over')), 'ClusterRole')
  assert.deepEqual(rightsIn(rulesOf(asked)), {
    ...managed,
    secrets: ['create', 'get', 'list', 'watch'],
  })
})

test('values become the environment of the operator', () => {
  const { POD_NAME, POD_NAMESPACE, WAGGLE_IMAGE_PULL_POLICY: _, ...rest } = environment(...file('high-availability'))
  assert.deepEqual([POD_NAME, POD_NAMESPACE], [undefined, undefined])
  assert.deepEqual(rest, {
    WAGGLE_CLUSTER: 'west',
    WAGGLE_LEASE: 'waggle-agent-leader',
    WAGGLE_METRICS_PORT: '8080',
    WAGGLE_HEALTH_PORT: '8081',
    WAGGLE_IMAGE: container(objects()).image,
    WAGGLE_IMAGE_PULL_SECRETS: 'registry,mirror',
    WAGGLE_DEFAULT_OIDC_CONFIG: 'toolhive-system/company',
    WAGGLE_DEFAULT_OIDC_AUDIENCE: 'mcp',
    WAGGLE_REQUIRE_AUTHENTICATION: 'true',
    WAGGLE_EGRESS_ALLOW: '*.corp.example,10.20.0.0/16',
    WAGGLE_EXTRA_CA_CONFIGMAP: 'company-ca',
    WAGGLE_NETWORK_POLICIES: 'true',
    WAGGLE_METRICS_NAMESPACES: 'monitoring',
    WAGGLE_POD_DISRUPTION_BUDGETS: 'true',
    WAGGLE_TOPOLOGY_SPREAD: 'true',
    WAGGLE_ROLL_ON_SECRET_CHANGE: 'false',
    WAGGLE_OPENSHIFT: 'false',
    WAGGLE_TAKE_OVER: 'false',
  })
})

test('the operator listens where operator.ports says, and so are its Service and its probes', () => {
  const ports = [
    { name: 'metrics', containerPort: 9090 },
    { name: 'health', containerPort: 9091 },
  ]
  const rendered = objects('--set-json', `operator.ports=${JSON.stringify(ports)}`)
  const { WAGGLE_METRICS_PORT, WAGGLE_HEALTH_PORT } = environmentOf(rendered)
  assert.deepEqual([WAGGLE_METRICS_PORT, WAGGLE_HEALTH_PORT], ['9090', '9091'])
  const service = find(rendered, 'Service').spec as { ports: { port: number; targetPort: string }[] }
  assert.deepEqual(
    service.ports.map(({ port, targetPort }) => [targetPort, port]),
    [
      ['metrics', 9090],
      ['health', 9091],
    ],
  )
})

test('the image is the agent of the chart’s version', () => {
  const { version } = parse(readFileSync(join(charts.agent, '../../package.json'), 'utf8')) as { version: string }
  assert.equal(container(objects()).image, `ghcr.io/waggle-dev/agent:${version}`)
  assert.deepEqual(container(objects()).args, ['operator'])
})

test('a name that the chart sets cannot be set by operator.env, other names can', () => {
  const { env } = container(objects(...file('toolhive')))
  assert.equal(env.find(({ name }) => name === 'TZ')?.value, 'UTC')
  assert.deepEqual(
    env.filter(({ name }) => name === 'POD_NAMESPACE').map(({ valueFrom }) => valueFrom),
    [{ fieldRef: { fieldPath: 'metadata.namespace' } }],
  )
})

test('global.redis stands in for operator.defaultRedis', () => {
  const env = environment(...file('toolhive'))
  assert.equal(env['WAGGLE_DEFAULT_REDIS_ADDRESS'], 'redis.platform-tools.svc.cluster.local:6380')
  assert.equal(env['WAGGLE_DEFAULT_REDIS_SECRET'], 'redis-password')
  assert.equal(env['WAGGLE_DEFAULT_REDIS_SECRET_KEY'], 'redis-password')
  const own = environment(...file('toolhive'), '--set', 'operator.defaultRedis.addr=own:1')
  assert.equal(own['WAGGLE_DEFAULT_REDIS_ADDRESS'], 'own:1')
})

test('no Lease is rendered, which Argo CD would leave out: whoever wants to lead makes its own', () => {
  for (const name of valuesFiles)
    assert.equal(objects('--values', join(ci, name)).find(isOne('Lease')), undefined, name)
  const { WAGGLE_LEASE = '' } = environment()
  const rights = rightsIn(rulesOf(find(objects(), 'Role', 'waggle-agent-own')))
  assert.deepEqual(rights[`leases.coordination.k8s.io/${WAGGLE_LEASE}`], ['get', 'patch', 'update'])
  assert.deepEqual(rights['leases.coordination.k8s.io'], ['create'])
})

test('one replica has no disruption budget, several have one that lets one go', () => {
  assert.equal(objects().find(isOne('PodDisruptionBudget')), undefined)
  const budget = find(objects(...file('high-availability')), 'PodDisruptionBudget')
  assert.equal((budget.spec as { maxUnavailable: number }).maxUnavailable, 1)
})

test('values that cannot be meant are refused with what to do instead', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['operator.rbac.scope=namespace', /operator\.rbac\.allowedNamespaces: list the namespaces/],
    ['operator.rbac.allowedNamespaces={a}', /operator\.rbac\.scope: set it to namespace/],
    ['operator.rbac.scope=namespaced', /'\/operator\/rbac\/scope': value must be one of 'cluster', 'namespace'/],
    ['operator.replicaCount=two', /'\/operator\/replicaCount': got string, want integer/],
    ['operator.replicas=2', /'\/operator': additional properties 'replicas' not allowed/],
    ['operator.egress.allow={https://grafana.corp.example}', /'\/operator\/egress\/allow\/0'/],
    ['operator.podTemplate.allow={hostpath}', /'\/operator\/podTemplate\/allow\/0': value must be one of/],
    ['operator.defaultOIDCConfigRef.audience=mcp', /operator\.defaultOIDCConfigRef\.name: name the MCPOIDCConfig/],
    ['operator.image=ghcr.io/stacklok/toolhive/operator:v0.44.0', /operator\.image: .* remove the key/],
    ['operator.serviceAccount.create=false', /name an existing ServiceAccount in operator\.serviceAccount\.name/],
    ['edge.url=https://edge.example', /edge\.cluster: name this cluster/],
    ['edge.url=https://edge.example/', /'\/edge\/url': .* does not match pattern/],
    ['edge.url=http://edge.example', /'\/edge\/url': .* does not match pattern/],
    ['edge.url=https://edge.example,edge.cluster=in-cluster', /no cluster can be called in-cluster/],
    [
      'edge.url=https://edge.example,edge.cluster=a,cluster.name=b',
      /cluster\.name: edge\.cluster calls this cluster a/,
    ],
    ['edge.cluster=a', /edge\.url: say where the edge is/],
    ['edge.cluster=A', /'\/edge\/cluster': .* does not match pattern/],
    ['cluster.name=edge', /cluster\.name: edge is what policies call the edge/],
  ]
  for (const [value, expected] of cases) assert.match(refusal('--set', value), expected, value)
  const outside = ['--values', seed, '--set', 'operator.defaultOIDCConfigRef.name=company']
  assert.match(refusal(...outside), /its namespace toolhive-system is not in operator\.rbac\.allowedNamespaces/)
})
