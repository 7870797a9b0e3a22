// How long to wait before the next attempt, and for an answer to it. The wait is anything up to a bound that doubles, so that a thousand uplinks that lost their edge in the
// same moment do not all come back in another.

const FIRST_MS = 500
const LAST_MS = 8_000
const PATIENT_MS = 5_000
const MOST_PATIENT_MS = 20_000

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

  /**
   * Milliseconds that the edge may take over each answer to the next attempt. An edge to which all come back at once is slow: who gives up
   * on it as early as ever asks it for the same again, and nobody gets in.
   * The second attempt is as short as the first: it is more often made into a network that is cut than at an edge that is slow.
   */
  get patienceMs(): number {
    return Math.min(MOST_PATIENT_MS, PATIENT_MS * 2 ** Math.max(0, this.#failures - 1))
  }

  /** Milliseconds to wait; never less than the other side asked for. */
  next(retryAfterMs = 0): number {
    const most = Math.min(LAST_MS, FIRST_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 16)
    return retryAfterMs + this.#random() * most
  }
}
