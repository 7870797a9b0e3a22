// What breaks around an operator: the API server, etcd, the kubelet, its own leader, the objects it made, their namespace, the CRDs.
// After every fault there is exactly what there was before, nothing twice, and nobody goes on writing.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, Refusal } from './bed/api.ts'
import { down, start, stop, up } from './bed/cluster.ts'
import { inhabitants } from './bed/network.ts'
import { cluster as letter } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import { tools } from './bed/tools.ts'
import { agentImage, publishAgent, publishFixtures } from './image.ts'
import { startOperator, type OperatorProcess } from './operators.ts'
import { handle } from './shared.ts'

const root = dirname(dirname(import.meta.dirname))
const NAMESPACE = 'storm'
const SYSTEM = 'toolhive-system'
const GROUP = `/apis/toolhive.stacklok.dev/v1beta1/namespaces/${NAMESPACE}`
/** From the end of a fault to the state of rest; it takes a fraction of this unless the machine is busy. */
const RECOVERY_S = 180
const REST_MS = 4_000
const SERVERS = ['one', 'two', 'three']

const built = await tools()
const cluster = letter('e')
const shared = handle(cluster, built)
const operators: OperatorProcess[] = []

interface Listed {
  readonly items: readonly {
    readonly kind?: string
    readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string }
    readonly status?: { readonly conditions?: readonly { type: string; status: string; reason: string }[] }
  }[]
}

const PLACES = [
  ['apps/v1', 'deployments'],
  ['apps/v1', 'statefulsets'],
  ['v1', 'services'],
  ['v1', 'serviceaccounts'],
  ['v1', 'configmaps'],
  ['v1', 'secrets'],
  ['rbac.authorization.k8s.io/v1', 'roles'],
  ['rbac.authorization.k8s.io/v1', 'rolebindings'],
  ['networking.k8s.io/v1', 'networkpolicies'],
] as const

const list = (group: string, plural: string): Promise<Listed> =>
  call<Listed>(cluster, 'GET', `/${group === 'v1' ? 'api' : 'apis'}/${group}/namespaces/${NAMESPACE}/${plural}`)

/** Every object of the namespace, by type and name. What Kubernetes puts there by itself is left out. */
async function objects(): Promise<string[]> {
  const found: string[] = []
  for (const [group, plural] of PLACES)
    for (const { metadata } of (await list(group, plural)).items)
      if (metadata.name !== 'default' && metadata.name !== 'kube-root-ca.crt') found.push(`${plural}/${metadata.name}`)
  return found.toSorted()
}

/** Keys carry a random name; their number is what counts. */
const shape = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/-[0-9a-f]{10}$/u, '-KEY')).toSorted()

const server = (name: string): object => ({
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'MCPServer',
  metadata: { name, namespace: NAMESPACE },
  spec: { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', groupRef: { name: 'all' } },
})

const fleet = [
  ...SERVERS.map(server),
  {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPGroup',
    metadata: { name: 'all', namespace: NAMESPACE },
    spec: {},
  },
  {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'VirtualMCPServer',
    metadata: { name: 'fleet', namespace: NAMESPACE },
    spec: { groupRef: { name: 'all' }, incomingAuth: { type: 'anonymous' } },
  },
]

const apply = (...manifests: readonly object[]): void =>
  void shared.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }))

/** What there is once everything was planned for the first time. */
let calm: string[] = []

const writes = (): number => operators.reduce((sum, one) => sum + one.writes.length, 0)

/** Resolves when no operator has written for a while. */
const rest = (what: string): Promise<true> =>
  until(
    what,
    async () => {
      const before = writes()
      await sleep(REST_MS)
      return writes() === before
    },
    RECOVERY_S,
  )

/** Resolves when the namespace is as `expected` and no operator has written for a while. */
async function settled(what: string, expected: readonly string[] = calm): Promise<void> {
  await until(
    what,
    async () => {
      const found = shape(await objects())
      assert.deepEqual(found, expected)
      const before = writes()
      await sleep(REST_MS)
      assert.equal(writes(), before, 'an operator still writes')
      assert.deepEqual(shape(await objects()), expected)
      return true
    },
    RECOVERY_S,
  )
}

async function lead(name: string): Promise<OperatorProcess> {
  const operator = await startOperator(cluster, name, { WAGGLE_IMAGE: await agentImage() })
  operators.push(operator)
  return operator
}

const leader = async (): Promise<string> => {
  const lease = await call<{ spec?: { holderIdentity?: string } }>(
    cluster,
    'GET',
    `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/waggle-agent-leader`,
  )
  return lease.spec?.holderIdentity ?? ''
}

