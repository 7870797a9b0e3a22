// The article, end to end, on a real cluster: two Helm commands, one Secret, one manifest as printed, a running server; then the fleet behind one
// endpoint with one login. The servers are fixtures under the names that the manifests print.

import type { Pod } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { call } from './bed/api.ts'
import { perform, until } from './bed/shell.ts'
import type { Step } from './fixtures/errand.ts'
import { digest } from './fixtures/fleet.ts'
import { installWithLogin } from './login.ts'
import { startOutside } from './outside.ts'
import type { Outside } from './outside.ts'
import { exec, pods, readyPod, startClient, textOf, visit } from './pods.ts'
import { SYSTEM, examples, installCrds, installOperator } from './release.ts'
import { sharedCluster } from './shared.ts'

const NAMESPACE = 'platform-tools'
const API = `/apis/toolhive.stacklok.dev/v1beta1/namespaces/${NAMESPACE}`
const VARIABLE = 'GRAFANA_SERVICE_ACCOUNT_TOKEN'
/** Thirty seconds are the aim, for a server to run and for a tool to be announced; a busy machine may take three times as long. */
const RUNNING_S = 90

const shared = await sharedCluster()
const { cluster } = shared
const token = randomBytes(16).toString('hex')
let outside: Outside

const kubectl = (...args: string[]): string => shared.kubectl(['-n', NAMESPACE, ...args])
const apply = (path: string): string => kubectl('apply', '--validate=strict', '-f', join(examples, path))
const pod = (selector: string): Promise<Pod> => readyPod(cluster, NAMESPACE, selector)
const nameOf = (one: Pod): string => one.metadata?.name ?? ''
const proxyOf = (name: string): string => `toolhive-name=${name},waggle.dev/role=proxy`

interface Served {
  spec: { backends?: { name: string; namespace: string }[] }
  status?: { url?: string; phase?: string; conditions?: { type: string; status: string; reason: string }[] }
}

/** The URL that a resource shows, once it is ready. */
const urlOf = (plural: string, name: string): Promise<string> =>
  until(
    `${plural}/${name} to be ready`,
    async () => {
      const { status } = await call<Served>(cluster, 'GET', `${API}/${plural}/${name}`)
      const ready = status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True')
      return ready === true ? status?.url : undefined
    },
    180,
  )

before(async () => {
  outside = await startOutside()
  await shared.namespace(NAMESPACE)
})
after(async () => {
  await outside.close()
  // What runs on would cost the next file its share of the machine.
  shared.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
})

test('two Helm commands install it', async () => {
  installCrds(shared)
  await installOperator(shared)
  const operator = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=operator')
  assert.equal(operator.status?.containerStatuses?.[0]?.restartCount, 0)
  const crds = shared.kubectl(['get', 'crd', '-o', 'name'])
  for (const plural of ['mcpservers', 'mcpremoteproxies', 'virtualmcpservers'])
    assert.match(crds, new RegExp(`/${plural}\\.toolhive\\.stacklok\\.dev\n`))
})

test('one Secret and the manifest as printed become a running server within 30 seconds of a quiet machine', async () => {
  kubectl('create', 'secret', 'generic', 'grafana-token', `--from-literal=token=${token}`)
  apply('seed/grafana.yaml')
  const began = performance.now()
  const table = await until(
    'the server to run',
    () => {
      const printed = kubectl('get', 'mcpservers')
      return printed.includes('Running') ? printed : undefined
    },
    RUNNING_S,
  )
  console.log(`from the manifest to a running server: ${((performance.now() - began) / 1000).toFixed(1)} s`)
  assert.match(table, /^NAME +STATUS +URL +AGE\n/)
  assert.match(table, /^grafana +Running +http:\/\/mcp-grafana-proxy\.platform-tools\S*:8080\S* /m)
})

for (const era of ['auto', 'legacy'] as const)
  test(`a client in another pod lists and calls tools through the proxy Service (${era})`, async () => {
    if (era === 'auto') await startClient(shared, NAMESPACE)
    const url = 'http://mcp-grafana-proxy.platform-tools:8080/mcp'
    const [list, alerts, secret] = await visit(shared, NAMESPACE, {
      url,
      era,
      steps: [
        { do: 'list' },
        { do: 'call', tool: 'list_alerts' },
        { do: 'call', tool: 'secret_digest', arguments: { name: VARIABLE } },
      ],
    })
    assert.deepEqual(list?.tools, ['echo', 'list_alerts', 'secret_digest', 'whoami'])
    assert.match(textOf(alerts), /firing/)
    assert.equal(textOf(secret), digest(token), 'the server got the token of the Secret')
  })

