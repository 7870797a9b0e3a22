// The charts on a real API server, in a cluster of their own: what is rendered is valid and restricted, the operator's rights are those of the
// list and cannot be widened, and no upgrade, rollback or uninstall loses what users made.

import type { Pod, PodSpec } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import type { KubeObject } from '../../agent/kube/object.ts'
import { call, Refusal } from './bed/api.ts'
import { down, up } from './bed/cluster.ts'
import { cluster } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import * as store from './bed/store.ts'
import { tools } from './bed/tools.ts'
import { charts, examples, objectsOf, render, rightsOf } from './chart.ts'
import type { Rule } from './chart.ts'
import { agentImage, publishAgent, publishFixtures } from './image.ts'
import { handle } from './shared.ts'

const HOME = 'toolhive-system'
const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' }
const c = cluster('h')
const built = await tools()
const shared = handle(c, built)
const kubectl = (args: readonly string[], input?: string): string => shared.kubectl(args, input)
const helm = (args: readonly string[]): string => shared.helm(args)
const draft = mkdtempSync(join(tmpdir(), 'waggle-helm-'))
const ci = join(charts.agent, 'ci')
const seed = join(examples, 'seed')

const install = (release: string, chart: string, ...more: string[]): string =>
  helm(['upgrade', '--install', release, chart, '--namespace', HOME, ...more])
const installCrds = (chart: string = charts.crds): string => install('toolhive-operator-crds', chart)
const installAgent = (chart: string = charts.agent, ...more: string[]): string =>
  install('toolhive-operator', chart, '--wait', ...more)
