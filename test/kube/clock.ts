// A clock that goes when told. Between two timers everything that is ready may run, network answers of this machine
// included, so that what a test sees is what would be after so much time.

import type { Clock } from '../../agent/kube/clock.ts'

const SETTLE_MS = 60_000

export class FakeClock implements Clock {
  readonly #busy: () => boolean
  #now = 1_000
  readonly #timers = new Set<{ readonly at: number; readonly ring: () => void }>()

  /** `busy`: whether something is under way that time must wait for, such as an answer of the network. */
  constructor(busy: () => boolean = () => false) {
    this.#busy = busy
  }

  monotonic(): number {
    return this.#now
  }

  wall(): number {
    return Date.UTC(2026, 0, 1) + this.#now
  }

  after(milliseconds: number, ring: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, milliseconds), ring }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size
  }

  /** Goes on, timer by timer, without letting anything else run. */
  jump(milliseconds: number): void {
    const until = this.#now + milliseconds
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.ring()
    }
    this.#now = until
  }

  /** Time passes while nobody looks, as when the process is stopped: no timer rings. */
  freeze(milliseconds: number): void {
    this.#now += milliseconds
  }

  /** Goes on, timer by timer, and lets what follows from each happen. */
  async advance(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds
    await this.#settle()
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.ring()
      await this.#settle()
    }
    this.#now = until
  }

  #next(until: number): { readonly at: number; readonly ring: () => void } | undefined {
    return [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
  }

  async #settle(): Promise<void> {
    const end = performance.now() + SETTLE_MS
    do {
      if (this.#busy()) await new Promise((resolve) => setTimeout(resolve, 1))
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    } while (this.#busy() && performance.now() < end)
  }
}

/** Waits, in real time, until something holds; fails after some seconds. */
export async function until(holds: () => boolean, what: string, milliseconds = 60_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${milliseconds} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Real time, so many times faster. */
export function fastClock(speed: number): Clock {
  return {
    monotonic: () => performance.now() * speed,
    wall: () => Date.now(),
    after(milliseconds, ring) {
      const timer = setTimeout(ring, milliseconds / speed)
      return () => clearTimeout(timer)
    },
  }
}