test('the token is nowhere in the proxy: neither in its environment nor in its files nor in its objects', async () => {
  const proxy = await pod(proxyOf('grafana'))
  // Everything the process may read except what every process has: its environment and all files of its mounts.
  const script = `
    const fs = require('node:fs')
    const hits = []
    const look = (path) => {
      for (const entry of fs.readdirSync(path, { withFileTypes: true })) {
        const at = path + '/' + entry.name
        if (entry.isDirectory()) look(at)
        else if (fs.existsSync(at) && fs.statSync(at).isFile() && fs.readFileSync(at).includes(process.argv[1])) hits.push(at)
      }
    }
    for (const folder of ['/app', '/etc', '/tmp', '/var', '/run']) if (fs.existsSync(folder)) look(folder)
    if (fs.readFileSync('/proc/1/environ').includes(process.argv[1])) hits.push('environment')
    console.log(JSON.stringify(hits))`
  const search = (where: Pod, what: string): Promise<{ out: string; complaint: string }> =>
    exec(shared, NAMESPACE, nameOf(where), ['node', '-e', script, what])
  const found = await search(proxy, token)
  assert.equal(found.out, '[]\n', found.complaint)
  assert.notEqual((await search(proxy, 'grafana')).out, '[]\n', 'the search does find what is there')
  assert.doesNotMatch(JSON.stringify(proxy), /grafana-token/)
  for (const kind of ['configmaps', 'deployments', 'statefulsets', 'events'])
    assert.doesNotMatch(kubectl('get', kind, '-o', 'json'), new RegExp(token))
})

