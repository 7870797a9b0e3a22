// The charts, the examples and the install script on a real API server, in a cluster of their own: what is rendered is valid and restricted,
// one command makes a fleet and keeps its token to itself, and no upgrade, rollback or uninstall loses what users made.

import type { Pod, PodSpec } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
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
const SCRIPT_MS = 900_000
const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' }
const c = cluster('h')
const built = await tools()
const shared = handle(c, built)
const kubectl = (args: readonly string[], input?: string): string => shared.kubectl(args, input)
const helm = (args: readonly string[]): string => shared.helm(args)
const draft = mkdtempSync(join(tmpdir(), 'waggle-helm-'))
const ci = join(charts.agent, 'ci')
const FLEET = 'fleet'
const script = join(charts.agent, '../../scripts/toolhive/install.sh')

const install = (release: string, chart: string, ...more: string[]): string =>
  helm(['upgrade', '--install', release, chart, '--namespace', HOME, ...more])
const installCrds = (chart: string = charts.crds): string => install('toolhive-operator-crds', chart)
const installAgent = (chart: string = charts.agent, ...more: string[]): string =>
  install('toolhive-operator', chart, '--wait', ...more)
const uninstall = (release: string): string => helm(['uninstall', release, '--namespace', HOME, '--wait'])
const get = <T = KubeObject>(path: string): Promise<T> => call<T>(c, 'GET', path)
const osv = (): Promise<KubeObject> => get(`/apis/toolhive.stacklok.dev/v1beta1/namespaces/${FLEET}/mcpservers/osv`)

before(async () => {
  await publishAgent(built.store)
  await publishFixtures(built.store)
  store.tag(built.store, await agentImage(), 'ghcr.io/waggle-dev/agent:0.0.9')
  await up(c, built)
  await shared.namespace(HOME, RESTRICTED)
  for (const name of [FLEET, 'platform-tools', 'team-frontend']) await shared.namespace(name, RESTRICTED)
})
after(async () => {
  rmSync(draft, { recursive: true })
  await down(c)
})

test('every object that the chart renders passes a strict dry run where pods are restricted', async () => {
  kubectl(['apply', '-f', '-'], stub('monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'))
  await until('the kind ServiceMonitor', () => kubectl(['get', 'servicemonitors', '-A']) === '')
  const rendered = readdirSync(ci).map((name) => render(built, '--values', join(ci, name)))
  kubectl(strictly, rendered.join('\n---\n'))
  for (const spec of rendered.flatMap(objectsOf).flatMap(podSpec)) await dryRun(spec)
})

const strictly = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-']

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

test('a dry run of the script says what it would do and does nothing', async () => {
  const { code, output } = await runScript(['--dry-run'], { GITHUB_PAT: '' })
  assert.equal(code, 0, output)
  assert.match(output, /1\. the kinds.*2\. the operator.*Nothing was changed/s)
  assert.equal(
    kubectl(['get', 'crd', '-o', 'name', '-l', '!app']),
    'customresourcedefinition.apiextensions.k8s.io/servicemonitors.monitoring.coreos.com\n',
  )
})

test('the script says what is wrong before it begins', async () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ NAMESPACE: 'Fleet' }, /"Fleet" is not the name of a namespace/],
    [{ GITHUB_PAT: '' }, /GITHUB_PAT is not set and there is no Secret github-token in fleet/],
    [{ GITHUB_PAT: 'two words' }, /GITHUB_PAT holds white space/],
    [{ CHARTS: '/nowhere' }, /CHARTS=\/nowhere: neither an oci:\/\/ address nor a folder/],
    [{ KUBECONFIG: '/nowhere' }, /no cluster answers/],
    [{ PATH: '/usr/bin:/bin', HOME: '/nowhere' }, /kubectl is missing|helm is missing/],
  ]
  for (const [variables, expected] of cases) {
    const { code, output } = await runScript([], variables)
    assert.equal(code, 1, output)
    assert.match(output, expected)
  }
})

test('one command installs a fleet that runs, and its token is nowhere but in the Secret', async () => {
  const { code, output } = await runScript([], {}, ['-x'])
  assert.equal(code, 0, output)
  assert.match(output, /http:\/\/\S+\.fleet\.svc\.cluster\.local:9090\/mcp/)
  const seen = output + readFileSync(witness, 'utf8')
  assert.match(seen, /create secret generic github-token/)
  assert.doesNotMatch(seen, new RegExp(`${TOKEN}|${Buffer.from(TOKEN).toString('base64')}`))
  const secret = kubectl(['-n', FLEET, 'get', 'secret', 'github-token', '-o', 'json', '--show-managed-fields'])
  assert.equal(secret.split(Buffer.from(TOKEN).toString('base64')).length, 2, 'once, as data')
  helm(['test', 'toolhive-operator', '--namespace', HOME])
})

test('the command may be run again, without the token, and changes nothing', async () => {
  const was = await identities()
  const { code, output } = await runScript([], { GITHUB_PAT: '' })
  assert.equal(code, 0, output)
  assert.match(output, /kept, as GITHUB_PAT is not set/)
  assert.deepEqual(await identities(), was)
})

const TOKEN = 'github_pat_0123456789'
const witness = join(draft, 'witness')

