// How often something may happen: some of it at once, after that one in a while. Pure: whoever asks says what time it is.

export class Pace {
  readonly #burst: number
  readonly #everyMs: number
  /** When all that was let through would have happened, one in a while. */
  #until = Number.NEGATIVE_INFINITY

  /** `burst` at once; `everyMs` milliseconds for each beyond it. */
  constructor(burst: number, everyMs: number) {
    this.#burst = burst
    this.#everyMs = everyMs
  }

  /** Counts one more; says how many milliseconds it is early, 0 when it is not. */
  wait(now: number): number {
    const until = Math.max(this.#until, now) + this.#everyMs
    this.#until = until
    return Math.max(0, until - now - this.#burst * this.#everyMs)
  }
}