const installCrds = (): string =>
  shared.helm([
    'upgrade',
    '--install',
    'crds',
    join(root, 'charts/waggle-crds'),
    '-n',
    SYSTEM,
    '--create-namespace',
    '--wait',
  ])

before(async () => {
  await publishFixtures(built.store)
  await publishAgent(built.store)
  await up(cluster, built)
  installCrds()
  await call(cluster, 'POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } })
  await call(cluster, 'POST', `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases`, {
    metadata: { name: 'waggle-agent-leader' },
  })
  await lead('first')
  apply(...fleet)
  await until('everything to be planned', async () => (await objects()).includes('statefulsets/three'), RECOVERY_S)
  await rest('the first rest')
  calm = shape(await objects())
})

after(async () => {
  for (const operator of operators) await operator.close()
  await down(cluster)
})

test('the beginning has what three servers and a virtual server need', () => {
  for (const name of SERVERS)
    for (const expected of [
      `deployments/${name}`,
      `statefulsets/${name}`,
      `services/mcp-${name}-proxy`,
      `services/mcp-${name}`,
      `services/mcp-${name}-headless`,
      `configmaps/${name}-runconfig`,
      `serviceaccounts/${name}-proxy-runner`,
      `serviceaccounts/${name}-sa`,
      `roles/${name}-proxy-runner`,
      `rolebindings/${name}-proxy-runner`,
    ])
      assert.ok(calm.includes(expected), `${expected} is missing`)
  for (const expected of ['deployments/fleet', 'services/vmcp-fleet', 'configmaps/fleet-vmcp-config'])
    assert.ok(calm.includes(expected), `${expected} is missing`)
})

test('an API server that is killed again and again, while resources come and go', async () => {
  for (const round of [1, 2, 3]) {
    apply(server(`guest-${round}`))
    await stop(cluster, built, 'kube-apiserver')
    await sleep(round * 400)
    await start(cluster, built, 'kube-apiserver')
    if (round > 1) await removed('mcpservers', `guest-${round - 1}`)
  }
  await removed('mcpservers', 'guest-3')
  await settled('calm after the API server died three times')
})

/** Deletes a resource; its objects go by the garbage collector. */
async function removed(plural: string, name: string): Promise<void> {
  await until(`${plural}/${name} to be deleted`, () =>
    call(cluster, 'DELETE', `${GROUP}/${plural}/${name}`).then(
      () => false,
      (error: unknown) => {
        if (error instanceof Refusal && error.status === 404) return true
        throw error
      },
    ),
  )
}

test('etcd that does not answer for a while', async () => {
  const etcd = inhabitants(cluster).filter(
    (pid) => commandLine(pid).includes('\0--data-dir') || commandLine(pid).includes('etcd\0'),
  )
  assert.ok(etcd.length > 0, 'etcd runs')
  for (const pid of etcd) process.kill(pid, 'SIGSTOP')
  try {
    await sleep(12_000)
  } finally {
    for (const pid of etcd) process.kill(pid, 'SIGCONT')
  }
  await until('the API server to serve', async () => (await call<string>(cluster, 'GET', '/readyz')) === 'ok')
  apply(server('late'))
  await until('what came after to be planned', async () => (await objects()).includes('statefulsets/late'), RECOVERY_S)
  await removed('mcpservers', 'late')
  await settled('calm after etcd')
})

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

test('objects that are deleted or edited by hand are repaired at once', async () => {
  await call(cluster, 'DELETE', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/one`)
  await call(cluster, 'DELETE', `/api/v1/namespaces/${NAMESPACE}/services/mcp-two-proxy`)
  await call(cluster, 'DELETE', `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`)
  await call(cluster, 'PATCH', `/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets/three`, {
    spec: { template: { spec: { automountServiceAccountToken: true } } },
  })
  await call(cluster, 'PATCH', `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles/one-proxy-runner`, {
    rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] }],
  })
  await until(
    'the edits to be undone',
    async () => {
      const role = await call<{ rules: { resources: string[] }[] }>(
        cluster,
        'GET',
        `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles/one-proxy-runner`,
      )
      assert.deepEqual(
        role.rules.flatMap(({ resources }) => resources),
        ['configmaps'],
      )
      const three = await call<{ spec: { template: { spec: { automountServiceAccountToken?: boolean } } } }>(
        cluster,
        'GET',
        `/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets/three`,
      )
      assert.notEqual(three.spec.template.spec.automountServiceAccountToken, true)
      return true
    },
    30,
  )
  await settled('calm after the edits')
})

test('a leader that is paused beyond its lease writes nothing when it comes back', async () => {
  const [first] = operators
  assert.ok(first !== undefined)
  assert.equal(await leader(), 'first')
  const second = await lead('second')
  await until('the second one to watch', () => second.log().includes('"watching"'))
  const { length: ended } = first.ends
  first.signal('SIGSTOP')
  const paused = Date.now()
  await until('the second one to lead', async () => (await leader()) === 'second', 90)
  // What the paused one would write if it still thought that it leads: it is due in its queue as soon as it wakes.
  await call(cluster, 'DELETE', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/two`)
  apply(server('during'))
  await until('the new leader to work', async () => (await objects()).includes('statefulsets/during'), RECOVERY_S)
  const before = first.writes.length
  first.signal('SIGCONT')
  await until('who lost leadership to end', () => first.ends.length > ended, 60)
  assert.equal(first.ends.at(-1), 1)
  assert.deepEqual(
    first.writes.slice(before).map(({ method, path }) => `${method} ${path}`),
    [],
    'written after the pause',
  )
  assert.ok(Date.now() - paused > 10_000)
  await removed('mcpservers', 'during')
  await settled('calm under the second leader')
})

test('a leader that is killed is followed by the next one, and what was deleted meanwhile is gone', async () => {
  const second = operators[1]
  assert.ok(second !== undefined)
  apply(server('brief'))
  await until('it to be planned', async () => (await objects()).includes('statefulsets/brief'), RECOVERY_S)
  const third = await lead('third')
  await until('the third one to watch', () => third.log().includes('"watching"'))
  second.signal('SIGKILL')
  await call(cluster, 'DELETE', `${GROUP}/mcpservers/brief`)
  await until('it to be started again', () => second.ends.includes('SIGKILL'))
  // Its name is that of its pod, so it may lead again itself.
  await settled('calm after the death of the leader')
})

test('a resource that is deleted while the API server is away from the operator leaves nothing behind', async () => {
  apply(server('gone'))
  await until('it to be planned', async () => (await objects()).includes('statefulsets/gone'), RECOVERY_S)
  for (const operator of operators) operator.signal('SIGSTOP')
  await call(cluster, 'DELETE', `${GROUP}/mcpservers/gone`)
  await stop(cluster, built, 'kube-apiserver')
  await start(cluster, built, 'kube-apiserver')
  for (const operator of operators) operator.signal('SIGCONT')
  await settled('calm after the deletion that nobody saw')
})

test('a kubelet that stops takes readiness away, and gives it back', async () => {
  const ready = async (): Promise<string | undefined> => {
    const { items } = await call<Listed>(cluster, 'GET', `${GROUP}/mcpservers`)
    const one = items.find(({ metadata }) => metadata.name === 'one')
    return one?.status?.conditions?.find(({ type }) => type === 'Ready')?.status
  }
  await until('a server to run', async () => (await ready()) === 'True', RECOVERY_S)
  await stop(cluster, built, 'kubelet')
  apply(server('waiting'))
  await until(
    'it to be planned without a kubelet',
    async () => (await objects()).includes('statefulsets/waiting'),
    RECOVERY_S,
  )
  await until('the server of a lost node to be reported', async () => (await ready()) === 'False', 2 * RECOVERY_S)
  await start(cluster, built, 'kubelet')
  await until('the server to run again', async () => (await ready()) === 'True', 2 * RECOVERY_S)
  await removed('mcpservers', 'waiting')
  await settled('calm after the kubelet')
})

test('CRDs that are upgraded under a running operator interrupt nothing', async () => {
  installCrds()
  shared.kubectl(['annotate', 'crd', 'mcpservers.toolhive.stacklok.dev', `touched=${Date.now()}`, '--overwrite'])
  apply(server('after-upgrade'))
  await until(
    'what came after to be planned',
    async () => (await objects()).includes('statefulsets/after-upgrade'),
    RECOVERY_S,
  )
  await removed('mcpservers', 'after-upgrade')
  await settled('calm after the upgrade')
})

test('a namespace that is deleted goes, with everything in it, and can come back', async () => {
  await call(cluster, 'DELETE', `/api/v1/namespaces/${NAMESPACE}`)
  await until('the namespace to go', gone, 240)
  await rest('nobody to write into a namespace that is gone')
  await call(cluster, 'POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } })
  apply(...fleet)
  await settled('calm in the namespace that came back')
})

/** Whether the namespace is gone; throws with what holds it. */
async function gone(): Promise<boolean> {
  try {
    const { status } = await call<{ status: { conditions?: { message: string }[] } }>(
      cluster,
      'GET',
      `/api/v1/namespaces/${NAMESPACE}`,
    )
    throw new Error((status.conditions ?? []).map(({ message }) => message).join('; '))
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return true
    throw error
  }
}
