// What breaks between the edge and two clusters while 64 callers go on: part of link.test.ts, whose scene it plays in. All faults but that of the
// edge are those of `dev`; every call that is not safe to repeat has a key that its server writes down, so that nothing runs twice unseen.

import type { Pod } from 'kubernetes-types/core/v1.js'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange, toolNames } from '../peers/wire.ts'
import { call as api } from './bed/api.ts'
import * as cgroup from './bed/cgroup.ts'
import { cut } from './bed/network.ts'
import type { Cluster } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import { ENDPOINT, OPERATORS } from './furnish.ts'
import { pods, readyPod } from './pods.ts'
import { SYSTEM } from './release.ts'
import { NAMESPACE, edgeRegistered, manifest, type Scene, type Site } from './scene.ts'

/** Its calls are not in the ledger of the others. */
export const CHAOS = 'chaos'
const PAUSE_MS = 1_000
/** A link is given up on after two seconds without a word, and so is the next one; a call that waits three times as long hangs. */
const FAIL_MS = 12_000
/** Ten seconds are the aim; figures are printed, a busy machine may take three times as long. */
const RECOVERY_S = 30
/** Fewer prove little. */
const CALLS = 1_000
const REST_MS = 2_000
const LOG_LOOKS = 10

interface Call {
  readonly tool: string
  readonly cluster: string | undefined
  /** What the server writes down; undefined: the call is safe to repeat. */
  readonly key: string | undefined
  readonly began: number
  readonly ended: number
  /** Undefined: it succeeded. */
  readonly reason: string | undefined
}

interface Fault {
  readonly name: string
  /** Does it, and ends it. */
  readonly strike: () => Promise<void>
  /** The edge itself is away: nobody can be answered. */
  readonly isOfEdge?: boolean
}

interface Status {
  readonly clusters: readonly {
    readonly hub: { readonly connections: readonly { replica: string; isLeader: boolean }[] }
  }[]
}

/** Who calls what, and how many of them. */
const crew: readonly {
  readonly tool: string
  readonly cluster?: string
  readonly isSafe?: boolean
  readonly count: number
}[] = [
  { tool: 'kubernetes_list_resources', isSafe: true, count: 24 },
  { tool: 'kubernetes_echo', count: 16 },
  { tool: 'grafana_echo', cluster: 'dev', count: 12 },
  { tool: 'grafana_echo', cluster: 'prod', count: 12 },
]

