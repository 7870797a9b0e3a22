// The hub's one alarm. It rings when there is something to look at, and is put off while things happen: a hub whose links are idle shall
// sleep, and one that works shall not write its alarm for every frame.

/** How often it is asked when the alarm should ring, at most. */
const PACE_MS = 1_000

export class Alarm {
  readonly #ctx: DurableObjectState
  readonly #next: () => number
  /** An alarm that is nearer than this is put off, if it may be. */
  readonly #nearMs: number
  #due = Number.POSITIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY

  /** `next`: when there is something to look at, in milliseconds since the epoch; Infinity: never. */
  constructor(ctx: DurableObjectState, next: () => number, nearMs: number) {
    this.#ctx = ctx
    this.#next = next
    this.#nearMs = nearMs
    void ctx.blockConcurrencyWhile(async () => {
      this.#due = (await ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY
    })
  }

  /** Something changed that says when to look. */
  set(): void {
    this.#askedAt = Date.now()
    this.ring(Math.max(this.#askedAt, this.#next()))
  }

  /** Something happened. */
  stir(): void {
    const now = Date.now()
    if (this.#due - now < this.#nearMs && now - this.#askedAt >= PACE_MS) this.set()
  }

  /** It has just rung. */
  rang(): void {
    this.#due = Number.POSITIVE_INFINITY
  }

  ring(at: number): void {
    if (!Number.isFinite(at) || at === this.#due) return
    this.#due = at
    this.#ctx.waitUntil(this.#ctx.storage.setAlarm(at))
  }
}
