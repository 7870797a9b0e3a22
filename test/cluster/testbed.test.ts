// The proof that the testbed is what README.md says, on two clusters of its own, y and z. Prints its figures.
import type { Pod, Service } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { call } from './bed/api.ts'
import * as cgroup from './bed/cgroup.ts'
import { down, start, stop, up } from './bed/cluster.ts'
import { cut, guard, inhabitants, namespace } from './bed/network.ts'
import { bridge, cluster, images } from './bed/plan.ts'
import type { Cluster } from './bed/plan.ts'
import { run, until } from './bed/shell.ts'
import * as store from './bed/store.ts'
import { kubectl, tools } from './bed/tools.ts'

const built = await tools()
const c = cluster('y')
const neighbour = cluster('z')
const clusters = [c, neighbour]
const figures: Record<string, string> = {}
const image = 'ghcr.io/example/server:latest'
const smoke = join(import.meta.dirname, 'bed/smoke')

const publish = (version: string): Promise<void> => {
  const config = { User: '1000:1000', Entrypoint: ['/bin/node', '/app/server.mjs', version] }
  return store.build(built.store, image, [{ folder: smoke, at: '/app' }], config, images.node)
}
const ctl = (args: string, input?: string): string => kubectl(built, c.dir, args.split(' '), input)
const nameOf = (pod: Pod): string => pod.metadata?.name ?? ''

const pods = async (at: Cluster): Promise<Pod[]> =>
  (await call<{ items: Pod[] }>(at, 'GET', '/api/v1/namespaces/demo/pods')).items.filter(
    (pod) => pod.metadata?.deletionTimestamp === undefined,
  )
const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true
const ready = (at: Cluster): Promise<Pod[]> =>
  until('two ready servers', async () => {
    const all = (await pods(at)).filter(isReady)
    return all.length === 2 ? all : undefined
  })

interface Answer {
  host: string
  version: string
  uid: number
}

/** Asks a server pod, through the API server. */
const ask = <T = string>(at: Cluster, path = '/'): Promise<T> =>
  call<T>(at, 'GET', `/api/v1/namespaces/demo/services/server:80/proxy${path}`)
const askFetch = async (at: Cluster, url: string): Promise<string> =>
  JSON.stringify(await ask<unknown>(at, `/fetch?url=${encodeURIComponent(url)}`))