export function chaos(play: () => { readonly scene: Scene; readonly figures: Record<string, string> }): void {
  test('64 callers through broken links, uplinks, servers and edges: what fails says so at once, and nothing runs twice', async () => {
    const { scene, figures } = play()
    const { edge, sites } = scene
    const { dev } = sites
    const image = 'ghcr.io/stackloklabs/mkp/server:latest'
    const annotations = { 'waggle.dev/federation': 'interchangeable', 'waggle.dev/trust-hints': 'true' }
    const mkp = manifest('MCPServer', 'kubernetes', { image, transport: 'streamable-http' }, annotations)
    const token = await edge.token(ENDPOINT, { sub: CHAOS, groups: [OPERATORS] })
    const list = async (): Promise<string[]> =>
      toolNames(await exchange(ENDPOINT, { method: 'tools/list', token, timeoutMs: FAIL_MS }))
    // Who stands in for the others is there before they fail.
    await sites.prod.apply(mkp)
    await until('the one in prod to be listed', async () => (await list()).includes('kubernetes_echo'), 180)
    await dev.apply(mkp)
    for (const role of ['server', 'proxy'])
      await readyPod(dev.cluster, NAMESPACE, `toolhive-name=kubernetes,waggle.dev/role=${role}`)
    await until(
      'the one in dev to be registered',
      async () => (await edgeRegistered(dev, 'mcpserver/kubernetes')) === 'True Registered',
    )
    await ready(dev.cluster)

    const calls: Call[] = []
    const lists: { readonly began: number; readonly ended: number; readonly isServed: boolean }[] = []
    const over = new AbortController()
    let nth = 0
    const make = async (tool: string, cluster: string | undefined, isSafe: boolean): Promise<Call> => {
      const key = isSafe ? undefined : `${CHAOS}-${(nth += 1)}`
      const args = { ...(cluster !== undefined && { cluster }), ...(key !== undefined && { message: key }) }
      const began = performance.now()
      const reason = await call(token, tool, args)
      return { tool, cluster, key, began, ended: performance.now(), reason }
    }
    const callers = crew.flatMap(({ tool, cluster, isSafe = false, count }) =>
      Array.from({ length: count }, async (_, at) => {
        await sleep((at / count) * PAUSE_MS)
        while (!over.signal.aborted) {
          calls.push(await make(tool, cluster, isSafe))
          await sleep(PAUSE_MS)
        }
      }),
    )
    const lister = (async () => {
      while (!over.signal.aborted) {
        const began = performance.now()
        const names = await list().catch((): string[] => [])
        lists.push({ began, ended: performance.now(), isServed: names.includes('grafana_echo') })
        await sleep(PAUSE_MS / 4)
      }
    })()

    const windows: { readonly name: string; readonly from: number; readonly to: number; readonly isOfEdge: boolean }[] =
      []
    for (const { name, strike, isOfEdge = false } of faults(scene)) {
      const from = performance.now()
      await strike()
      const healed = performance.now()
      await until(
        `calls in dev after: ${name}`,
        async () => {
          const one = await make('grafana_echo', 'dev', false)
          calls.push(one)
          return one.reason === undefined
        },
        60,
      )
      const took = (performance.now() - healed) / 1000
      windows.push({ name, from, to: performance.now(), isOfEdge })
      figures[`recovery after: ${name}`] = `${took.toFixed(1)} s`
      assert.ok(took <= RECOVERY_S, `${name}: ${took} s`)
      await sleep(REST_MS)
    }
    await until('enough calls', () => calls.length > CALLS)
    over.abort()
    await Promise.all([...callers, lister])

    await until(
      'the holder of the lease, and nobody else, to publish',
      async () => {
        const { clusters } = (await edge.admin('GET', 'status?cluster=dev')) as Status
        const publishing = clusters[0]?.hub.connections.filter(({ isLeader }) => isLeader).map(({ replica }) => replica)
        const holder = await leader(dev.cluster)
        const [pod] = (await uplinks(dev.cluster)).filter(({ metadata }) => metadata?.name === holder)
        return publishing?.length === 1 && publishing[0] === pod?.metadata?.uid
      },
      60,
    )

    const inWindow = ({ began, ended }: { began: number; ended: number }, ofEdge: boolean): boolean =>
      windows.some(({ from, to, isOfEdge }) => isOfEdge === ofEdge && began < to && ended > from)
    const failed = calls.filter((one) => one.reason !== undefined && !inWindow(one, true))
    figures['calls under chaos'] = `${calls.length}, ${failed.length} failed while the edge was there`
    for (const window of windows) {
      const met = calls.filter(({ began, ended }) => began < window.to && ended > window.from)
      const bad = met.filter(({ reason }) => reason !== undefined)
      const longest = Math.max(0, ...bad.map(({ began, ended }) => ended - began))
      const slow = `the slowest after ${(longest / 1000).toFixed(1)} s`
      figures[`while ${window.name}`] =
        `${bad.length} of ${met.length} calls failed${bad.length > 0 ? `, ${slow}` : ''}`
    }
    assert.ok(calls.length > CALLS, `${calls.length} calls`)
    const said = (some: readonly Call[]): string[] =>
      some.map(({ tool, cluster, reason, began, ended }) => {
        const fault = windows.find(({ from, to }) => began < to && ended > from)?.name ?? 'between faults'
        return `${tool} ${cluster ?? ''} ${reason} after ${Math.round(ended - began)} ms: ${fault}`
      })
    assert.deepEqual(said(failed.filter(({ key }) => key === undefined)), [], 'safe calls fail for nobody')
    assert.deepEqual(said(failed.filter(({ cluster }) => cluster === 'prod')), [], 'prod has nothing to do with dev')
    assert.deepEqual(
      said(failed.filter(({ reason = '' }) => !reason.startsWith('backend_'))),
      [],
      'what fails says why',
    )
    assert.deepEqual(said(failed.filter(({ began, ended }) => ended - began > FAIL_MS)), [], 'and does not hang')
    assert.deepEqual(said(failed.filter((one) => !inWindow(one, false))), [], 'nothing fails without a fault')
    assert.deepEqual(
      lists.filter((one) => !one.isServed && !inWindow(one, true)),
      [],
      'lists are always served',
    )

    let executed = await executions(scene)
    const lost = (): Call[] =>
      calls.filter(({ key, reason }) => key !== undefined && reason === undefined && !executed.has(key))
    // What a container says is in its log a moment later.
    for (let wait = 0; wait < LOG_LOOKS && lost().length > 0; wait += 1) {
      await sleep(REST_MS)
      executed = await executions(scene)
    }
    assert.deepEqual(
      [...executed].filter(([, times]) => times > 1),
      [],
      'nothing runs twice',
    )
    assert.deepEqual(said(lost()), [], 'what succeeded did run')
  })
}

