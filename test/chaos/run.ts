// One chaos run: callers at work, first in peace, then in a storm of faults, then in peace again; then they leave, and what
// they leave behind is compared with what the peace before the storm left.

import { setTimeout as sleep } from 'node:timers/promises'
import { adminOf } from '../admin.ts'
import { startIssuer } from '../issuer.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { startBackend } from './backend.ts'
import type { Backend } from './backend.ts'
import { Caller, planCrew } from './crew.ts'
import { Ledger } from './ledger.ts'
import type { Tally } from './ledger.ts'
import type { BackendKind } from './life.ts'
import { startProcess } from './process.ts'
import type { EdgeProcess } from './process.ts'
import { startProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'
import { excess, footprint, settled } from './rest.ts'
import type { Footprint } from './rest.ts'
import { schedule } from './schedule.ts'
import type { Fault } from './schedule.ts'

export interface RunOptions {
  readonly seconds: number
  readonly callers: number
  readonly seed: number
  /** Peace before the storm; its memory is what the memory afterwards is compared with. */
  readonly warmSeconds: number
  /** How much more memory may be resident afterwards: 0.5 is half as much again. A short peace has not filled the heap. */
  readonly growth: number
  /** How long the edge may take to let go of everything. */
  readonly restSeconds: number
  readonly say: (line: string) => void
}

export interface Report {
  readonly tally: Tally
  /** Faults that met something, by kind. */
  readonly faults: Readonly<Record<string, number>>
  readonly evicted: Readonly<Record<string, number>>
  /** Milliseconds until the last caller succeeded again; infinite when one never did. */
  readonly recoveryMs: number
  readonly slowest: string
  /** The last caller's calls that ended after the storm. */
  readonly slowestCalls: readonly string[]
  readonly resumed: number
  /** Callers that hold a stream of changes after the storm, and who of them did not hear of a change. */
  readonly listening: { readonly holders: number; readonly reopened: number; readonly deaf: readonly string[] }
  readonly before: Footprint
  readonly after: Footprint
  readonly excess: readonly string[]
  readonly complaints: readonly (readonly [string, number])[]
}

const KINDS: readonly BackendKind[] = ['modern', 'plain', 'asking', 'old']
/** A busy machine may take seconds for the first calls of all callers; what is longer has a reason. */
const CALL_TIMEOUT = '12s'
/** Between two callers that begin. */
const APART_MS = 25
/** How long the slowest caller is waited for. */
const RECOVERY_MS = 60_000
const PEACE_MS = 3_000
/** How long the news of a changed catalog may take to the last listener. */
const TOLD_MS = 40_000
/** Objects that one eviction fault tries. */
const EVICTIONS = 4
/** Backends die often here; a breaker that stays open for long would keep the calls away from what is tested. */
const BREAKER = { enabled: true, failureThreshold: 5, timeout: '2s' }

interface World {
  readonly edge: EdgeProcess
  readonly backends: readonly Backend[]
  readonly toBackends: readonly Proxy[]
  readonly toEdge: readonly Proxy[]
  readonly ledger: Ledger
  crew(): Promise<Caller[]>
  close(): Promise<void>
}

export async function runChaos(options: RunOptions): Promise<Report> {
  const { growth, say } = options
  const world = await build(options)
  const { edge, backends, ledger } = world
  try {
    const warm = await world.crew()
    const stopWarm = new AbortController()
    const warming = Promise.all(
      warm.map(async (caller, index) => {
        await sleep(index * APART_MS)
        await caller.work(stopWarm.signal)
      }),
    )
    await sleep(options.warmSeconds * 1000)
    stopWarm.abort()
    await warming
    await Promise.all(warm.map((caller) => caller.leave()))
    await sleep(6_000)
    const before = await footprint(edge, backends)
    say(`before: ${JSON.stringify(before)}`)

    const crew = await world.crew()
    const stop = new AbortController()
    const working = Promise.all(crew.map((caller) => caller.work(stop.signal)))
    const listening = Promise.all(crew.map((caller) => caller.listen(stop.signal)))
    const from = performance.now()
    const storm = await rage(options, world)
    const until = performance.now()
    say(`the storm is over: ${JSON.stringify(storm.faults)}`)
    const recovery = await recovered(crew, ledger, until)
    const told = await announced(crew, backends)
    await sleep(PEACE_MS)
    stop.abort()
    await Promise.all([working, listening])
    await Promise.all(crew.map((caller) => caller.leave()))

    // Sessions whose opening or end was cut off are the server's to expire: nobody knows their ids.
    const sessions =
      world.toBackends.reduce((sum, proxy) => sum + proxy.cuts.length, 0) + edge.downs.length * crew.length
    const after = await settled(edge, backends, before, { sessions, growth }, options.restSeconds * 1000)
    return {
      tally: ledger.tally({ downs: edge.downs, stormy: { from, until } }),
      ...storm,
      ...recovery,
      slowestCalls: ledger.after(recovery.slowest, until),
      resumed: crew.reduce((sum, caller) => sum + caller.resumed, 0),
      listening: told,
      before,
      after,
      excess: excess(before, after, { sessions, growth }),
      complaints: edge.complaints(),
    }
  } finally {
    await world.close()
  }
}

async function build({ callers, seed, say }: RunOptions): Promise<World> {
  const ledger = new Ledger()
  const issuer = await startIssuer()
  const backends = await Promise.all(KINDS.map((kind) => startBackend(kind, ledger.execute)))
  const toBackends = await Promise.all(backends.map((backend) => startProxy(() => backend.port)))
  const plans = planCrew(callers)
  const toEdge: Proxy[] = []
  // The libraries say in Host where they connect to.
  const hosts: string[] = []
  let port = 0
  for (const _ of plans) {
    const proxy = await startProxy(() => port)
    toEdge.push(proxy)
    hosts.push(`127.0.0.1:${proxy.port}`)
  }
  const vars = { OIDC_ISSUER: issuer.url, ALLOW_LOOPBACK: 'true', ALLOWED_HOSTS: hosts.join(',') }
  const edge = await startProcess(vars)
  port = Number(new URL(edge.url).port)
  const close = async (): Promise<void> => {
    await Promise.all([...toEdge, ...toBackends, ...backends, edge, issuer].map((one) => one.close()))
  }
  const endpoint = (kind: BackendKind): string => `${edge.url}/test/${kind}/mcp`
  try {
    const aggregation = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '' } }
    const config = { aggregation, operational: { failureHandling: { circuitBreaker: BREAKER } } }
    const resources = backends.flatMap(({ kind, path }, index) => [
      entry(kind, `http://127.0.0.1:${toBackends[index]?.port}${path}`, kind === 'old' ? { transport: 'sse' } : {}),
      virtual(kind, [kind], { config }, { 'waggle.dev/call-timeout': CALL_TIMEOUT }),
    ])
    await adminOf(edge.url, issuer).apply(resources)
    for (const kind of KINDS) await untilListed(endpoint(kind), await issuer.token(endpoint(kind)))
  } catch (error) {
    await close()
    throw error
  }
  say(`edge ${edge.url}, process ${edge.pid}`)
  let crews = 0
  return {
    edge,
    backends,
    toBackends,
    toEdge,
    ledger,
    close,
    crew: async () => {
      const generation = crews++
      return Promise.all(
        plans.map(async (plan, index) => {
          const url = endpoint(plan.backend)
          const token = await issuer.token(url, { sub: `user-${index}`, exp: Math.floor(Date.now() / 1000) + 7200 })
          const proxy = toEdge[index]
          if (proxy === undefined) throw new Error('every caller has a proxy')
          return new Caller({ ...plan, index: index + generation * 1000, proxy, url, token, ledger, seed })
        }),
      )
    },
  }
}

