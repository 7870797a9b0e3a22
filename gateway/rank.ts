// The instances that would do, in the order in which to try them: those that seem well before those that do not, a session where it
// has been, everybody else where answers come fast. Pure; `random` (0 ≤ x < 1) breaks ties.

import type { Health } from './catalog/fleet.ts'
import { fingerprint } from './catalog/hash.ts'

/** What is known of an instance by now. */
export interface Vitals {
  /** What its link tells. */
  readonly health: Health
  /** A call failed lately, or its breaker is open. */
  readonly failing: boolean
  /** How long answers take, in milliseconds; undefined before the first. */
  readonly latencyMs: number | undefined
}

/** Latencies this close are the same, in milliseconds and as a factor. */
const CLOSE_MS = 5
const CLOSE = 1.5

/** `affinity` names what has to stay together, such as a session; the same one gives the same order everywhere. */
export function rank<W extends { readonly server: string }>(
  ways: readonly W[],
  vitals: (way: W) => Vitals,
  affinity: string | undefined,
  random: () => number,
): W[] {
  const known = ways.map((way) => ({ way, ...vitals(way), tie: random() }))
  // What has never answered may be the best of all: it is tried as if it were.
  const latencies = known.flatMap(({ latencyMs }) => latencyMs ?? [])
  const best = latencies.length === 0 ? 0 : Math.min(...latencies)
  const near = best * CLOSE + CLOSE_MS
  const scored = known.map(({ way, health, failing, latencyMs = best, tie }) => ({
    way,
    trouble: health === 'offline' ? 2 : failing ? 1 : 0,
    distance: affinity === undefined ? Math.max(latencyMs, near) : 0,
    order: affinity === undefined ? tie : Number.parseInt(fingerprint(`${affinity} ${way.server}`).slice(0, 12), 16),
  }))
  return scored
    .sort((a, b) => a.trouble - b.trouble || a.distance - b.distance || a.order - b.order)
    .map(({ way }) => way)
}
