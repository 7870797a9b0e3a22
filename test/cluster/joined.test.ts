// A cluster that has joined an edge: what the uplink may do and nothing more, and whom servers believe since. The edge itself publishes its keys
// here and is away otherwise, which keeps nobody from serving.

import type { Pod } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint } from 'jose'
import { signingPair } from '../proxy/proxy.ts'
import { assertion, calling, keyIn, reading } from './assertion.ts'
import { ask, attempt, type Attempt } from './attempt.ts'
import { call } from './bed/api.ts'
import { until } from './bed/shell.ts'
import { installWithLogin } from './login.ts'
import { startOutside } from './outside.ts'
import type { Outside } from './outside.ts'
import { readyPod, startClient } from './pods.ts'
import { SYSTEM } from './release.ts'
import { allowed, fill, rightsOf, sorted, tokenOf } from './rights.ts'
import type { Rights } from './rights.ts'
import { sharedCluster } from './shared.ts'

const NAMESPACE = 'joined'
const CLUSTER = 'west'
const UPLINK = 'waggle-agent-uplink'

const shared = await sharedCluster()
const { cluster } = shared
let outside: Outside
let common: Rights
let client: Pod
let uplink: Pod

const one = `${CLUSTER}/${NAMESPACE}/MCPServer/one`
const two = `${CLUSTER}/${NAMESPACE}/MCPServer/two`
const server = (name: string): Promise<Pod> =>
  readyPod(cluster, NAMESPACE, `toolhive-name=${name},waggle.dev/role=server`)

const install = (uplink: object = {}): Promise<void> =>
  installWithLogin(shared, outside, {
    edge: { url: outside.edge.url, cluster: CLUSTER, uplink: { replicaCount: 1, ...uplink } },
  })

