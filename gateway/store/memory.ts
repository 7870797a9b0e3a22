// A Store in this process: for one replica and for tests. Everything is gone when the process ends.
// A write happens between two awaits of the caller, so nobody sees half of one; versions are unique across restarts.

import type { Clock, Entry, Store } from '../ports.ts'
import { checkIncrement, checkKey, checkKeys, checkTtl, checkValue } from './limits.ts'

interface Live<T> {
  readonly held: T
  /** Milliseconds since the epoch, Infinity for never. */
  readonly expires: number
}

/** Expired entries are dropped when they are read, and all of them whenever this many writes have passed. */
const SWEEP_EVERY = 1000

/** Cost of every operation: a map look-up. No deadline is needed because nothing is waited for. */
export class MemoryStore implements Store {
  readonly #clock: Clock
  readonly #entries = new Map<string, Live<Entry>>()
  readonly #counters = new Map<string, Live<number>>()
  readonly #life = crypto.randomUUID()
  #writes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async get(key: string): Promise<Entry | null> {
    checkKey(key)
    return this.#read(this.#entries, key)?.held ?? null
  }

  async mget(keys: readonly string[]): Promise<(Entry | null)[]> {
    checkKeys(keys)
    return keys.map((key) => this.#read(this.#entries, key)?.held ?? null)
  }

  async peek(keys: readonly string[]): Promise<(string | null)[]> {
    checkKeys(keys)
    return keys.map((key) => this.#read(this.#entries, key)?.held.version ?? null)
  }

  async set(
    key: string,
    value: string,
    options: { ttlSeconds?: number; absent?: boolean } = {},
  ): Promise<string | null> {
    return this.#write(key, value, options.ttlSeconds, options.absent === true ? null : undefined)
  }

  async cas(
    key: string,
    expected: string | null,
    value: string,
    options: { ttlSeconds?: number } = {},
  ): Promise<string | null> {
    return this.#write(key, value, options.ttlSeconds, expected)
  }

  async incr(key: string, by: number, ttlSeconds: number): Promise<number> {
    checkKey(key)
    checkIncrement(by)
    const life = checkTtl(ttlSeconds)
    this.#sweep()
    const old = this.#read(this.#counters, key)
    const held = (old?.held ?? 0) + by
    this.#counters.set(key, { held, expires: old?.expires ?? this.#clock() + life })
    return held
  }

  async del(key: string): Promise<void> {
    checkKey(key)
    this.#entries.delete(key)
    this.#counters.delete(key)
  }

  /** `expected`: undefined writes in any case, null only when there is no live value. */
  #write(
    key: string,
    value: string,
    ttlSeconds: number | undefined,
    expected: string | null | undefined,
  ): string | null {
    checkKey(key)
    checkValue(value)
    const life = ttlSeconds === undefined ? Number.POSITIVE_INFINITY : checkTtl(ttlSeconds)
    this.#sweep()
    const current = this.#read(this.#entries, key)?.held.version ?? null
    if (expected !== undefined && expected !== current) return null
    const version = `${this.#life}.${this.#writes}`
    this.#entries.set(key, { held: { value, version }, expires: this.#clock() + life })
    return version
  }

  #read<T>(from: Map<string, Live<T>>, key: string): Live<T> | null {
    const found = from.get(key)
    if (found === undefined) return null
    if (found.expires > this.#clock()) return found
    from.delete(key)
    return null
  }

  #sweep(): void {
    this.#writes += 1
    if (this.#writes % SWEEP_EVERY !== 0) return
    const now = this.#clock()
    for (const map of [this.#entries, this.#counters]) {
      for (const [key, { expires }] of map) if (expires <= now) map.delete(key)
    }
  }
}
