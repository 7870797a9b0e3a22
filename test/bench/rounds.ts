// Runs the sides of one comparison in turn, round after round and every other round in reverse (A B, B A, …), so that a drift of the
// machine meets all sides alike. What is compared later are ratios within a round.
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

/** Measures all sides with `users` users at work; rows come in the order of the sides. One round more is run first and thrown away. */
export async function compare(
  load: Child,
  sides: readonly Side[],
  operation: Operation,
  users: number,
  pace: Pace,
): Promise<Row[]> {
  const slices = sides.map((): Slice[] => [])
  for (let round = -1; round < pace.rounds; round++) {
    const order = [...sides.keys()]
    if (round % 2 !== 0) order.reverse()
    for (const index of order) {
      const side = sides[index]
      if (side === undefined) continue
      const slice = await run(load, side, operation, users, pace)
      if (round >= 0) slices[index]?.push(slice)
    }
  }
  return sides.map((side, index) => row(side.name, slices[index] ?? []))
}

async function run(load: Child, side: Side, operation: Operation, users: number, pace: Pace): Promise<Slice> {
  const { warmMs, measureMs } = pace
  const order: Order = { target: side.target, operation, users, warmMs, measureMs, pid: side.pid }
  const slice = await load.ask<Slice>(order, warmMs + measureMs + 60_000)
  if (slice.errors > 0)
    throw new BenchError(
      `${side.name}, ${operation}, ${users} users: ${slice.errors} wrong answers, first: ${slice.firstError}`,
    )
  return slice
}

function row(name: string, slices: readonly Slice[]): Row {
  const latencies = Float64Array.from(slices.flatMap((slice) => [...slice.latencies])).sort()
  const operations = sum(slices.map((slice) => slice.operations))
  return {
    name,
    operations,
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
