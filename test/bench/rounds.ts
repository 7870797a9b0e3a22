// Runs the sides of one comparison in turn, round after round in changing order, so that a drift of the machine and what a side
// leaves behind in its caches meet all sides alike. What is compared later are medians of rounds.
import type { Child } from './child.ts'
import type { Order, Slice } from './load.ts'
import { percentile } from './stats.ts'
import type { Operation, Target } from './user.ts'

export interface Side {
  readonly name: string
  readonly target: Target
  /** The process whose CPU time is charged. */
  readonly pid: number
}

export interface Pace {
  readonly rounds: number
  readonly warmMs: number
  readonly measureMs: number
}

/** One side over all rounds. Times in milliseconds, CPU in milliseconds per operation. */
export interface Row {
  readonly name: string
  readonly operations: number
  /** HTTP requests in all, warming up included. */
  readonly sent: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMs: number
  readonly cpuMsByRound: readonly number[]
  readonly p50ByRound: readonly number[]
  readonly bytes: number
}

/** Answers that were wrong or missing: the one thing that fails a benchmark run. */
export class BenchError extends Error {
  override readonly name = 'BenchError'
}

/** Orders of two and of three sides. Among three, no side runs twice in a row and each follows each of the others equally often. */
const ORDERS: Readonly<Record<number, readonly (readonly number[])[]>> = {
  1: [[0]],
  2: [
    [0, 1],
    [1, 0],
  ],
  3: [
    [0, 1, 2],
    [0, 2, 1],
    [2, 1, 0],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
  ],
}
const WARM_UP = { users: 16, warmMs: 200, measureMs: 600 }

/** Measures all sides with `users` users at work; rows come in the order of the sides. */
export async function compare(
  load: Child,
  sides: readonly Side[],
  operation: Operation,
  users: number,
  pace: Pace,
): Promise<Row[]> {
  const slices = sides.map((): Slice[] => [])
  const warm: Slice[] = []
  for (const side of sides) warm.push(await run(load, side, operation, WARM_UP.users, WARM_UP))
  const orders = ORDERS[sides.length] ?? [[...sides.keys()]]
  for (let round = 0; round < pace.rounds; round++) {
    for (const index of orders[round % orders.length] ?? []) {
      const side = sides[index]
      if (side !== undefined) slices[index]?.push(await run(load, side, operation, users, pace))
    }
  }
  return sides.map((side, index) => row(side.name, slices[index] ?? [], warm[index]?.sent ?? 0))
}

async function run(
  load: Child,
  side: Side,
  operation: Operation,
  users: number,
  pace: Omit<Pace, 'rounds'>,
): Promise<Slice> {
  const { warmMs, measureMs } = pace
  const order: Order = { target: side.target, operation, users, warmMs, measureMs, pid: side.pid }
  const slice = await load.ask<Slice>(order, warmMs + measureMs + 60_000)
  if (slice.errors > 0)
    throw new BenchError(
      `${side.name}, ${operation}, ${users} users: ${slice.errors} wrong answers, first: ${slice.firstError}`,
    )
  return slice
}

function row(name: string, slices: readonly Slice[], warm: number): Row {
  const latencies = Float64Array.from(slices.flatMap((slice) => [...slice.latencies])).sort()
  const operations = sum(slices.map((slice) => slice.operations))
  return {
    name,
    operations,
    sent: warm + sum(slices.map((slice) => slice.sent)),
    perSecond: operations / sum(slices.map((slice) => slice.seconds)),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuMs: (1000 * sum(slices.map((slice) => slice.cpuSeconds))) / operations,
    cpuMsByRound: slices.map((slice) => (1000 * slice.cpuSeconds) / slice.operations),
    p50ByRound: slices.map((slice) => percentile(slice.latencies.toSorted(), 0.5)),
    bytes: slices.at(-1)?.bytes ?? 0,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
