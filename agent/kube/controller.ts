// Workers between a queue and a reconcile function. Whatever reconcile throws ends one turn of one key: a TerminalError
// waits for a change, anything else for its back-off. Every turn has a deadline and no key has two turns at once.

import type { Clock } from './clock.ts'
import { systemClock, within } from './clock.ts'
import { FencedError, isRejected, KubeError, TerminalError } from './error.ts'
import type { Informer } from './informer.ts'
import type { KubeObject } from './object.ts'
import { WorkQueue } from './queue.ts'

const TURN_MS = 60_000
const DRAIN_MS = 20_000
/** How long a turn that is over may take to notice. */
const GRACE_MS = 5_000

export interface Turn {
  /** Aborts at the turn's deadline and when the controller stops. */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly now: number
}

export type Reconcile = (key: string, turn: Turn) => Promise<{ readonly requeueAfterMs?: number | undefined } | void>

export type TurnResult = 'done' | 'requeue' | 'failed' | 'terminal'

export interface ControllerOptions {
  readonly name: string
  readonly reconcile: Reconcile
  /** Turns at once, of different keys; 8 when not given. */
  readonly workers?: number
  readonly turnMs?: number
  readonly clock?: Clock
  readonly random?: () => number
  readonly metrics?: ControllerMetrics
  readonly onError?: (key: string, error: unknown, retryInMs: number | undefined) => void
}

export interface ControllerMetrics {
  turn(controller: string, result: TurnResult, seconds: number, waitedSeconds: number): void
  depth(controller: string, depth: number): void
}

export class Controller {
  readonly name: string
  readonly queue: WorkQueue
  readonly #options: ControllerOptions
  readonly #clock: Clock
  readonly #stopped = new AbortController()
  #workers: Promise<void>[] = []

  constructor(options: ControllerOptions) {
    this.name = options.name
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.queue = new WorkQueue({ clock: this.#clock, ...(options.random !== undefined && { random: options.random }) })
  }

  /** Adds the keys that a change of an informer's object concerns: those of the old object and of the new. */
  follow(informer: Informer, keys: (object: KubeObject) => readonly string[]): void {
    informer.onChange((old, next) => {
      for (const object of [old, next]) if (object !== undefined) for (const key of keys(object)) this.queue.add(key)
    })
  }

  /** Begins to work. Sync the informers first: a reconciler that sees half a world deletes the other half. */
  start(): void {
    if (this.#workers.length > 0) throw new TypeError(`the controller ${this.name} is started already`)
    this.#workers = Array.from({ length: this.#options.workers ?? 8 }, () => this.#work())
  }

  /** Takes no more keys, lets those in hand finish within 20 seconds, then aborts them. */
  async stop(): Promise<void> {
    const closed = this.queue.close()
    const late = (): Error => new Error('drain')
    await within(this.#clock, DRAIN_MS, closed, late).catch(() => undefined)
    this.abort()
    await within(this.#clock, 1_000, Promise.all(this.#workers), late).catch(() => undefined)
  }

  /** Ends everything at once: leadership is lost. */
  abort(): void {
    this.#stopped.abort(new FencedError(`the controller ${this.name} stops`))
    void this.queue.close()
  }

  async #work(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      const waited = this.queue.lastWaitMs / 1_000
      const startedAt = this.#clock.monotonic()
      const result = await this.#turn(key)
      this.queue.done(key)
      this.#options.metrics?.turn(this.name, result, (this.#clock.monotonic() - startedAt) / 1_000, waited)
      this.#options.metrics?.depth(this.name, this.queue.depth)
    }
  }

  async #turn(key: string): Promise<TurnResult> {
    const turnMs = this.#options.turnMs ?? TURN_MS
    const deadline = new AbortController()
    const stop = (): void => deadline.abort(this.#stopped.signal.reason)
    this.#stopped.signal.addEventListener('abort', stop, { once: true })
    const late = (): Error => {
      const error = new Error(`${this.name}: reconciling took more than ${turnMs} ms`)
      deadline.abort(error)
      return error
    }
    const work = this.#reconcile(key, { signal: deadline.signal, now: this.#clock.wall() })
    try {
      const answer = await within(this.#clock, turnMs, work, late)
      this.queue.forget(key)
      if (answer?.requeueAfterMs === undefined) return 'done'
      this.queue.addAfter(key, answer.requeueAfterMs)
      return 'requeue'
    } catch (error) {
      // Until it has noticed, the next turn of the key would be a second one at once.
      if (deadline.signal.aborted) await within(this.#clock, GRACE_MS, work, late).catch(() => undefined)
      return this.#failed(key, error)
    } finally {
      this.#stopped.signal.removeEventListener('abort', stop)
    }
  }

  /** What it throws before its first wait is a failure like any other. */
  async #reconcile(key: string, turn: Turn): ReturnType<Reconcile> {
    return this.#options.reconcile(key, turn)
  }

  #failed(key: string, error: unknown): TurnResult {
    if (this.#stopped.signal.aborted) return 'failed'
    if (error instanceof TerminalError || isRejected(error)) {
      this.queue.forget(key)
      this.#options.onError?.(key, error, undefined)
      return 'terminal'
    }
    const wait = this.queue.retry(key, error instanceof KubeError ? error.retryAfterMs : undefined)
    this.#options.onError?.(key, error, wait)
    return 'failed'
  }
}
