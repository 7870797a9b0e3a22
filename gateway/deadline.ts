// How long one call may take: the server's silence is bounded, and so is the whole. One alarm serves both, and the mark
// after which a response stream opens without its response.

import { Fault } from '../protocol/fault.ts'

/** Longest life of one call, however talkative its server is. */
const MAX_CALL_MS = 15 * 60_000
/** How long a response may take before its stream opens. */
const SLOW_MS = 5_000

/** Calls back once after some milliseconds. Not to be taken back: whoever is called back looks whether it still matters. */
export type After = (milliseconds: number, ring: () => void) => void

/** On workerd a signal costs half of what a timer does that must be cleared, and it goes with its request. */
const bySignal: After = (milliseconds, ring) => {
  AbortSignal.timeout(milliseconds).addEventListener('abort', ring, { once: true })
}

export class Deadline {
  readonly #controller = new AbortController()
  readonly #expired = Promise.withResolvers<never>()
  readonly #slow = Promise.withResolvers<undefined>()
  #server: string
  readonly #idleMs: number
  readonly #slowAt: number
  #silentUntil: number
  /** Until when the client is waited for, because the server asked it something. */
  #askedUntil = 0
  readonly #until: number
  /** When the alarm that counts rings; infinity once nothing is waited for. */
  #ringsAt = Number.POSITIVE_INFINITY
  readonly #after: After
  readonly #onAbort: ((reason: unknown) => void)[] = []
  #onEnd: (() => void) | undefined
  #left = false
  #held = false

  /** Starts at once; the server may be silent for `idleMs`. `now` is in milliseconds since the epoch. */
  constructor(server: string, idleMs: number, now: number, after: After = bySignal) {
    this.#server = server
    this.#idleMs = idleMs
    this.#after = after
    this.#slowAt = now + SLOW_MS
    this.#silentUntil = now + idleMs
    this.#until = now + Math.max(MAX_CALL_MS, idleMs)
    this.#expired.promise.catch(() => undefined)
    this.#wait(Math.min(this.#slowAt, this.#silentUntil), now)
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

  /** The server asked the client something: a human may have to answer, so the silence allowed is `patienceMs`. */
  ask(patienceMs: number): void {
    this.#askedUntil = Date.now() + patienceMs
  }

  /** Everything that was asked is answered: it is the server's turn again. */
  answered(): void {
    const now = Date.now()
    this.#askedUntil = 0
    this.#silentUntil = now + this.#idleMs
    if (this.#ringsAt !== Number.POSITIVE_INFINITY) this.#wait(Math.min(this.#silentUntil, this.#until), now)
  }

  /** The client went away, which is not the same as cancelling its call (MCP 2025-11-25, basic/transports). */
  leave(): void {
    this.#left = true
    this.abort(new Fault('cancelled', 'The client left.'))
  }

  get left(): boolean {
    return this.#left
  }

  /** The call may be made at another server if this one fails: until `release` it is not over, whatever ends. */
  hold(): void {
    this.#held = true
  }

  release(isOver: boolean): void {
    this.#held = false
    if (isOver) this.end()
  }

  /** It is another server's turn, for as long as the first one had. */
  move(server: string): void {
    this.#server = server
    this.answered()
  }

  /** The call is over; nothing will ring. */
  end(): void {
    if (!this.#held) this.#end()
  }

  #end(): void {
    this.#ringsAt = Number.POSITIVE_INFINITY
    this.#onAbort.length = 0
    this.#onEnd?.()
    this.#onEnd = undefined
  }

  abort(reason: unknown): void {
    const aborted = [...this.#onAbort]
    this.#end()
    this.#controller.abort(reason)
    this.#expired.reject(reason)
    for (const one of aborted) one(reason)
  }

  #ring(): void {
    const now = Date.now()
    if (now >= this.#slowAt) this.#slow.resolve(undefined)
    const end = Math.min(Math.max(this.#silentUntil, this.#askedUntil), this.#until)
    if (now >= end) this.abort(this.#fault())
    else this.#wait(now < this.#slowAt ? Math.min(end, this.#slowAt) : end, now)
  }

  #wait(until: number, now: number): void {
    this.#ringsAt = until
    this.#after(until - now, () => {
      if (this.#ringsAt === until) this.#ring()
    })
  }

  #fault(): Fault {
    const seconds = Math.round(this.#idleMs / 1000)
    const server = this.#server
    if (this.#askedUntil > this.#silentUntil) {
      // Not the server's failure: nobody answered it.
      const text = `Server ${server} asked this client something and got no answer in time.`
      return new Fault('cancelled', text, { data: { server }, detail: 'question not answered' })
    }
    const data = { server, retryAfterSeconds: 5 }
    return new Fault('backend_timeout', `Server ${server} did not answer within ${seconds} s.`, { data })
  }
}
