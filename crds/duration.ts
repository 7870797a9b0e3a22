// Durations as Go writes them: `30s`, `1m30s`, `1.5h`.
import * as z from 'zod'

const pattern = /^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/

export const Duration = z.string().max(32).regex(pattern, { error: 'must be a duration such as 500ms, 30s or 1m30s' })

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a Go duration; undefined when `text` is none. */
export function milliseconds(text: string): number | undefined {
  if (text.length > 32 || !pattern.test(text)) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)([a-zµ]+)/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0)
  }
  return total
}
