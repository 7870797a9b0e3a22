// How long one call may take: the server's silence is bounded, and so is the whole. One timer serves both, and the mark
// after which a response stream opens without its response.

import { Fault } from '../protocol/fault.ts'

/** Longest life of one call, however talkative its server is. */
const MAX_CALL_MS = 15 * 60_000
/** How long a response may take before its stream opens. */
const SLOW_MS = 5_000

export class Deadline {
  readonly #controller = new AbortController()
  readonly #server: string
  readonly #idleMs: number
  readonly #until: number
  readonly #expired = Promise.withResolvers<never>()
  readonly #slow = Promise.withResolvers<undefined>()
  #silentUntil: number
  #timer: ReturnType<typeof setTimeout>
  #aborted: (() => void) | undefined
  #ended: (() => void) | undefined

  /** Starts at once. `now` is in milliseconds since the epoch. */
  constructor(server: string, idleMs: number, now: number) {
    this.#server = server
    this.#idleMs = idleMs
    this.#until = now + Math.max(MAX_CALL_MS, idleMs)
    this.#silentUntil = now + idleMs
    this.#expired.promise.catch(() => undefined)
    this.#timer = setTimeout(() => this.#ring(), Math.min(SLOW_MS, idleMs))
  }

  /** Aborts with the fault that ended the call. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Resolves when the call has become slow. */
  get slow(): Promise<undefined> {
    return this.#slow.promise
  }

  onAbort(aborted: () => void): void {
    this.#aborted = aborted
  }

  onEnd(ended: () => void): void {
    this.#ended = ended
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
    this.#aborted = undefined
    this.#ended?.()
    this.#ended = undefined
  }

  abort(reason: unknown): void {
    const aborted = this.#aborted
    this.end()
    this.#controller.abort(reason)
    this.#expired.reject(reason)
    aborted?.()
  }

  #ring(): void {
    this.#slow.resolve(undefined)
    const wait = Math.min(this.#silentUntil, this.#until) - Date.now()
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#ring(), wait)
      return
    }
    const seconds = Math.round(this.#idleMs / 1000)
    const text = `Server ${this.#server} did not answer within ${seconds} s.`
    this.abort(new Fault('backend_timeout', text, { data: { server: this.#server, retryAfterSeconds: 5 } }))
  }
}