/** Runs install.sh with programs that write down their arguments and environment. */
async function runScript(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  shell: readonly string[] = [],
): Promise<{ code: number | null; output: string }> {
  const bin = join(draft, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const [name, program] of [
    ['kubectl', `${built.kube} kubectl`],
    ['helm', built.helm],
  ] as const) {
    const lines = ['#!/bin/sh', `{ echo "${name} $*"; env; } >> ${witness}`, `exec ${program} "$@"`, '']
    writeFileSync(join(bin, name), lines.join('\n'), { mode: 0o755 })
  }
  const env = {
    PATH: `${bin}:/usr/bin:/bin`,
    HOME: draft,
    KUBECONFIG: join(c.dir, 'kubeconfig'),
    NAMESPACE: FLEET,
    GITHUB_PAT: TOKEN,
    TIMEOUT: '300s',
    ...variables,
  }
  const child = spawn('bash', [...shell, script, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: SCRIPT_MS,
  })
  const ended = once(child, 'close')
  const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [number | null]
  return { code, output: out + complaint }
}

test('every example is accepted with strict validation', async () => {
  const kinds = [
    ['argoproj.io', 'v1alpha1', 'Application', 'applications'],
    ['external-secrets.io', 'v1', 'ExternalSecret', 'externalsecrets'],
    ['secrets.hashicorp.com', 'v1beta1', 'VaultStaticSecret', 'vaultstaticsecrets'],
  ] as const
  for (const [group, version, kind, plural] of kinds) kubectl(['apply', '-f', '-'], stub(group, version, kind, plural))
  await shared.namespace('argocd')
  for (const [group, , , plural] of kinds)
    await until(`the kind ${plural}`, () => kubectl(['get', `${plural}.${group}`, '-A']) === '')
  const manifests = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /^[a-z]+\/[^.]+\.yaml$/.test(path),
  )
  assert.ok(manifests.length >= 12)
  kubectl(strictly, manifests.map((path) => readFileSync(join(examples, path), 'utf8')).join('\n---\n'))
})

const isRunning = (): Promise<boolean> =>
  until('osv to run', async () => ((await osv()).status as { phase?: string } | undefined)?.phase === 'Ready')

/** What must survive: the resource, and what the operator made of it. */
async function identities(): Promise<unknown> {
  const at = `namespaces/${FLEET}`
  const paths = [
    `/apis/toolhive.stacklok.dev/v1beta1/${at}/mcpservers/osv`,
    `/apis/apps/v1/${at}/deployments/osv`,
    `/apis/apps/v1/${at}/statefulsets/osv`,
    `/api/v1/${at}/pods/osv-0`,
  ]
  return Promise.all(paths.map(async (path) => (await get(path)).metadata.uid))
}

test('the version before is upgraded and rolled back under a running server', async () => {
  const was = await identities()
  // The same release, one version earlier: other images, a short name and a Service less.
  const [crds, agent] = [earlier(charts.crds), earlier(charts.agent)]
  const group = join(crds, 'templates/crds/mcpgroups.yaml')
  writeFileSync(
    group,
    readFileSync(group, 'utf8').replace('shortNames: [ mcpg, mcpgroup ]', 'shortNames: [ mcpgroup ]'),
  )
  rmSync(join(agent, 'templates/service.yaml'))
  installCrds(crds)
  installAgent(agent)
  assert.deepEqual([image(), await shortNames()], ['ghcr.io/waggle-dev/agent:0.0.9', ['mcpgroup']])

  installCrds()
  installAgent()
  assert.deepEqual([image(), await shortNames()], [await agentImage(), ['mcpg', 'mcpgroup']])

  helm(['rollback', 'toolhive-operator', '--namespace', HOME, '--wait'])
  helm(['rollback', 'toolhive-operator-crds', '--namespace', HOME])
  assert.deepEqual([image(), await shortNames()], ['ghcr.io/waggle-dev/agent:0.0.9', ['mcpgroup']])

  await isRunning()
  assert.deepEqual(await identities(), was)
})

const image = (): string =>
  kubectl(['-n', HOME, 'get', 'deployment', 'waggle-agent', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'])

async function shortNames(): Promise<unknown> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mcpgroups.toolhive.stacklok.dev'
  return (await get<{ spec: { names: { shortNames: string[] } } }>(path)).spec.names.shortNames
}

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
  const left = kubectl(['get', 'crd', '-o', 'name'])
  for (const file of readdirSync(join(charts.crds, 'templates/crds')))
    assert.match(left, new RegExp(`/${file.replace('.yaml', '')}\\.`))

  installCrds()
  installAgent()
  kubectl(['-n', FLEET, 'delete', 'service', 'mcp-osv-proxy'])
  await until('the Service to be made again', () => get(`/api/v1/namespaces/${FLEET}/services/mcp-osv-proxy`))
  assert.deepEqual(await identities(), was)
})

test('a resource can be deleted while no operator is there to agree', async () => {
  uninstall('toolhive-operator')
  kubectl(['-n', FLEET, 'delete', 'mcpserver', 'osv', '--wait=false'])
  installAgent()
  await until('osv and what belongs to it to go', async () => {
    await assert.rejects(osv(), { reason: 'NotFound' })
    await assert.rejects(get(`/apis/apps/v1/namespaces/${FLEET}/deployments/osv`), { reason: 'NotFound' })
    return true
  })
})

test('a server gets a new pod when its Secret changes, where the admin gave that right', async () => {
  installAgent(charts.agent, '--set', 'operator.rollOnSecretChange=true')
  const at = ['-n', 'platform-tools']
  kubectl([...at, 'create', 'secret', 'generic', 'grafana-token', '--from-literal=token=one'])
  kubectl(['apply', '--validate=strict', '-f', join(examples, 'seed/grafana.yaml')])
  const pod = (): Promise<KubeObject> => get('/api/v1/namespaces/platform-tools/pods/grafana-0')
  const first = await until('a pod', pod)
  kubectl([...at, 'patch', 'secret', 'grafana-token', '--type=merge', '--patch', '{"stringData":{"token":"two"}}'])
  await until('another pod', async () => (await pod()).metadata.uid !== first.metadata.uid)
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