before(async () => {
  outside = await startOutside()
  await shared.namespace(NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' })
  await install()
  shared.kubectl(['-n', NAMESPACE, 'create', 'secret', 'generic', 'token', '--from-literal=token=a-secret'])
  const apiVersion = 'toolhive.stacklok.dev/v1beta1'
  const spec = { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', mcpPort: 8000 }
  const backends = [{ name: 'one' }, { name: 'two' }]
  for (const manifest of [
    { kind: 'MCPServer', name: 'one', spec },
    { kind: 'MCPServer', name: 'two', spec },
    { kind: 'VirtualMCPServer', name: 'all', spec: { backends } },
  ]) {
    const { kind, name } = manifest
    const object = { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec: manifest.spec }
    shared.kubectl(['apply', '-f', '-'], JSON.stringify(object))
  }
  await startClient(shared, NAMESPACE)
  client = await readyPod(cluster, NAMESPACE, 'app=client')
  uplink = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=uplink')
  for (const name of ['one', 'two', 'all'])
    await readyPod(cluster, NAMESPACE, `toolhive-name=${name},waggle.dev/role=proxy`)
  common = await rightsOf(cluster, await tokenOf(cluster, NAMESPACE, 'default'), NAMESPACE)
})
after(async () => {
  await outside.close()
  shared.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
})

test('the rights of the uplink are those of the allow-list', async () => {
  const token = await tokenOf(cluster, SYSTEM, UPLINK)
  const { managed, own } = allowed.uplink
  assert.deepEqual(await rightsOf(cluster, token, NAMESPACE, common), sorted(managed))
  const mine = sorted(fill(own, { release: 'waggle-agent' }))
  assert.deepEqual(await rightsOf(cluster, token, SYSTEM, common), { ...sorted(managed), ...mine })
})

test('the uplink can read no Secret but its own, and of a resource it writes nothing but the status', async () => {
  const here = `/api/v1/namespaces/${SYSTEM}`
  const there = `/api/v1/namespaces/${NAMESPACE}`
  const resource = `/apis/toolhive.stacklok.dev/v1beta1/namespaces/${NAMESPACE}/mcpservers/one`
  const merge = { 'content-type': 'application/merge-patch+json' }
  const json = { 'content-type': 'application/json' }
  const may: Attempt[] = [
    ['GET', `${here}/secrets/${UPLINK}`],
    ['GET', `${here}/configmaps/${UPLINK}-keys`],
    ['GET', resource],
    ['PATCH', `${resource}/status`, merge, '{"status":{}}'],
  ]
  assert.deepEqual(await attempt(shared, uplink, may), ['200', '200', '200', '200'])
  const mayNot: Attempt[] = [
    ['GET', `${here}/secrets`],
    ['GET', `${there}/secrets/token`],
    ['GET', '/api/v1/secrets'],
    ['DELETE', `${here}/secrets/${UPLINK}`],
    ['POST', `${here}/secrets`, json, '{"metadata":{"name":"x"}}'],
    ['GET', `${here}/configmaps/waggle-agent-edge-keys`],
    ['PATCH', `${here}/configmaps/waggle-agent-edge-keys`, merge, '{}'],
    ['GET', `${there}/configmaps/one-runconfig`],
    ['PATCH', resource, merge, '{"metadata":{"annotations":{"a":"b"}}}'],
    ['PATCH', resource, merge, '{"spec":{"image":"evil"}}'],
    ['DELETE', resource],
    ['GET', `${there}/pods`],
    ['POST', `${there}/pods/${(await server('one')).metadata?.name}/exec?command=node`],
    ['POST', `${here}/serviceaccounts/waggle-agent/token`, json, '{}'],
  ]
  const answers = await attempt(shared, uplink, mayNot)
  for (const [at, status] of answers.entries()) assert.equal(status, '403', mayNot[at]?.join(' '))
})

test('the uplink reaches proxies and no server, and nobody else reaches it', async () => {
  const inside = (service: string, port: number, path: string): Attempt => [
    'GET',
    `http://${service}.${NAMESPACE}.svc.cluster.local:${port}${path}`,
  ]
  const ways: Attempt[] = [
    ['GET', `http://${(await server('one')).status?.podIP}:8000/mcp`],
    inside('mcp-one-proxy', 8080, '/mcp'),
    inside('mcp-one-proxy', 9464, '/catalog'),
    inside('vmcp-all', 4483, '/mcp'),
  ]
  const [direct = '', ...proxies] = await until('the Services to forward', async () => {
    const answers = await attempt(shared, uplink, ways)
    return answers.slice(1).every((answer) => /^\d+$/.test(answer)) && answers
  })
  for (const answer of proxies) assert.match(answer, /^4\d\d$/)
  assert.doesNotMatch(direct, /^\d+$/)
  const ports = [8080, 8081].map((port): Attempt => ['GET', `http://${uplink.status?.podIP}:${port}/`])
  for (const answer of await attempt(shared, client, ports)) assert.doesNotMatch(answer, /^\d+$/)
})

/** The status of a call of `name` for a user, by the word of the edge. */
async function believed(name: string, audience: string): Promise<string> {
  const user = { issuer: outside.issuer.url, subject: 'ada' }
  const given = await assertion(outside.edge.keys.privateJwk, { issuer: 'edge', audience, user })
  return ask(shared, client, ...calling(name, given))
}

test('the edge speaks for callers and the uplink reads catalogs: neither is believed for the other', async () => {
  await until('the edge to be believed', async () => (await believed('one', one)) === '200')
  assert.equal(await believed('two', one), '401', 'only where it is for')
  const user = { issuer: outside.issuer.url, subject: 'ada' }
  const edge = outside.edge.keys.privateJwk
  const look = await assertion(edge, { issuer: 'edge', audience: one })
  assert.equal(await ask(shared, client, ...reading('one', look)), '401')

  const jwk = await keyIn(cluster, SYSTEM, UPLINK, 'identity.jwk')
  const own = { ...jwk, kid: await calculateJwkThumbprint(jwk) }
  const issuer = `${CLUSTER}/uplink`
  const read = async (): Promise<string> =>
    ask(shared, client, ...reading('one', await assertion(own, { issuer, audience: one })))
  await until('the uplink to be believed', async () => (await read()) === '200')
  // Nor is whoever has one of the keys somebody else for it.
  for (const name of [issuer, 'edge', `${CLUSTER}/${NAMESPACE}/VirtualMCPServer/all`]) {
    const given = await assertion(own, { issuer: name, audience: one, user })
    assert.equal(await ask(shared, client, ...calling('one', given)), '401', name)
  }
})

test('keys that somebody plants under the right names make nobody believed', async () => {
  const planted = await signingPair('planted')
  const data = { 'signing.json': JSON.stringify({ keys: [planted.publicJwk] }) }
  for (const name of ['waggle-agent-edge-keys', `${UPLINK}-keys`])
    await call(cluster, 'POST', `/api/v1/namespaces/${NAMESPACE}/configmaps`, { metadata: { name }, data })
  // What came before a change that the operator has taken up it has seen as well.
  const publish = (value: string): string =>
    shared.kubectl(['-n', NAMESPACE, 'annotate', '--overwrite', 'mcpserver', 'two', `waggle.dev/publish=${value}`])
  publish('false')
  const says = (status: string) => async (): Promise<boolean> => (await believed('two', two)) === status
  await until('a server that its owner does not publish to believe the edge no more', says('401'), 90)
  publish('true')
  await until('it to believe the edge again', says('200'), 90)
  const user = { issuer: outside.issuer.url, subject: 'ada' }
  for (const name of ['one', 'two'] as const) {
    const audience = name === 'one' ? one : two
    const given = await assertion(planted.privateJwk, { issuer: 'edge', audience, user })
    assert.equal(await ask(shared, client, ...calling(name, given)), '401')
    const look = await assertion(planted.privateJwk, { issuer: `${CLUSTER}/uplink`, audience })
    assert.equal(await ask(shared, client, ...reading(name, look)), '401')
  }
})

test('an upgrade of the release leaves the identity of the uplink and the keys that are trusted as they are', async () => {
  const places = [`secrets/${UPLINK}`, `configmaps/${UPLINK}-keys`, 'configmaps/waggle-agent-edge-keys']
  const held = (): Promise<unknown[]> =>
    Promise.all(
      places.map(async (place) => {
        const { data } = await call<{ data?: unknown }>(cluster, 'GET', `/api/v1/namespaces/${SYSTEM}/${place}`)
        assert.ok(data, place)
        return data
      }),
    )
  const was = await held()
  await install({ podAnnotations: { again: 'true' } })
  assert.deepEqual(await held(), was)
})
