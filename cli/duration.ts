// How long, as people type it.

import { usage } from './failure.ts'

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds of the value of `--for`: `90s`, `30m`, `24h`, `7d`. */
export function duration(text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const seconds = Number(amount) * (units[unit ?? ''] ?? Number.NaN)
  if (seconds > 0) return seconds
  throw usage(`--for ${JSON.stringify(text)} is not a duration`, 'write it as 90s, 30m, 24h or 7d')
}