/** The reason of its failure; undefined when it succeeds. */
async function call(token: string, tool: string, args: Readonly<Record<string, unknown>>): Promise<string | undefined> {
  try {
    const params = { name: tool, arguments: args }
    const { answer, status } = await exchange(ENDPOINT, { method: 'tools/call', token, params, timeoutMs: 2 * FAIL_MS })
    if (answer?.result !== undefined) return undefined
    return String(answer?.error?.data?.['reason'] ?? `status ${status}`)
  } catch (error) {
    return `no answer: ${String(error)}`
  }
}

function faults({ edge, sites: { dev } }: Scene): Fault[] {
  const { cluster, kubectl } = dev
  const kill = async (pod: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<number[]> => {
    const found = processesOf(cluster, pod)
    assert.ok(found.length > 0, `${pod} runs`)
    for (const pid of found) process.kill(pid, signal)
    return found
  }
  /** How often the pod's container was started again, once it is ready; 0 until then. */
  const restarts = async (name: string): Promise<number> => {
    const found = await pods(cluster, NAMESPACE, 'waggle.dev/role=server')
    const [container] = found.find(({ metadata }) => metadata?.name === name)?.status?.containerStatuses ?? []
    return container?.ready === true ? container.restartCount : 0
  }
  return [
    { name: 'the leading uplink is killed', strike: async () => void (await kill(await leader(cluster))) },
    {
      name: 'all uplinks of a cluster are killed',
      strike: async () => {
        const before = (await uplinks(cluster)).map(({ metadata }) => metadata?.name ?? '')
        await kubectl(['delete', 'pod', '-n', SYSTEM, '--force', '--grace-period=0', ...before])
        await ready(cluster)
      },
    },
    {
      name: 'the network of a cluster is cut, without a word to either side',
      strike: async () => {
        cut(cluster, true)
        await sleep(8_000)
        cut(cluster, false)
      },
    },
    {
      name: 'a server is killed',
      strike: async () => {
        const before = await restarts('kubernetes-0')
        await kill('kubernetes-0')
        // Its calls may fail until it is back; those to others never do.
        await until('the server to be back', async () => (await restarts('kubernetes-0')) > before)
      },
    },
    {
      name: 'the leading uplink stands still for longer than it leads',
      strike: async () => {
        const paused = await leader(cluster)
        const stopped = await kill(paused, 'SIGSTOP')
        await until('another to lead', async () => (await leader(cluster)) !== paused)
        // Unless its kubelet has given up on it meanwhile.
        const left = new Set(processesOf(cluster, paused))
        for (const pid of stopped) if (left.has(pid)) process.kill(pid, 'SIGCONT')
      },
    },
    {
      name: 'the edge is killed',
      isOfEdge: true,
      strike: async () => {
        await edge.kill()
        await edge.start()
      },
    },
  ]
}

function uplinks(cluster: Cluster): Promise<Pod[]> {
  return pods(cluster, SYSTEM, 'app.kubernetes.io/component=uplink')
}

/** Waits until both uplinks are ready. */
async function ready(cluster: Cluster): Promise<void> {
  await until('both uplinks to be ready', async () => {
    const isReady = (await uplinks(cluster)).map(
      ({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.status,
    )
    return isReady.filter((one) => one === 'True').length === 2
  })
}

/** The processes of a pod's containers, as the host sees them. */
function processesOf({ id }: Cluster, pod: string): number[] {
  return cgroup.processes(id).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HOSTNAME=${pod}`)
    } catch {
      return false
    }
  })
}

/** The uplink that holds the lease. */
async function leader(cluster: Cluster): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/waggle-agent-uplink`
  return (await api<{ spec: { holderIdentity?: string } }>(cluster, 'GET', path)).spec.holderIdentity ?? ''
}

/** How often servers executed each call that has a key. */
async function executions({ sites }: Scene): Promise<ReadonlyMap<string, number>> {
  const read = (site: Site, which: readonly string[]): Promise<string> =>
    site.kubectl(['logs', '-n', NAMESPACE, ...which, '--tail=-1'])
  const logs = await Promise.all([
    ...Object.values(sites).map((site) => read(site, ['-l', 'waggle.dev/role=server'])),
    // Of the one that was killed.
    read(sites.dev, ['kubernetes-0', '--previous']),
  ])
  const times = new Map<string, number>()
  for (const [, key = ''] of logs.join('\n').matchAll(new RegExp(`^echo: "(${CHAOS}-\\d+)"$`, 'gmu')))
    times.set(key, (times.get(key) ?? 0) + 1)
  return times
}
