// What a server of the matrix remembers about its calls, by the key in their arguments.

import { setTimeout as sleep } from 'node:timers/promises'

export class Journal {
  readonly #began = new Map<string, number>()
  readonly #cancelled = new Set<string>()
  readonly #released = new Set<string>()

  began(key: string): void {
    this.#began.set(key, this.times(key) + 1)
  }

  /** How often a call was executed. */
  times(key: string): number {
    return this.#began.get(key) ?? 0
  }

  cancelled(key: string): boolean {
    return this.#cancelled.has(key)
  }

  /** Lets the calls of this key end. */
  release(key: string): void {
    this.#released.add(key)
  }

  /** A call's work: until it is released or cancelled, 15 s at most. */
  async wait(key: string, signal: AbortSignal): Promise<void> {
    this.began(key)
    const deadline = Date.now() + 60_000
    while (!this.#released.has(key)) {
      if (signal.aborted) {
        this.#cancelled.add(key)
        throw new Error('cancelled')
      }
      if (Date.now() > deadline) throw new Error('nobody came')
      await sleep(20)
    }
  }
}
