// A token bucket: how fast the client asks, so that a storm of ours never becomes the API server's.
// Waiters are served in order; a wait ends with its signal.

import type { Clock } from './clock.ts'
import { sleep } from './clock.ts'

export class Bucket {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  /** `perSecond` requests on average, `burst` at once. */
  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#at = clock.monotonic()
  }

  /** Resolves when one more may go; throws the signal's reason when it aborts first. */
  async take(signal?: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1_000) * this.#perSecond)
    this.#at = now
    this.#tokens -= 1
    if (this.#tokens < 0) await sleep(this.#clock, (-this.#tokens / this.#perSecond) * 1_000, signal)
    if (signal?.aborted !== true) return
    this.#tokens += 1
    signal.throwIfAborted()
  }
}