async function untilListed(url: string, token: string): Promise<void> {
  for (const deadline = performance.now() + 90_000; ; await sleep(100)) {
    const list = await exchange(url, { method: 'tools/list', token })
    if (toolNames(list).includes('ask')) return
    if (performance.now() > deadline) throw new Error(`${url} does not list its tools: ${list.body.slice(0, 500)}`)
  }
}

/** Lets the scheduled faults happen. */
async function rage(
  { seconds, seed, say }: RunOptions,
  world: World,
): Promise<{ faults: Record<string, number>; evicted: Record<string, number> }> {
  const faults: Record<string, number> = {}
  const evicted: Record<string, number> = {}
  const pending: Promise<void>[] = []
  const start = performance.now()
  let crashing = Promise.resolve()

  async function strike(fault: Fault): Promise<boolean> {
    const { edge, backends, toBackends, toEdge } = world
    const one = <T>(list: readonly T[], pick: number): T | undefined => list[Math.floor(pick * list.length)]
    switch (fault.kind) {
      case 'crash': {
        crashing = crashing.then(() => edge.crash(fault.pauseMs))
        await crashing
        return true
      }
      case 'abort':
        await edge.abort()
        return true
      case 'evict': {
        // Busy objects stay; so a few are asked to go.
        const awake = edge.awake()
        const first = Math.floor(fault.pick * awake.length)
        const chosen = [...awake.slice(first), ...awake.slice(0, first)].slice(0, EVICTIONS)
        const gone = await Promise.all(chosen.map(async (object) => ({ object, gone: await edge.evict(object) })))
        for (const { object } of gone.filter((each) => each.gone)) {
          evicted[object.className] = (evicted[object.className] ?? 0) + 1
        }
        return gone.some((each) => each.gone)
      }
      case 'restart':
        await one(backends, fault.pick)?.restart(fault.pauseMs)
        return true
      case 'change':
        one(backends, fault.pick)?.change()
        return true
      case 'cut':
        return (
          one(fault.side === 'client' ? toEdge : toBackends, fault.proxy)?.cut(fault.pick, fault.afterBytes) ?? false
        )
      case 'starve':
        return (
          one(fault.side === 'client' ? toEdge : toBackends, fault.proxy)?.starve(fault.pick, fault.milliseconds) ??
          false
        )
    }
  }

  async function count(fault: Fault): Promise<void> {
    const what = fault.kind === 'cut' || fault.kind === 'starve' ? `${fault.kind} ${fault.side}` : fault.kind
    if (await strike(fault)) faults[what] = (faults[what] ?? 0) + 1
  }

  for (const fault of schedule(seed, seconds)) {
    await sleep(Math.max(0, fault.atMs - (performance.now() - start)))
    if (fault.kind === 'crash') say(`crash at ${Math.round(fault.atMs / 1000)} s`)
    pending.push(count(fault))
  }
  await sleep(Math.max(0, seconds * 1000 - (performance.now() - start)))
  await Promise.all(pending)
  for (const proxy of [...world.toEdge, ...world.toBackends]) proxy.calm()
  return { faults, evicted }
}