async function seconds(work: () => Promise<unknown>): Promise<string> {
  const begin = performance.now()
  await work()
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`
}

/** Whether a TCP connection from the host, across the bridge, is accepted. */
const reach = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5000 })
    const end = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false))
  })

let edgePort = 0
let held: Socket | undefined
const shown: string[] = []
const edge = createServer((request, response) => {
  if (request.url === '/hold') {
    held = request.socket
    response.writeHead(200).write('hello')
    return
  }
  shown.push(request.headers.authorization?.replace('Bearer ', '') ?? '')
  response.end('the edge')
})

before(async () => {
  await publish('1')
  figures['both clusters up'] = await seconds(() => Promise.all(clusters.map((one) => up(one, built))))
  edge.listen(0, bridge.address)
  await once(edge, 'listening')
  edgePort = (edge.address() as AddressInfo).port
  const manifest = readFileSync(join(smoke, 'server.yaml'), 'utf8')
  figures['two replicas ready in both, first pull included'] = await seconds(() =>
    Promise.all(
      clusters.map((one) => {
        kubectl(built, one.dir, ['apply', '-f', '-'], manifest)
        return ready(one)
      }),
    ),
  )
  // A Service forwards to pods a moment after they are ready.
  await Promise.all(clusters.map((one) => until('an answer', () => ask(one))))
})

after(async () => {
  edge.closeAllConnections()
  edge.close()
  figures['both clusters down'] = await seconds(() => Promise.all(clusters.map(down)))
  for (const one of clusters) {
    assert.deepEqual(inhabitants(one), [])
    assert.deepEqual(cgroup.processes(one.id), [])
    for (const path of [namespace(one), one.dir, `/sys/class/net/${one.id}`])
      assert.equal(existsSync(path), false, path)
    for (const group of readdirSync('/sys/fs/cgroup'))
      assert.equal(existsSync(join('/sys/fs/cgroup', group, one.id)), false, group)
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(one.dir), false)
  }
  for (const [name, figure] of Object.entries(figures)) console.log(`${name}: ${figure}`)
})

test('a pod runs a :latest image of a registry that is not there, in a restricted namespace', async () => {
  const answer = await ask<Answer>(c)
  assert.equal(answer.uid, 1000)
  assert.equal(answer.version, '1')
  assert.equal((await pods(c))[0]?.spec?.containers[0]?.imagePullPolicy, 'Always')
})

test('a new pod pulls again what was published under the same name', async () => {
  await publish('2')
  figures['a pod replaced'] = await seconds(async () => {
    ctl(`-n demo delete pod ${(await pods(c)).map(nameOf).join(' ')}`)
    await ready(c)
  })
  assert.equal((await until('an answer', () => ask<Answer>(c))).version, '2')
  await publish('1')
})

test('pods resolve and reach Services, themselves included, and so does the namespace of the node', async () => {
  // Until the node has learned where the new pods are.
  await until('the Service to be reached time after time', async () => {
    for (let turn = 0; turn < 6; turn++)
      assert.match(await askFetch(c, 'http://server.demo.svc.cluster.local/'), /"server-/)
    return true
  })
  const service = await call<Service>(c, 'GET', '/api/v1/namespaces/demo/services/server')
  const script = `fetch('http://${service.spec?.clusterIP}/').then(r => r.text()).then(console.log)`
  assert.match(run(['nsenter', `--net=${namespace(c)}`, process.execPath, '-e', script]), /"host":"server-/)
  await assert.rejects(askFetch(c, 'http://nowhere.example/'), /502 ENOTFOUND/)
})

test('a pod proves itself to the edge by a token that its cluster’s published keys verify', async () => {
  assert.equal(await ask(c, `/show?url=${encodeURIComponent(`http://edge.test:${edgePort}/`)}`), 'the edge')
  const [head = '', claims = '', signature = ''] = shown.at(-1)?.split('.') ?? []
  const decode = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
  assert.deepEqual(decode(claims)['aud'], ['https://edge.example'])
  assert.equal(decode(claims)['sub'], 'system:serviceaccount:demo:default')
  const discovery = await call<{ issuer: string }>(c, 'GET', '/.well-known/openid-configuration')
  assert.equal(discovery.issuer, decode(claims)['iss'])
  const keys = async (at: Cluster): Promise<JsonWebKey[]> =>
    (await call<{ keys: JsonWebKey[] }>(at, 'GET', '/openid/v1/jwks')).keys
  const text = Buffer.from(`${head}.${claims}`)
  const verified = (key: JsonWebKey): boolean =>
    verify('sha256', text, createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'))
  assert.ok((await keys(c)).some(verified))
  assert.ok(!(await keys(neighbour)).some(verified))
})

test('nothing gets into a cluster until it is opened', async () => {
  const doors = [6443, 10250, 30080].map((port) => [c.address, port] as const)
  const intrude = (): Promise<boolean[]> => Promise.all(doors.map(([host, port]) => reach(host, port)))
  assert.deepEqual(await intrude(), [false, false, false])
  await assert.rejects(askFetch(neighbour, `http://${c.address}:30080/`), /502 ECONNREFUSED/)
  guard(c, false)
  await until('all doors to be open', async () => (await intrude()).every(Boolean))
  assert.match(await askFetch(neighbour, `http://${c.address}:30080/`), /"server-/)
  guard(c, true)
  assert.deepEqual(await intrude(), [false, false, false])
})

