// The charts on a real API server, in a cluster of their own: what is rendered is valid and restricted, and no upgrade,
// rollback or uninstall loses what users made.

import type { Pod, PodSpec } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { KubeObject } from '../../agent/kube/object.ts'
import { call } from './bed/api.ts'
import { down, up } from './bed/cluster.ts'
import { cluster } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import * as store from './bed/store.ts'
import { tools } from './bed/tools.ts'
import { charts, objectsOf, render } from './chart.ts'
import { agentImage, publishAgent, publishFixtures } from './image.ts'
import { examples } from './release.ts'
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
  for (const name of ['platform-tools', 'team-frontend']) await shared.namespace(name, RESTRICTED) // ci/namespace-values.yaml
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
