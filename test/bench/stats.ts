// The few statistics of the report. Sides are compared by the medians of their rounds, which were taken in turn.

/** The value below which the share `p` (0 to 1) of the sorted samples lies; NaN without samples. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = percentile(sorted, 0.5)
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[sorted.length / 2 - 1] ?? Number.NaN)) / 2
}

export interface Ratio {
  /** Median of the side's rounds by the median of the baseline's. */
  readonly median: number
  /** The same for each third of the run: the least and the most of the three. */
  readonly least: number
  readonly most: number
}

const PARTS = 3

/** How many times the baseline a side needs. Medians, because a disturbed round may cost a multiple of all others. */
export function ratio(side: readonly number[], baseline: readonly number[]): Ratio {
  const length = Math.ceil(Math.min(side.length, baseline.length) / PARTS)
  const parts = Array.from({ length: PARTS }, (_, part) => {
    const cut = (rounds: readonly number[]): number => median(rounds.slice(part * length, (part + 1) * length))
    return cut(side) / cut(baseline)
  }).filter((value) => !Number.isNaN(value))
  return { median: median(side) / median(baseline), least: Math.min(...parts), most: Math.max(...parts) }
}
