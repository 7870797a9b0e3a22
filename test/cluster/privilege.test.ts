// Least privilege, proven: every ServiceAccount's rights are those of rights.yaml and no others; and from inside each pod, with all that the pod has,
// what it must not do is refused.

import type { Pod } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { call, Refusal } from './bed/api.ts'
import { until } from './bed/shell.ts'
import { ask as askIn, attempt as attemptIn, type Attempt } from './attempt.ts'
import { assertion, calling, keyIn } from './assertion.ts'
import { installWithLogin } from './login.ts'
import { startOutside } from './outside.ts'
import type { Outside } from './outside.ts'
import { exec, readyPod, startClient } from './pods.ts'
import { SYSTEM } from './release.ts'
import { allowed, fill, rightsOf, sorted, tokenOf } from './rights.ts'
import type { Rights } from './rights.ts'
import { sharedCluster } from './shared.ts'

const NAMESPACE = 'privilege'
const RBAC = `/apis/rbac.authorization.k8s.io/v1`

const shared = await sharedCluster()
const { cluster } = shared
let outside: Outside
let common: Rights

const proxy = (name: string): Promise<Pod> =>
  readyPod(cluster, NAMESPACE, `toolhive-name=${name},waggle.dev/role=proxy`)
const server = (name: string): Promise<Pod> =>
  readyPod(cluster, NAMESPACE, `toolhive-name=${name},waggle.dev/role=server`)
const nameOf = (pod: Pod): string => pod.metadata?.name ?? ''

