// The few statistics of the report. Rounds of the two sides are compared pairwise, because the machine drifts between rounds.

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
  /** Median of the ratios of the rounds. */
  readonly median: number
  readonly least: number
  readonly most: number
}

/** How many times the baseline a side needs: one ratio per round, both sides of a round taken next to each other. */
export function ratio(side: readonly number[], baseline: readonly number[]): Ratio {
  const ratios = side.flatMap((value, round) => {
    const base = baseline[round]
    return base === undefined ? [] : [value / base]
  })
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }
}
