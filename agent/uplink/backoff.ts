// How long to wait before the next attempt: anything up to a bound that doubles, so that a thousand uplinks that lost their edge in the
// same moment do not all come back in another.

const FIRST_MS = 500
const LAST_MS = 8_000

export class Backoff {
  readonly #random: () => number
  #failures = 0

  /** `random` gives numbers from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** An attempt was good: the next wait is a short one. */
  reset(): void {
    this.#failures = 0
  }

  /** Milliseconds to wait; never less than the other side asked for. */
  next(retryAfterMs = 0): number {
    const most = Math.min(LAST_MS, FIRST_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 16)
    return retryAfterMs + this.#random() * most
  }
}