const uninstall = (release: string): string => helm(['uninstall', release, '--namespace', HOME, '--wait'])
const get = <T = KubeObject>(path: string): Promise<T> => call<T>(c, 'GET', path)
const crd = (plural: string): Promise<KubeObject> =>
  get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}`)
const grafana = (at: string): Promise<KubeObject> =>
  get(`/apis/toolhive.stacklok.dev/v1beta1/namespaces/${at}/mcpservers/grafana`)

before(async () => {
  await publishAgent(built.store)
  await publishFixtures(built.store)
  store.tag(built.store, await agentImage(), 'ghcr.io/waggle-dev/agent:0.0.9')
  await up(c, built)
  await shared.namespace(HOME, RESTRICTED)
  for (const name of ['platform-tools', 'team-frontend', 'team-backend', 'production'])
    await shared.namespace(name, RESTRICTED)
})
after(async () => {
  rmSync(draft, { recursive: true })
  await down(c)
})

test('every object that the chart renders passes a strict dry run where pods are restricted', async () => {
  kubectl(['apply', '-f', '-'], stub('monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'))
  await until('the kind ServiceMonitor', () => kubectl(['get', 'servicemonitors', '-A']) === '')
  for (const name of readdirSync(ci)) {
    const rendered = render(built, '--values', join(ci, name))
    kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'], rendered)
    for (const spec of objectsOf(rendered).flatMap(podSpec)) await dryRun(spec)
  }
})

/** What a pod of this object would be; none for objects without pods. The ServiceAccount is not there in a dry run. */
function podSpec(object: KubeObject): PodSpec[] {
  const spec = object.kind === 'Pod' ? object.spec : (object.spec as { template?: Pod } | undefined)?.template?.spec
  return spec === undefined || spec === null ? [] : [{ ...spec, serviceAccountName: 'default' } as PodSpec]
}

const dryRun = (spec: PodSpec): Promise<unknown> =>
  call(c, 'POST', `/api/v1/namespaces/${HOME}/pods?dryRun=All&fieldValidation=Strict`, {
    metadata: { name: 'dry-run' },
    spec,
  })

test('a pod that is not restricted is refused, so the dry run proves something', async () => {
  const spec = { containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }] }
  await assert.rejects(dryRun(spec), { reason: 'Forbidden' })
})

test('the two commands install, and helm test passes', () => {
  installCrds()
  installAgent()
  helm(['test', 'toolhive-operator', '--namespace', HOME])
})

test('the operator’s rights are those of the list', async () => {
  const rights = parse(readFileSync(join(import.meta.dirname, 'rights.yaml'), 'utf8')) as {
    operator: { managed: Record<string, string[]> }
  }
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace: 'production' },
  }
  const { status } = await call<{ status: { resourceRules: Rule[] } }>(
    c,
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    review,
    await operatorToken(),
  )
  // What everybody who is signed in may do: ask who they are and what they may.
  const own = status.resourceRules.filter((rule) => !rule.resources.some((resource) => resource.startsWith('self')))
  assert.deepEqual(rightsOf(own), rights.operator.managed)
})

test('the operator can give proxies their Role and nothing that is wider', async () => {
  const token = await operatorToken()
  const rbac = (plural: string): string => `/apis/rbac.authorization.k8s.io/v1/namespaces/production/${plural}`
  const role = (name: string, ...rules: Rule[]): Promise<unknown> =>
    call(c, 'POST', rbac('roles'), { metadata: { name }, rules }, token)
  const bind = (name: string, kind: string, role_: string): Promise<unknown> =>
    call(c, 'POST', rbac('rolebindings'), binding(name, kind, role_), token)
  const own = {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: ['x-runconfig'],
    verbs: ['get', 'list', 'watch'],
  }

  await role('x-proxy-runner', own)
  await bind('x-proxy-runner', 'Role', 'x-proxy-runner')
  const wider: readonly (readonly [string, Rule])[] = [
    ['secrets', { apiGroups: [''], resources: ['secrets'], verbs: ['get'] }],
    ['exec', { apiGroups: [''], resources: ['pods/exec'], verbs: ['create'] }],
    ['attach', { apiGroups: [''], resources: ['pods/attach'], verbs: ['create', 'get'] }],
    ['jobs', { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create'] }],
    ['everything', { apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  ]
  for (const [name, rule] of wider) await assert.rejects(role(name, rule), { reason: 'Forbidden' }, name)
  await assert.rejects(bind('admin', 'ClusterRole', 'cluster-admin'), { reason: 'Forbidden' })
  const clusterBinding = binding('admin', 'ClusterRole', 'waggle-agent')
  const everywhere = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'
  await assert.rejects(call(c, 'POST', everywhere, clusterBinding, token), { reason: 'Forbidden' })
})

test('the operator can make a Secret and not read it, and enters no pod', async () => {
  const token = await operatorToken()
  const secrets = '/api/v1/namespaces/production/secrets'
  await call(c, 'POST', secrets, { metadata: { name: 'key' }, stringData: { key: 'k' } }, token)
  const refused: readonly (readonly [string, string])[] = [
    ['GET', `${secrets}/key`],
    ['GET', secrets],
    ['PATCH', `${secrets}/key`],
    ['DELETE', `${secrets}/key`],
    ['GET', '/api/v1/namespaces'],
    ['GET', '/api/v1/nodes'],
    ['GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
    ['POST', '/api/v1/namespaces/production/serviceaccounts/default/token'],
    ['POST', '/api/v1/namespaces/production/pods/any/exec?command=sh'],
    ['POST', '/api/v1/namespaces/production/pods/any/attach'],
    ['POST', '/api/v1/namespaces/production/pods'],
  ]
  for (const [method, path] of refused)
    await assert.rejects(
      call(c, method, path, method === 'GET' ? undefined : {}, token),
      isForbidden,
      `${method} ${path}`,
    )
})

const isForbidden = (error: unknown): boolean => error instanceof Refusal && error.status === 403

async function operatorToken(): Promise<string> {
  const path = `/api/v1/namespaces/${HOME}/serviceaccounts/waggle-agent/token`
  return (await call<{ status: { token: string } }>(c, 'POST', path, { spec: { expirationSeconds: 600 } })).status.token
}

const binding = (name: string, kind: string, role: string): unknown => ({
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
  subjects: [{ kind: 'ServiceAccount', name: 'x-proxy-runner', namespace: 'production' }],
})

test('the article’s server runs', async () => {
  kubectl(['-n', 'platform-tools', 'create', 'secret', 'generic', 'grafana-token', '--from-literal=token=t'])
  kubectl(['apply', '--validate=strict', '-f', join(seed, 'grafana.yaml')])
  await isRunning('platform-tools')
})

const isRunning = (at: string): Promise<boolean> =>
  until(
    `grafana in ${at} to run`,
    async () => ((await grafana(at)).status as { phase?: string } | undefined)?.phase === 'Ready',
  )

/** What must survive: the resource, and what the operator made of it. */
async function identities(): Promise<unknown> {
  const at = 'namespaces/platform-tools'
  const paths = [
    `/apis/toolhive.stacklok.dev/v1beta1/${at}/mcpservers/grafana`,
    `/apis/apps/v1/${at}/deployments/grafana`,
    `/apis/apps/v1/${at}/statefulsets/grafana`,
    `/api/v1/${at}/pods/grafana-0`,
  ]
  return Promise.all(paths.map(async (path) => (await get(path)).metadata.uid))
}

test('the version before is upgraded, rolled back and upgraded again under a running server', async () => {
  const was = await identities()
  // The same release, one version earlier: other images, a kind less, a Service less.
  const [crds, agent] = [earlier(charts.crds), earlier(charts.agent)]
  rmSync(join(crds, 'templates/crds/toolpolicies.yaml'))
  rmSync(join(agent, 'templates/service.yaml'))
  uninstall('toolhive-operator')
  uninstall('toolhive-operator-crds')
  await call(c, 'DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toolpolicies.waggle.dev')
  installCrds(crds)
  installAgent(agent)
  await assert.rejects(crd('toolpolicies.waggle.dev'), { reason: 'NotFound' })

  installCrds()
  installAgent()
  await crd('toolpolicies.waggle.dev')
  assert.match(image(), /:0\.1\.0$/)

  helm(['rollback', 'toolhive-operator', '--namespace', HOME, '--wait'])
  helm(['rollback', 'toolhive-operator-crds', '--namespace', HOME])
  assert.match(image(), /:0\.0\.9$/)
  await crd('toolpolicies.waggle.dev')

  installCrds()
  installAgent()
  helm(['test', 'toolhive-operator', '--namespace', HOME])
  await isRunning('platform-tools')
  assert.deepEqual(await identities(), was)
})

const image = (): string =>
  kubectl(['-n', HOME, 'get', 'deployment', 'waggle-agent', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'])

function earlier(chart: string): string {
  const copy = mkdtempSync(join(draft, 'chart-'))
  cpSync(chart, copy, { recursive: true })
  const path = join(copy, 'Chart.yaml')
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/ersion: '?0\.1\.0'?/g, "ersion: '0.0.9'"))
  return copy
}

test('uninstalling keeps the kinds, the resources and their servers; installing again adopts them', async () => {
  const was = await identities()
  uninstall('toolhive-operator')
  uninstall('toolhive-operator-crds')
  assert.deepEqual(await identities(), was)
  for (const path of readdirSync(join(charts.crds, 'templates/crds')))
    assert.match(kubectl(['get', 'crd', '-o', 'name']), new RegExp(path.replace('.yaml', '')))

  installCrds()
  installAgent()
  kubectl(['-n', 'platform-tools', 'delete', 'service', 'mcp-grafana-proxy'])
  await until('the Service to be made again', () => get('/api/v1/namespaces/platform-tools/services/mcp-grafana-proxy'))
  assert.deepEqual(await identities(), was)
})

test('a resource can be deleted while no operator is there to agree', async () => {
  uninstall('toolhive-operator')
  kubectl(['-n', 'platform-tools', 'delete', 'mcpserver', 'grafana', '--wait=false'])
  installAgent()
  await until('grafana and what belongs to it to go', async () => {
    await assert.rejects(grafana('platform-tools'), { reason: 'NotFound' })
    await assert.rejects(get('/apis/apps/v1/namespaces/platform-tools/deployments/grafana'), { reason: 'NotFound' })
    return true
  })
})

test('namespace mode, values as printed: the listed namespaces are served, others ignored, nothing is cluster-wide', async () => {
  uninstall('toolhive-operator')
  installAgent(charts.agent, '--values', join(seed, 'namespace-mode.values.yaml'))
  const token = await operatorToken()
  const manifest = readFileSync(join(seed, 'grafana.yaml'), 'utf8')
  await shared.namespace('elsewhere', RESTRICTED)
  for (const at of ['elsewhere', 'production']) {
    kubectl(['-n', at, 'create', 'secret', 'generic', 'grafana-token', '--from-literal=token=t'])
    kubectl(['apply', '--validate=strict', '-f', '-'], manifest.replace('platform-tools', at))
  }
  await isRunning('production')
  const ignored = await grafana('elsewhere')
  assert.equal(ignored.status, undefined)
  assert.equal(ignored.metadata.finalizers, undefined)
  for (const path of [
    '/apis/toolhive.stacklok.dev/v1beta1/mcpservers',
    '/apis/toolhive.stacklok.dev/v1beta1/namespaces/elsewhere/mcpservers',
    '/api/v1/pods',
    '/api/v1/namespaces/elsewhere/configmaps',
    '/apis/apps/v1/namespaces/kube-system/deployments',
  ])
    await assert.rejects(call(c, 'GET', path, undefined, token), isForbidden, path)
  const bindings = await get<{ items: { subjects?: { name: string; namespace?: string }[] }[] }>(
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  )
  assert.deepEqual(
    bindings.items.filter((item) => item.subjects?.some((subject) => subject.namespace === HOME)),
    [],
  )
})

/** A kind that takes anything, in place of one that somebody else's chart brings. */
function stub(group: string, version: string, kind: string, plural: string): string {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural },
      versions: [{ name: version, served: true, storage: true, schema }],
    },
  })
}
