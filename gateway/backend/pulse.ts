// How an instance of a fleet has answered this isolate lately. Kept as long as its breaker is, which outlives configurations.

import type { Breaker } from './breaker.ts'

/** Weight of the latest answer. */
const WEIGHT = 0.2
/** How long an answer tells how fast the next one will be, in milliseconds: who was slow once gets another chance. */
const FRESH_MS = 60_000
/** How long a failure makes others the better choice, in milliseconds. */
const LATELY_MS = 3_000

export class Pulse {
  #latencyMs: number | undefined
  #answeredAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY

  answered(latencyMs: number, now: number): void {
    const before = this.latencyMs(now) ?? latencyMs
    this.#latencyMs = before + WEIGHT * (latencyMs - before)
    this.#answeredAt = now
    this.#failedAt = Number.NEGATIVE_INFINITY
  }

  failed(now: number): void {
    this.#failedAt = now
  }

  /** Moving average in milliseconds; undefined where nothing was answered lately. */
  latencyMs(now: number): number | undefined {
    return now - this.#answeredAt < FRESH_MS ? this.#latencyMs : undefined
  }

  failing(now: number): boolean {
    return now - this.#failedAt < LATELY_MS
  }
}

const pulses = new WeakMap<Breaker, Pulse>()

/** The pulse of what this breaker guards. */
export function pulseOf(breaker: Breaker): Pulse {
  const known = pulses.get(breaker) ?? new Pulse()
  pulses.set(breaker, known)
  return known
}