before(async () => {
  outside = await startOutside()
  await shared.namespace(NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' })
  await installWithLogin(shared, outside)
  shared.kubectl(['-n', NAMESPACE, 'create', 'secret', 'generic', 'token', '--from-literal=token=a-secret'])
  const metadata = (name: string): object => ({ name, namespace: NAMESPACE })
  const apiVersion = 'toolhive.stacklok.dev/v1beta1'
  const secrets = [{ name: 'token', key: 'token', targetEnvName: 'TOKEN' }]
  const image = 'grafana/mcp-grafana:latest'
  const spec = { image, transport: 'streamable-http', mcpPort: 8000, secrets }
  const manifests = [
    { apiVersion, kind: 'MCPServer', metadata: metadata('one'), spec },
    { apiVersion, kind: 'MCPServer', metadata: metadata('two'), spec },
    {
      apiVersion,
      kind: 'MCPRemoteProxy',
      metadata: metadata('away'),
      spec: { remoteUrl: 'https://mcp.linear.app/mcp' },
    },
    {
      apiVersion,
      kind: 'VirtualMCPServer',
      metadata: metadata('all'),
      spec: { backends: ['one', 'two', 'away'].map((name) => ({ name })) },
    },
  ]
  for (const manifest of manifests) shared.kubectl(['apply', '-f', '-'], JSON.stringify(manifest))
  await startClient(shared, NAMESPACE)
  for (const name of ['one', 'two', 'away', 'all']) await proxy(name)
  for (const name of ['one', 'two']) await server(name)
  const client = await readyPod(cluster, NAMESPACE, 'app=client')
  for (const name of ['one', 'two'])
    await until(`the Service of ${name} to forward`, async () => (await ask(client, ...calling(name))) === '401')
  common = await rightsOf(cluster, await tokenOf(cluster, NAMESPACE, 'default'), NAMESPACE)
})
after(async () => {
  await outside.close()
  shared.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
})

test('what everybody may do reaches no object of anybody', () => {
  for (const key of Object.keys(common)) assert.match(key, /^selfsubject\w+\.auth(entication|orization)\.k8s\.io$/)
})

test('the rights of the operator are those of the allow-list', async () => {
  const pod = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=operator')
  const account = pod.spec?.serviceAccountName ?? ''
  const token = await tokenOf(cluster, SYSTEM, account)
  const { managed, own } = allowed.operator
  assert.deepEqual(await rightsOf(cluster, token, NAMESPACE, common), sorted(managed))
  const mine = sorted(fill(own, { release: account }))
  assert.deepEqual(await rightsOf(cluster, token, SYSTEM, common), { ...sorted(managed), ...mine })
})

test('the rights of every account of the fleet are those of the allow-list', async () => {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`
  const { items } = await call<{ items: { metadata: { name: string } }[] }>(cluster, 'GET', path)
  const expected: Record<string, Rights> = {
    'one-proxy-runner': fill(allowed.proxy, { name: 'one' }),
    'two-proxy-runner': fill(allowed.proxy, { name: 'two' }),
    'away-remote-proxy-runner': fill(allowed.proxy, { name: 'away' }),
    'all-vmcp': fill(allowed.virtualServer, { name: 'all' }),
    'one-sa': {},
    'two-sa': {},
    default: {},
  }
  assert.deepEqual(items.map((item) => item.metadata.name).sort(), Object.keys(expected).sort())
  for (const [account, rights] of Object.entries(expected)) {
    const token = await tokenOf(cluster, NAMESPACE, account)
    assert.deepEqual(await rightsOf(cluster, token, NAMESPACE, common), sorted(rights), account)
    assert.deepEqual(await rightsOf(cluster, token, SYSTEM, common), {}, `${account} elsewhere`)
  }
})

const attempt = (pod: Pod, attempts: readonly Attempt[]): Promise<string[]> => attemptIn(shared, pod, attempts)
const ask = (pod: Pod, ...one: Attempt): Promise<string> => askIn(shared, pod, ...one)

test('no pod may read Secrets, list pods, or attach to another pod', async () => {
  const victim = await server('two')
  const core = `/api/v1/namespaces/${NAMESPACE}`
  const attempts: Attempt[] = [
    ['GET', `${core}/secrets`],
    ['GET', `${core}/secrets/token`],
    ['GET', '/api/v1/secrets'],
    ['GET', `${core}/pods`],
    ['POST', `${core}/pods/${nameOf(victim)}/attach?container=mcp&stdin=true`],
    ['POST', `${core}/pods/${nameOf(victim)}/exec?container=mcp&command=node`],
    ['GET', `${core}/configmaps`],
    ['GET', `${core}/configmaps/two-runconfig`],
    ['GET', `/apis/toolhive.stacklok.dev/v1beta1/mcpservers`],
    ['POST', `${core}/serviceaccounts/two-sa/token`],
  ]
  const inside = [await proxy('one'), await proxy('away'), await proxy('all'), await server('one')]
  for (const pod of inside)
    for (const [at, status] of (await attempt(pod, attempts)).entries())
      assert.equal(status, '403', `${nameOf(pod)}: ${attempts[at]?.join(' ')}`)
  assert.equal(await ask(await proxy('one'), 'GET', `${core}/configmaps/one-runconfig`), '200', 'its own it may')
})

test('a server has no token of the Kubernetes API', async () => {
  const look = [
    'node',
    '-e',
    `console.log(require('node:fs').existsSync('/var/run/secrets/kubernetes.io/serviceaccount'))`,
  ]
  assert.equal((await exec(shared, NAMESPACE, nameOf(await server('one')), look)).out, 'false\n')
  assert.equal((await exec(shared, NAMESPACE, nameOf(await proxy('one')), look)).out, 'true\n')
})

test('a server answers its own proxy and nobody else', async () => {
  const client = await readyPod(cluster, NAMESPACE, 'app=client')
  const target = await server('two')
  const urls = [`http://${target.status?.podIP}:8000/mcp`, 'http://mcp-two:8000/mcp']
  const attempts = urls.map((url): Attempt => ['GET', url])
  const strangers = [client, await proxy('one'), await proxy('away'), await proxy('all'), await server('one')]
  const own = await until('its own proxy to be let in', async () => {
    const answers = await attempt(await proxy('two'), attempts)
    return answers.every((answer) => /^\d+$/.test(answer)) && answers
  })
  for (const status of own) assert.match(status, /^[24]\d\d$/, 'its own proxy may')
  const answers = await Promise.all(strangers.map((pod) => attempt(pod, attempts)))
  for (const answer of answers.flat()) assert.doesNotMatch(answer, /^\d+$/)
})

test('an assertion for one server is worth nothing at another, and a stranger’s nowhere', async () => {
  const jwk = await keyIn(cluster, NAMESPACE, 'all-signing-', 'signing.jwk')
  const identity = (kind: string, name: string): string => `in-cluster/${NAMESPACE}/${kind}/${name}`
  const one = identity('MCPServer', 'one')
  const sign = (issuer: string): Promise<string> => assertion(jwk, { issuer, audience: one, user })
  const user = { issuer: outside.issuer.url, subject: 'ada' }
  const client = await readyPod(cluster, NAMESPACE, 'app=client')
  const present = (name: string, given?: string): Promise<string> => ask(client, ...calling(name, given))
  const forOne = await sign(identity('VirtualMCPServer', 'all'))
  assert.equal(await present('one', forOne), '200', 'it is good where it is for')
  assert.equal(await present('two', forOne), '401')
  assert.equal(await present('one', await sign(identity('VirtualMCPServer', 'other'))), '401')
  assert.equal(await present('one'), '401', 'without any')
})

test('the operator cannot read a Secret, not even one that it made', async () => {
  const operator = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=operator')
  const core = `/api/v1/namespaces/${NAMESPACE}`
  const paths = ['/api/v1/secrets', `${core}/secrets`, `${core}/secrets/token`, `${core}/secrets?watch=true`]
  const answers = await attempt(
    operator,
    paths.map((path): Attempt => ['GET', path]),
  )
  assert.deepEqual(answers, ['403', '403', '403', '403'])
  const json = { 'content-type': 'application/json' }
  const secret = JSON.stringify({ metadata: { name: 'made' }, stringData: { key: 'value' } })
  assert.equal(await ask(operator, 'POST', `${core}/secrets`, json, secret), '201')
  assert.equal(await ask(operator, 'GET', `${core}/secrets/made`), '403')
  assert.equal(await ask(operator, 'POST', `${core}/pods/${nameOf(await server('one'))}/exec?command=node`), '403')
})

test('the operator can give nobody more than it has', async () => {
  const pod = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=operator')
  const token = await tokenOf(cluster, SYSTEM, pod.spec?.serviceAccountName ?? '')
  const create = (path: string, body: object): Promise<unknown> => call(cluster, 'POST', `${RBAC}${path}`, body, token)
  const refused = (path: string, body: object): Promise<void> =>
    assert.rejects(create(path, body), (error) => error instanceof Refusal && error.status === 403)
  const roles = `/namespaces/${NAMESPACE}/roles`
  const role = (resources: string[], verbs: string[]): object => ({
    metadata: { name: 'wide' },
    rules: [{ apiGroups: [''], resources, verbs }],
  })
  await refused(roles, role(['secrets'], ['get']))
  await refused(roles, role(['*'], ['*']))
  await create(roles, role(['configmaps'], ['get']))
  const subjects = [{ kind: 'ServiceAccount', name: 'one-sa', namespace: NAMESPACE }]
  const binding = (kind: string, name: string): object => ({
    metadata: { name: 'wide' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects,
  })
  for (const name of ['cluster-admin', 'admin', 'edit', 'view'])
    await refused(`/namespaces/${NAMESPACE}/rolebindings`, binding('ClusterRole', name))
  await refused('/clusterrolebindings', binding('ClusterRole', 'cluster-admin'))
  await refused('/clusterroles', role(['secrets'], ['get']))
})
