// How long one request may take: its body must arrive, then the server's silence is bounded, and so is the whole. One timer
// serves all of it, and the mark after which a response stream opens without its response.

import { Fault } from '../protocol/fault.ts'

const BODY_MS = 30_000
/** Longest life of one call, however talkative its server is. */
const MAX_CALL_MS = 15 * 60_000
/** How long a response may take before its stream opens. */
const SLOW_MS = 5_000

export class Deadline {
  readonly #controller = new AbortController()
  readonly #expired = Promise.withResolvers<never>()
  readonly #slow = Promise.withResolvers<undefined>()
  #server: string | undefined
  #idleMs = BODY_MS
  #slowAt = Number.POSITIVE_INFINITY
  #silentUntil: number
  #until: number
  #timer: ReturnType<typeof setTimeout>
  #ringsAt: number
  readonly #onAbort: ((reason: unknown) => void)[] = []
  #onEnd: (() => void) | undefined

  /** Starts at once, with the time that the body has. `now` is in milliseconds since the epoch. */
  constructor(now: number) {
    this.#silentUntil = now + BODY_MS
    this.#until = this.#silentUntil
    this.#expired.promise.catch(() => undefined)
    this.#ringsAt = now + SLOW_MS
    this.#timer = setTimeout(() => this.#ring(), SLOW_MS)
  }

  /** The body is there and the call to the server begins, which may be silent for `idleMs`. */
  begin(server: string, idleMs: number, now: number): void {
    this.#server = server
    this.#idleMs = idleMs
    this.#slowAt = now + SLOW_MS
    this.#silentUntil = now + idleMs
    this.#until = now + Math.max(MAX_CALL_MS, idleMs)
    // Mostly the timer that runs already rings early enough; not where the silence is short or the body took long.
    const due = Math.min(this.#slowAt, this.#silentUntil)
    if (this.#ringsAt <= due) return
    clearTimeout(this.#timer)
    this.#wait(due, now)
  }

  /** Aborts with the fault that ended the call. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Resolves when the call has become slow. */
  get slow(): Promise<undefined> {
    return this.#slow.promise
  }

  onAbort(aborted: (reason: unknown) => void): void {
    this.#onAbort.push(aborted)
  }

  onEnd(ended: () => void): void {
    this.#onEnd = ended
  }

  /** The promise, or the deadline's fault if that comes first: also when what is awaited ignores the signal. */
  within<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#expired.promise])
  }

  /** The server gave a sign of life. */
  extend(): void {
    this.#silentUntil = Date.now() + this.#idleMs
  }

  /** The call is over; nothing will ring. */
  end(): void {
    clearTimeout(this.#timer)
    this.#onAbort.length = 0
    this.#onEnd?.()
    this.#onEnd = undefined
  }

  abort(reason: unknown): void {
    const aborted = [...this.#onAbort]
    this.end()
    this.#controller.abort(reason)
    this.#expired.reject(reason)
    for (const one of aborted) one(reason)
  }

  #ring(): void {
    const now = Date.now()
    if (now >= this.#slowAt) this.#slow.resolve(undefined)
    const end = Math.min(this.#silentUntil, this.#until)
    if (now >= end) this.abort(this.#fault())
    else this.#wait(now < this.#slowAt ? Math.min(end, this.#slowAt) : end, now)
  }

  #wait(until: number, now: number): void {
    this.#ringsAt = until
    this.#timer = setTimeout(() => this.#ring(), until - now)
  }

  #fault(): Fault {
    const seconds = Math.round(this.#idleMs / 1000)
    const server = this.#server
    if (server === undefined) return new Fault('invalid_request', `The body did not arrive within ${seconds} s.`)
    const data = { server, retryAfterSeconds: 5 }
    return new Fault('backend_timeout', `Server ${server} did not answer within ${seconds} s.`, { data })
  }
}
