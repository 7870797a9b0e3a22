// What idle streams cost: two equal gateways side by side, one of which holds streams of many users, then callers at both in
// turn. CPU and memory of the streams are read at rest, long enough for a round of keep-alives.
import { setTimeout as sleep } from 'node:timers/promises'
import { awakeObjects } from './objects.ts'
import { Child } from './child.ts'
import { startGateway } from './gateway.ts'
import type { Gateway } from './gateway.ts'
import type { Held, HoldOrder } from './holder.ts'
import { calls, echo } from './manifests.ts'
import type { StreamCalls, StreamResults, Streams } from './results.ts'
import { BenchError, compare } from './rounds.ts'
import type { Pace } from './rounds.ts'
import { cpuOf, residentOf } from './usage.ts'
import type { Era } from './user.ts'

export interface StreamPlan {
  /** Streams of each era. */
  readonly streams: number
  readonly restMs: number
  readonly users: number
  readonly pace: Pace
}

const ERAS = ['legacy', 'modern'] as const
const OPEN_DEADLINE_MS = 180_000
/** After opening, before anything is read: catalogs are looked at every two seconds. */
const SETTLE_MS = 3_000

export async function measureStreams(
  plan: StreamPlan,
  backend: string,
  load: Child,
  say: (text: string) => void,
): Promise<StreamResults> {
  const closing: (() => Promise<void>)[] = []
  try {
    const bare = await startGateway()
    closing.push(() => bare.close())
    const gateway = await startGateway()
    closing.push(() => gateway.close())
    const { child: holder } = await Child.start('holder.ts')
    closing.push(() => holder.stop())
    for (const one of [bare, gateway]) {
      await one.apply(calls(backend))
      for (const era of ERAS) await one.listed(await one.target(era, era, echo(era)), 30)
    }
    const held: Streams[] = []
    for (const era of ERAS) {
      say(`${plan.streams} idle streams, ${era}`)
      held.push(await open(plan, gateway, holder, era))
    }
    const objects = awakeObjects(gateway.pid).get('ChannelObject') ?? 0
    const measured: StreamCalls[] = []
    for (const era of ['modern', 'legacy'] as const) {
      say(`tools/call, ${era}, ${plan.users} users, without and with the streams`)
      const sides = []
      for (const [name, one] of [
        ['without', bare],
        ['with', gateway],
      ] as const) {
        sides.push({ name, target: await one.target(era, era, echo(era)), pid: one.pid })
      }
      measured.push({ era, users: plan.users, rows: await compare(load, sides, 'call', plan.users, plan.pace) })
    }
    const still = await holder.ask<Held>({ count: true } satisfies HoldOrder, OPEN_DEADLINE_MS)
    if (still.open !== plan.streams * ERAS.length) {
      throw new BenchError(`of ${plan.streams * ERAS.length} streams ${still.open} are open after the calls`)
    }
    return { held, objects, calls: measured }
  } finally {
    for (const close of closing.toReversed()) await close()
  }
}

/** Opens the streams of one era and reads what the gateway needs more than before. */
async function open(plan: StreamPlan, gateway: Gateway, holder: Child, era: Era): Promise<Streams> {
  const { streams, restMs } = plan
  const target = await gateway.target(era, era, '', streams)
  const before = { cpu: await rest(gateway.pid, restMs), resident: residentOf(gateway.pid) }
  const { open: already } = await holder.ask<Held>({ count: true } satisfies HoldOrder, OPEN_DEADLINE_MS)
  const began = { at: performance.now(), cpu: cpuOf(gateway.pid) }
  const held = await holder.ask<Held>({ hold: target } satisfies HoldOrder, OPEN_DEADLINE_MS)
  if (held.open !== already + streams)
    throw new BenchError(`${held.open - already} of ${streams} ${era} streams are open`)
  const openCpuMs = ((cpuOf(gateway.pid) - began.cpu) * 1000) / streams
  const openSeconds = (performance.now() - began.at) / 1000
  await sleep(SETTLE_MS)
  const after = { cpu: await rest(gateway.pid, restMs), resident: residentOf(gateway.pid) }
  return {
    era,
    streams,
    openSeconds,
    openCpuMs,
    kibPerStream: ((after.resident - before.resident) * 1024) / streams,
    cpuMsPerSecond: { before: before.cpu, after: after.cpu },
  }
}

/** CPU milliseconds per second of a process that is left alone. */
async function rest(pid: number, milliseconds: number): Promise<number> {
  const [at, used] = [performance.now(), cpuOf(pid)]
  await sleep(milliseconds)
  return ((cpuOf(pid) - used) * 1000) / ((performance.now() - at) / 1000)
}