test('an outbound connection outlives control plane, kubelet and containerd, which come back', async () => {
  held = undefined
  await ask(c, `/hold?url=${encodeURIComponent(`http://edge.test:${edgePort}/hold`)}`)
  const connection = await until('a held connection', () => held)
  for (const program of ['kubelet', 'containerd', 'etcd', 'kube-apiserver'] as const) await stop(c, built, program)
  await assert.rejects(call(c, 'GET', '/readyz'))
  await start(c, built, 'etcd')
  await start(c, built, 'containerd')
  figures['API server back after kill -9'] = await seconds(() => start(c, built, 'kube-apiserver'))
  await start(c, built, 'kubelet')
  assert.equal((await until('a server', () => ask<Answer>(c))).version, '2')
  assert.equal(connection.destroyed, false)
  const [victim] = await pods(c)
  assert.ok(victim)
  ctl(`-n demo delete pod ${nameOf(victim)} --wait=false`)
  await until('another pod', async () => (await ready(c)).every((pod) => nameOf(pod) !== nameOf(victim)))
})

test('network policies are enforced in both directions, and lifted', async () => {
  const policies = '/apis/networking.k8s.io/v1/namespaces/demo/networkpolicies'
  const policy = (name: string, spec: object): Promise<unknown> =>
    call(c, 'POST', policies, { metadata: { name }, spec })
  const [one, other] = await ready(c)
  assert.ok(one && other)
  const from = (url: string) => (): Promise<unknown> =>
    call(c, 'GET', `/api/v1/namespaces/demo/pods/${nameOf(one)}:8080/proxy/fetch?url=${encodeURIComponent(url)}`)
  const [ours, edges] = [from(`http://${other.status?.podIP}:8080/`), from(`http://edge.test:${edgePort}/`)]
  const blocked = (way: () => Promise<unknown>): Promise<true> =>
    until(
      'a refusal',
      () =>
        way().then(
          () => false,
          (error: unknown) => /502 (timed out|EAI_AGAIN)/.test(String(error)),
        ),
      60,
    )
  const open = (way: () => Promise<unknown>): Promise<true> => until('an answer', () => way().then(() => true), 60)
  await Promise.all([open(ours), open(edges)])
  await policy('nothing', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  await Promise.all([blocked(ours), blocked(edges)])
  const dns = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
    podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
  }
  const outbound = { podSelector: {}, policyTypes: ['Egress'] }
  await policy('dns', { ...outbound, egress: [{ to: [dns], ports: [{ protocol: 'UDP', port: 53 }] }] })
  await policy('edge', {
    ...outbound,
    egress: [{ to: [{ ipBlock: { cidr: `${bridge.address}/32` } }, { ipBlock: { cidr: '::/0' } }] }],
  })
  await open(edges)
  await blocked(ours)
  const server = { podSelector: { matchLabels: { app: 'server' } } }
  await policy('to-each-other', { ...outbound, egress: [{ to: [server], ports: [{ port: 'http' }] }] })
  await blocked(ours)
  await policy('from-each-other', {
    podSelector: {},
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 'http' }] }],
  })
  await open(ours)
  await call(c, 'DELETE', policies)
})

test('a cluster can be cut off and healed', async () => {
  const url = `http://edge.test:${edgePort}/`
  cut(c, true)
  await assert.rejects(askFetch(c, url), /502/)
  cut(c, false)
  await until('the edge', async () => (await askFetch(c, url)) === '"the edge"', 60)
})

test('exec, logs and helm work from the host', async () => {
  const [pod] = await ready(c)
  assert.ok(pod)
  assert.match(ctl(`-n demo exec -i ${nameOf(pod)} -- /bin/node -p process.version`), /^v\d+/)
  assert.match(ctl(`-n demo logs ${nameOf(pod)}`), /listening/)
  const chart = mkdtempSync(join(tmpdir(), 'chart-'))
  mkdirSync(join(chart, 'templates'))
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: tiny\nversion: 1.0.0\n')
  const note = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: "{{ .Release.Name }}" }\n'
  writeFileSync(join(chart, 'templates/note.yaml'), note)
  run([built.helm, `--kubeconfig=${join(c.dir, 'kubeconfig')}`, 'install', 'tiny', chart, '--wait'])
  await call(c, 'GET', '/api/v1/namespaces/default/configmaps/tiny')
  rmSync(chart, { recursive: true })
})

test('Pod Security, node restriction, RBAC and admission policies are in force', async () => {
  const bare = { metadata: { name: 'bare' }, spec: { containers: [{ name: 'bare', image }] } }
  await assert.rejects(call(c, 'POST', '/api/v1/namespaces/demo/pods', bare), /violates PodSecurity/)
  const odd = { metadata: { name: 'odd' } }
  await assert.rejects(call(c, 'POST', '/api/v1/namespaces/demo/configmaps', odd), /no odd names/)
  const kubelet = ['--kubeconfig', join(c.dir, 'etc/kubelet.kubeconfig'), '--server', `https://127.0.0.1:${c.port}`]
  const denied = (command: string[], reason: RegExp): void =>
    assert.throws(() => run([built.kube, 'kubectl', ...kubelet, ...command]), reason)
  denied(['label', 'node', c.node, 'node-restriction.kubernetes.io/x=y'], /is not allowed to modify labels/)
  denied(['get', 'secrets', '-A'], /forbidden/)
  const attributes = { verb: 'list', resource: 'secrets', namespace: 'demo' }
  const review = { spec: { user: 'system:serviceaccount:demo:default', resourceAttributes: attributes } }
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
  const answer = await call<{ status: { allowed: boolean } }>(c, 'POST', path, review)
  assert.equal(answer.status.allowed, false)
})