test('with an OIDC config as the chart’s default, one login at the virtual server gives the tools of all', async () => {
  await installWithLogin(shared, outside)
  kubectl('create', 'secret', 'generic', 'github-token', `--from-literal=token=${token}-github`)
  shared.kubectl(['apply', '-f', '-'], JSON.stringify(server('github', 'ghcr.io/github/github-mcp-server:latest')))
  apply('seed/linear.yaml')
  apply('seed/platform-tools-vmcp.yaml')
  const url = await urlOf('virtualmcpservers', 'platform-tools-vmcp')
  assert.match(url, /:9090/)
  const bearer = await outside.issuer.token(url)
  const listed = await until(
    'the tools of all three',
    async () => {
      const [answer] = await visit(shared, NAMESPACE, { url, era: 'auto', token: bearer, steps: [{ do: 'list' }] })
      return answer?.tools?.length === 12 ? answer.tools : undefined
    },
    180,
  )
  const own = ['grafana_list_alerts', 'github_list_issues', 'linear_list_tickets']
  for (const tool of own) assert.ok(listed.includes(tool), `${tool} in ${listed.join()}`)
  const steps: Step[] = [...own, 'grafana_whoami', 'github_whoami'].map((tool) => ({ do: 'call', tool }))
  for (const name of [VARIABLE, 'GITHUB_PERSONAL_ACCESS_TOKEN'])
    steps.push({ do: 'call', tool: 'github_secret_digest', arguments: { name } })
  const answers = await visit(shared, NAMESPACE, { url, era: 'auto', token: bearer, steps })
  assert.match(textOf(answers[0]), /firing/)
  assert.match(textOf(answers[1]), /#7/)
  assert.match(textOf(answers[2]), /ENG-12/)
  for (const answer of answers.slice(3, 5)) assert.doesNotMatch(textOf(answer), /authorization|assertion/i)
  assert.deepEqual(
    answers.slice(5).map(textOf),
    [digest(token), digest(`${token}-github`)],
    'two Secrets, two variables',
  )
  assert.ok(outside.vendor.length > 0)
  for (const headers of outside.vendor) assert.doesNotMatch(JSON.stringify(headers), /authorization|assertion/i)
  for (const name of ['grafana', 'github', 'linear']) {
    const proxy = nameOf(await pod(proxyOf(name)))
    await until(`the proxy of ${name} to audit the caller`, () => kubectl('logs', proxy).includes('"ada"'))
  }
})

test('without a login, or with that of another server, nobody gets in', async () => {
  const url = await urlOf('virtualmcpservers', 'platform-tools-vmcp')
  const grafana = await urlOf('mcpservers', 'grafana')
  const enter = (at: string, bearer?: string): Promise<unknown> =>
    visit(shared, NAMESPACE, { url: at, era: 'auto', ...(bearer !== undefined && { token: bearer }), steps: [] })
  await enter(url, await outside.issuer.token(url))
  for (const at of [url, grafana]) await assert.rejects(enter(at), /401|nauthorized/)
  await assert.rejects(enter(grafana, await outside.issuer.token(url)), /401|nauthorized/)
  await assert.rejects(enter(url, await outside.issuer.forge('signed by another key', url)), /401|nauthorized/)
})

test('a fourth line in backends shows up without a reconnect', async () => {
  shared.kubectl(['apply', '-f', '-'], JSON.stringify(server('osv', 'ghcr.io/stackloklabs/osv-mcp/server:latest')))
  await urlOf('mcpservers', 'osv')
  const url = await urlOf('virtualmcpservers', 'platform-tools-vmcp')
  const path = `${API}/virtualmcpservers/platform-tools-vmcp`
  const { spec } = await call<Served>(cluster, 'GET', path)
  const grow = async (): Promise<void> => {
    const backends = [...(spec.backends ?? []), { name: 'osv', namespace: NAMESPACE }]
    await call(cluster, 'PATCH', path, { spec: { backends } })
  }
  let grown: Promise<void> | undefined
  const tool = 'osv_query_vulnerabilities'
  const answers = await visit(
    shared,
    NAMESPACE,
    {
      url,
      era: 'auto',
      token: await outside.issuer.token(url),
      steps: [{ do: 'list' }, { do: 'await', tool, seconds: RUNNING_S }, { do: 'call', tool }],
    },
    () => void (grown ??= grow()),
  )
  await grown
  assert.ok(!answers[0]?.tools?.includes(tool))
  assert.equal(answers[1]?.announced, true, `announced within ${RUNNING_S} seconds`)
  assert.match(textOf(answers[2]), /none known/)
})

test('kubectl get toolhive shows the whole fleet', async () => {
  await until('all of it to be shown as running', () => {
    const table = kubectl('get', 'toolhive')
    for (const name of ['grafana', 'github', 'linear', 'platform-tools-vmcp'])
      assert.match(table, new RegExp(`/${name} +Running +http://`), table)
    return true
  })
})

test('waggle get prints the article’s one table', async () => {
  const program = join(dirname(dirname(import.meta.dirname)), 'cli/main.ts')
  // Nobody is logged in to an edge here, so the cluster is asked.
  const env = { HOME: cluster.dir, KUBECONFIG: join(cluster.dir, 'kubeconfig'), WAGGLE_EDGE: '' }
  const printed = await perform([process.execPath, program, 'get', '-n', NAMESPACE], { env })
  const [head, ...rows] = printed.trim().split('\n')
  assert.match(head ?? '', /^NAME +KIND +STATUS +URL$/)
  const expected = [
    /^grafana +MCPServer +Running +http:\/\/mcp-grafana-proxy\.\S+:8080\S*$/,
    /^github +MCPServer +Running +http:\/\/mcp-github-proxy\.\S+:8080\S*$/,
    /^linear +MCPRemoteProxy +Running +http:\/\/mcp-linear-remote-proxy\.\S+:8080\S*$/,
    /^platform-tools-vmcp +VirtualMCPServer +Running +http:\/\/vmcp-platform-tools-vmcp\.\S+:9090\S*$/,
  ]
  for (const row of expected)
    assert.ok(
      rows.some((line) => row.test(line.trim())),
      printed,
    )
})

test('the scaling of the article is accepted and planned', async () => {
  kubectl('create', 'secret', 'generic', 'redis-password', '--from-literal=password=none')
  const patch = join(examples, 'seed/scaling.patch.yaml')
  kubectl('patch', 'mcpserver', 'grafana', '--type', 'merge', '--patch-file', patch)
  const replicas = (kind: string): Promise<number> =>
    call<{ spec: { replicas: number } }>(cluster, 'GET', `/apis/apps/v1/namespaces/${NAMESPACE}/${kind}/grafana`).then(
      ({ spec }) => spec.replicas,
    )
  await until('three servers', async () => (await replicas('statefulsets')) === 3)
  await until('two proxies', async () => (await replicas('deployments')) === 2)
  assert.equal((await pods(cluster, NAMESPACE, 'app=client')).length, 1)
})

/** A server in the way of the article's, with the secrets block that it prints. */
function server(name: string, image: string): object {
  const { secrets } = parse(readFileSync(join(examples, 'seed/secrets.fragment.yaml'), 'utf8')) as { secrets: object[] }
  return {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      image,
      transport: 'streamable-http',
      mcpPort: 8000,
      proxyPort: 8080,
      secrets,
    },
  }
}
