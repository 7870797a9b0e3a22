// Keeps one server's catalog fresh: looks when it has aged, soon when the server says that it changed, and quickly again
// while the server is just coming up. What was known serves on while nothing can be had.

import type { ServerCatalog } from '../../gateway/catalog/server.ts'
import { orAborted } from '../../gateway/wait.ts'
import { Fault } from '../../protocol/fault.ts'

/** A server that is not there yet is tried at this pace at first, and at the last pace after a minute. */
const FIRST_RETRY_MS = 250
const SOON_RETRY_MS = 1_000
const LAST_RETRY_MS = 15_000
const COMING_UP_MS = 60_000
/** A server that answers, but not with a catalog. */
const REFUSED_RETRY_MS = 5_000
const LAST_REFUSED_MS = 120_000
/** A server that keeps saying that it changed is believed after this, then after twice that, and so on. */
const MIN_GAP_MS = 250
const MAX_GAP_MS = 60_000
const MAX_GAP_IN_TROUBLE_MS = 4_000

export interface Look<C = ServerCatalog> {
  /** Undefined: as before. */
  readonly catalog: C | undefined
  /** When to look again, unless something happens. */
  readonly againMs: number
}

/** One way to look at a server's catalog. Rejects with a `Fault`. */
export interface Source<C = ServerCatalog> {
  readonly deadlineMs: number
  look(signal: AbortSignal): Promise<Look<C>>
  /** Ends whatever a look has left open. */
  close(): void
}

export interface Health {
  readonly state: 'unknown' | 'ok' | 'failed'
  /** What is wrong, without addresses. */
  readonly message: string | undefined
  /** Milliseconds since the epoch of the last look, and how long it took. */
  readonly at: number | undefined
  readonly tookMs: number
}

export interface KeeperHost<C = ServerCatalog> {
  /** A look succeeded and has news. */
  found(catalog: C): void
  /** A look succeeded after one that failed. */
  returned(): void
}

/** `C`: what becomes of a catalog. */
export class Keeper<C = ServerCatalog> {
  readonly #server: string
  readonly #source: Source<C>
  readonly #host: KeeperHost<C>
  readonly #stop = new AbortController()
  readonly #seen = Promise.withResolvers<void>()
  #health: Health = { state: 'unknown', message: undefined, at: undefined, tookMs: 0 }
  #wake: (() => void) | undefined
  #changed = false
  #gapMs = MIN_GAP_MS
  #askedAt = Number.NEGATIVE_INFINITY
  #troubleSince: number | undefined
  #failures = 0

  constructor(server: string, source: Source<C>, host: KeeperHost<C>) {
    this.#server = server
    this.#source = source
    this.#host = host
  }

  get health(): Health {
    return this.#health
  }

  /** Resolves when a first look has succeeded. */
  get seen(): Promise<void> {
    return this.#seen.promise
  }

  /** Looks until `stop`; never throws. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) await this.#rest(await this.#round())
    this.#source.close()
  }

  /** Something happened that may have changed the catalog, or the server's health: looks soon, but not for ever sooner than at others. */
  hint(): void {
    this.#changed = true
    this.#wake?.()
  }

  stop(): void {
    this.#stop.abort()
    this.#wake?.()
  }

  /** One look; returns how long to rest. */
  async #round(): Promise<number> {
    this.#askedAt = performance.now()
    this.#gapMs = this.#changed ? Math.min(MAX_GAP_MS, this.#gapMs * 2) : MIN_GAP_MS
    this.#changed = false
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(this.#tooSlow()), this.#source.deadlineMs)
    const signal = AbortSignal.any([late.signal, this.#stop.signal])
    try {
      const { catalog, againMs } = await orAborted(this.#source.look(signal), signal)
      const wasAway = this.#health.state === 'failed'
      this.#note('ok', undefined)
      this.#failures = 0
      this.#troubleSince = undefined
      if (!this.#stop.signal.aborted) {
        if (wasAway) this.#host.returned()
        if (catalog !== undefined) this.#host.found(catalog)
      }
      this.#seen.resolve()
      return againMs
    } catch (error) {
      if (this.#stop.signal.aborted) return 0
      this.#note('failed', error instanceof Fault ? error.message : 'The catalog cannot be fetched.')
      this.#gapMs = Math.min(this.#gapMs, MAX_GAP_IN_TROUBLE_MS)
      return this.#retryMs(error)
    } finally {
      clearTimeout(timer)
    }
  }

  #note(state: 'ok' | 'failed', message: string | undefined): void {
    this.#health = { state, message, at: Date.now(), tookMs: Math.round(performance.now() - this.#askedAt) }
  }

  #retryMs(error: unknown): number {
    const now = performance.now()
    this.#troubleSince ??= now
    this.#failures += 1
    const doubled = 2 ** Math.min(this.#failures - 1, 10)
    const isAway = error instanceof Fault && error.reason === 'backend_unavailable'
    if (!isAway) return Math.min(LAST_REFUSED_MS, REFUSED_RETRY_MS * doubled)
    const last = now - this.#troubleSince < COMING_UP_MS ? SOON_RETRY_MS : LAST_RETRY_MS
    return Math.min(last, FIRST_RETRY_MS * doubled)
  }

  /** Until the time has come, or a hint may be followed. */
  async #rest(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds
    for (;;) {
      const due = this.#changed ? Math.min(until, this.#askedAt + this.#gapMs) : until
      const left = due - performance.now()
      if (left <= 0 || this.#stop.signal.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = setTimeout(resolve, left)
      await promise
      clearTimeout(timer)
      this.#wake = undefined
    }
  }

  #tooSlow(): Fault {
    return new Fault('backend_timeout', `Server ${this.#server} did not list its catalog in time.`, {
      data: { server: this.#server },
    })
  }
}
