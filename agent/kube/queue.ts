// Keys that want work. A key is never in two hands at once, and a key added while in hand is handed out again after it
// is done: nothing that happened during a turn is lost. Failed keys come back later and later, each by its own count.

import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'

const FIRST_WAIT_MS = 200
const MAX_WAIT_MS = 5 * 60_000

export interface QueueOptions {
  readonly clock?: Clock
  readonly random?: () => number
}

export class WorkQueue {
  readonly #clock: Clock
  readonly #random: () => number
  /** Waiting to be handed out, in order, with since when. */
  readonly #ready = new Map<string, number>()
  readonly #inHand = new Set<string>()
  /** Added while in hand. */
  readonly #again = new Set<string>()
  readonly #later = new Map<string, { readonly at: number; readonly cancel: () => void }>()
  readonly #failures = new Map<string, number>()
  readonly #takers: ((key: string | undefined) => void)[] = []
  readonly #idle: (() => void)[] = []
  #closed = false
  /** How long the last key waited for a hand, in milliseconds. */
  lastWaitMs = 0

  constructor(options: QueueOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
  }

  /** Keys that wait for a hand now. */
  get depth(): number {
    return this.#ready.size + this.#again.size
  }

  get inHand(): number {
    return this.#inHand.size
  }

  add(key: string): void {
    if (this.#closed) return
    if (this.#inHand.has(key)) {
      this.#again.add(key)
      return
    }
    if (this.#ready.has(key)) return
    this.#ready.set(key, this.#clock.monotonic())
    this.#hand()
  }

  /** Adds after a wait. Of several waits for a key only the shortest counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed) return
    if (milliseconds <= 0) return this.add(key)
    const at = this.#clock.monotonic() + milliseconds
    const waiting = this.#later.get(key)
    if (waiting !== undefined && waiting.at <= at) return
    waiting?.cancel()
    const cancel = this.#clock.after(milliseconds, () => {
      this.#later.delete(key)
      this.add(key)
    })
    this.#later.set(key, { at, cancel })
  }

  /** Adds after a wait that doubles with every failure of this key, or after `atLeastMs`. Returns the wait. */
  retry(key: string, atLeastMs = 0): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const span = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 20))
    const wait = Math.max(atLeastMs, span * (0.75 + 0.25 * this.#random()))
    this.addAfter(key, wait)
    return wait
  }

  /** The key did well: its next failure counts as its first. */
  forget(key: string): void {
    this.#failures.delete(key)
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  /** The next key, in hand until `done`; undefined when the queue is closed. */
  take(): Promise<string | undefined> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(undefined)
      this.#takers.push(resolve)
      this.#hand()
    })
  }

  done(key: string): void {
    this.#inHand.delete(key)
    if (this.#again.delete(key)) this.add(key)
    if (this.#inHand.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Hands out nothing more and forgets all that waits. Resolves when no key is in hand. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { cancel } of this.#later.values()) cancel()
    this.#later.clear()
    this.#ready.clear()
    this.#again.clear()
    for (const taker of this.#takers.splice(0)) taker(undefined)
    if (this.#inHand.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #hand(): void {
    while (this.#takers.length > 0) {
      const next = this.#ready.entries().next()
      if (next.done === true) return
      const [key, since] = next.value
      this.#ready.delete(key)
      this.#inHand.add(key)
      this.lastWaitMs = this.#clock.monotonic() - since
      this.#takers.shift()?.(key)
    }
  }
}