/** How long after the storm every caller has succeeded again. */
async function recovered(
  crew: readonly Caller[],
  ledger: Ledger,
  since: number,
): Promise<{ recoveryMs: number; slowest: string }> {
  const limit = since + RECOVERY_MS
  for (; performance.now() < limit; await sleep(50)) if (crew.every((caller) => caller.succeededAt > since)) break
  const times = crew.map(({ name }) => ({ name, ms: Math.round(ledger.firstSuccess(name, since) - since) }))
  const slowest = times.reduce((one, two) => (two.ms > one.ms ? two : one))
  return { recoveryMs: slowest.ms, slowest: slowest.name }
}

/** Changes every catalog once and waits until all who hold a stream were told. Who opens one later than that lists anyway. */
async function announced(crew: readonly Caller[], backends: readonly Backend[]): Promise<Report['listening']> {
  const holders = crew.filter((caller) => caller.stream.opened > 0)
  const before = new Map(holders.map((caller) => [caller, { heard: caller.heard, opened: caller.stream.opened }]))
  const deaf = (): Caller[] =>
    holders.filter((caller) => {
      const known = before.get(caller)
      return caller.heard === known?.heard && caller.stream.opened === known.opened
    })
  for (const backend of backends) backend.change()
  for (const limit = performance.now() + TOLD_MS; performance.now() < limit; await sleep(100)) {
    if (deaf().length === 0) break
  }
  return {
    holders: holders.length,
    reopened: holders.reduce((sum, { stream }) => sum + stream.opened - 1, 0),
    deaf: deaf().map(({ name, stream }) => `${name}: ${JSON.stringify(stream)}`),
  }
}
