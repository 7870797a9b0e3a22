// A run of many cases: generated from a seed, played by many callers at once, judged one by one and together: the audit trail
// has each message once, the process lives, a good call still works, memory and open files come back.

import { setTimeout as sleep } from 'node:timers/promises'
import { residentMiB } from '../faults/memory.ts'
import { admin } from './admin.ts'
import { answer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Case } from './case.ts'
import { legacy, modernEra } from './eras.ts'
import { http } from './http.ts'
import { answers, envelopes } from './messages.ts'
import { play } from './play.ts'
import type { Played } from './play.ts'
import { Random } from './random.ts'
import { reasons } from './oracle.ts'
import { listing } from './replies.ts'
import { Trail } from './trail.ts'
import { Wire } from './wire.ts'
import type { World } from './world.ts'

export interface Orders {
  /** HTTP requests to send at least. */
  readonly requests: number
  readonly seed: number
  readonly concurrency: number
  /** Index of the first case. */
  readonly from?: number
  /** Only cases of this generator. */
  readonly only?: string | undefined
  /** How long to wait for what clients left open to be noticed; the edge's own patience is about a minute. Default: nobody looks. */
  readonly settleMs?: number
  readonly onFinding?: (finding: Finding) => void
  readonly onProgress?: (report: Report) => void
}

export interface Finding {
  readonly what: string
  readonly index: number
  readonly one: Case | undefined
}

export interface Report {
  readonly requests: number
  readonly cases: number
  readonly seconds: number
  readonly findings: readonly Finding[]
  /** Requests by generator and kind of answer: `admin 4xx`, `http closed`. */
  readonly answers: ReadonlyMap<string, number>
  /** Typed refusals by reason. */
  readonly reasons: ReadonlyMap<string, number>
  readonly slowestMs: number
  /** Resident memory of workerd in MiB: once warm, at the most, and at the end. */
  readonly memory: { readonly warm: number; readonly peak: number; readonly end: number }
  readonly handles: { readonly before: number; readonly after: number }
}

const generators = [
  [18, http],
  [22, envelopes],
  [16, legacy],
  [14, modernEra],
  [10, admin],
  [20, answers],
] as const

export function generate(seed: number, index: number): Case {
  const random = new Random(seed, index)
  return random.weighted(generators.map(([weight, make]) => [weight, () => make(random)] as const))
}

const MAX_FINDINGS = 60
const MAX_SIMILAR = 8
const CHECK_EVERY_MS = 2_000
/** How much workerd may grow once it is warm, and how many sockets may linger. */
const MAX_GROWTH_MIB = 300
const MAX_HANDLES = 64

