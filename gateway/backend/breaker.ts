// A circuit breaker per server and isolate, fed by real calls: transport failures and timeouts count, answers never do,
// whatever they say. Half-open lets one live call through.

import type { Clock } from '../ports.ts'

export interface BreakerSettings {
  /** Consecutive failures that open it. */
  readonly threshold: number
  /** How long it stays open before one call may try. */
  readonly openMs: number
}

export class Breaker {
  readonly #settings: BreakerSettings
  readonly #now: Clock
  readonly #opened: () => void
  #failures = 0
  #openUntil = 0
  /** Until when the one call that may try is waited for; it may be lost with the request that made it. */
  #tryingUntil = 0

  /** `opened` is called whenever it opens, by the failure that opens it. */
  constructor(settings: BreakerSettings, now: Clock, opened: () => void = () => undefined) {
    this.#settings = settings
    this.#now = now
    this.#opened = opened
  }

  /**
   * Undefined when a call may go, else the milliseconds to wait. A call that may go must report its outcome. `isLast`: it has nowhere
   * else to go, so it does not wait for how another one's try ends.
   */
  enter(isLast = false): number | undefined {
    const wait = this.wait()
    if (wait > 0 && !(isLast && this.#openUntil <= this.#now())) return wait
    if (this.#failures >= this.#settings.threshold) this.#tryingUntil = this.#now() + this.#settings.openMs
    return undefined
  }

  /** How long a call would be refused from now on, in milliseconds; 0 when it may go. */
  wait(): number {
    if (this.#failures < this.#settings.threshold) return 0
    return Math.max(0, this.#openUntil - this.#now(), this.#tryingUntil - this.#now())
  }

  success(): void {
    this.#failures = 0
    this.#tryingUntil = 0
  }

  failure(): void {
    this.#failures += 1
    this.#tryingUntil = 0
    if (this.#failures < this.#settings.threshold) return
    this.#openUntil = this.#now() + this.#settings.openMs
    this.#opened()
  }

  /** The call ended without telling anything about the server (the caller went away). */
  release(): void {
    this.#tryingUntil = 0
  }
}