export async function campaign(world: World, orders: Orders): Promise<Report> {
  const { edge } = world
  const url = new URL(edge.url)
  const started = performance.now()
  const found: Finding[] = []
  const counts = new Map<string, number>()
  const kinds = new Map<string, number>()
  const similar = new Map<string, number>()
  const memory = { warm: 0, peak: 0, end: 0 }
  const handles = { before: await world.handles(), after: 0 }
  const trail = new Trail(edge.lines())
  let requests = 0
  let cases = 0
  let slowestMs = 0
  let ended = 0
  let next = orders.from ?? 0
  const over = new AbortController()

  const report = (what: string, index: number, one: Case | undefined): void => {
    // The same thing found a hundred times is one finding with many cases: a few of them suffice.
    const kind = what
      .replace(/^step \d+: /u, '')
      .replaceAll(/\d+ /gu, '')
      .replaceAll(/[\d"].*/gsu, '')
    count(similar, kind)
    if ((similar.get(kind) ?? 0) > MAX_SIMILAR) return
    const finding = { what, index, one }
    found.push(finding)
    orders.onFinding?.(finding)
  }
  const summary = (): Report => ({
    requests,
    cases,
    seconds: ((ended || performance.now()) - started) / 1000,
    findings: found,
    answers: counts,
    reasons: kinds,
    slowestMs,
    memory,
    handles,
  })

  const note = (generator: string, { step, agent, outcome }: Played, index: number): void => {
    requests += 1
    slowestMs = Math.max(slowestMs, outcome.milliseconds)
    const { kind, status, text } = outcome
    count(
      counts,
      `${generator} ${status === 0 ? kind : kind === 'streaming' ? 'stream' : `${Math.floor(status / 100)}xx`}`,
    )
    for (const reason of reasons(text)) count(kinds, reason)
    if (step.audits !== undefined && step.clean === true) {
      const isBatch = status === 200 || status === 202
      trail.expect(agent, isBatch ? step.audits : 1, index)
    }
  }

  const caller = async (_: unknown, lane: number): Promise<void> => {
    const values = world.principals[lane % world.principals.length] ?? new Map<string, string>()
    const wire = new Wire(url)
    while (requests < orders.requests && !over.signal.aborted) {
      const index = next
      next += 1
      const one = generate(orders.seed, index)
      if (orders.only !== undefined && one.generator !== orders.only) continue
      const { played, objection } = await play(one, { url, values, wire }, `f-${index}`)
      cases += 1
      for (const each of played) note(one.generator, each, index)
      if (objection !== undefined) report(objection, index, one)
      if (objection !== undefined && !alive(edge.pid)) {
        report(DEAD, index, undefined)
        over.abort()
      }
      if (found.length >= MAX_FINDINGS) over.abort()
    }
    wire.close()
  }

  const watch = async (): Promise<void> => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const wrong = await health(world)
      if (wrong !== undefined) report(wrong, next, undefined)
      if (wrong === DEAD) over.abort()
      const resident = await residentMiB(edge.pid).catch(() => 0)
      if (requests > Math.min(orders.requests / 4, 10_000) && memory.warm === 0) memory.warm = resident
      memory.peak = Math.max(memory.peak, resident)
      trail.read()
      if (turn % 5 === 4)
        await world.renew().catch((cause: unknown) => report(`no new sessions: ${String(cause)}`, next, undefined))
      // Lists and handshakes that go wrong, one at a time.
      const puppet = world.puppets[turn % 3]
      if (puppet !== undefined) puppet.distort = distortion(new Random(orders.seed, -turn))
      orders.onProgress?.(summary())
      await sleep(CHECK_EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined)
    }
  }
  const watching = watch()
  await Promise.all(Array.from({ length: orders.concurrency }, caller))
  ended = performance.now()
  over.abort()
  await watching

  for (const { what, index } of await trail.settle())
    report(what, index, index < 0 ? undefined : generate(orders.seed, index))
  const wrong = await health(world)
  if (wrong !== undefined) report(`after the run: ${wrong}`, next, undefined)
  if (orders.settleMs !== undefined) {
    handles.after = await settled(world, handles.before + MAX_HANDLES, orders.settleMs)
    if (handles.after > handles.before + MAX_HANDLES)
      report(`workerd has ${handles.after} open files after the run, ${handles.before} before`, next, undefined)
  }
  memory.end = await residentMiB(edge.pid).catch(() => 0)
  if (memory.warm > 0 && memory.end > memory.warm + MAX_GROWTH_MIB)
    report(`workerd grew from ${Math.round(memory.warm)} to ${Math.round(memory.end)} MiB`, next, undefined)
  return summary()
}

function distortion(random: Random): Answer {
  if (random.chance(0.5)) return answer(random)
  return { headers: [['content-type', 'application/json']], chunks: [listing(random)] }
}

/** Replays one case alone; returns what is wrong. */
export async function replay(world: World, one: Case): Promise<string | undefined> {
  const url = new URL(world.edge.url)
  const wire = new Wire(url)
  try {
    const { objection } = await play(
      one,
      { url, values: world.principals[0] ?? new Map<string, string>(), wire },
      'replay',
    )
    return objection ?? (await health(world))
  } finally {
    wire.close()
  }
}

const DEAD = 'workerd has died'

async function health(world: World): Promise<string | undefined> {
  if (!alive(world.edge.pid)) return DEAD
  return world.check()
}

/** Waits until no more than `most` files are open: what a client leaves is noticed at the next write. */
async function settled(world: World, most: number, patienceMs: number): Promise<number> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const open = await world.handles().catch(() => 0)
    if (open <= most || Date.now() > deadline) return open
    await sleep(250)
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
