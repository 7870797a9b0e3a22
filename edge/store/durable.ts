// The Store in a Durable Object: this side runs in every isolate and talks by RPC to the one object that holds the data.
// Text crosses as UTF-8 bytes: V8 sends a string with any non-Latin letter as two bytes a unit, and one RPC carries 32 MiB.
// Invariant: every call ends within its deadline, and a failed call leaves nothing behind that the next one could trip over.

import type { Entry, Store } from '../../gateway/ports.ts'
import { checkIncrement, checkKey, checkKeys, checkTtl, checkValue } from '../../gateway/store/limits.ts'
import { unavailable } from './unavailable.ts'

/** A stored value as the object sends it. `bytes` is null when the reply was full: ask for that key again. */
export interface Row {
  readonly version: string
  readonly bytes: Uint8Array | null
}

/** What the object answers. `expected`: undefined writes in any case, null only when there is no live value. */
export interface StoreRpc {
  read(keys: readonly string[]): Promise<(Row | null)[]>
  peek(keys: readonly string[]): Promise<(string | null)[]>
  write(
    key: string,
    bytes: Uint8Array,
    ttlMilliseconds: number | null,
    expected: string | null | undefined,
  ): Promise<string | null>
  add(key: string, by: number, ttlMilliseconds: number): Promise<number>
  remove(key: string): Promise<void>
}

/** The part of a Durable Object binding that is needed here, so that tests can script the other side. */
interface StoreNamespace {
  getByName(name: string): unknown
}

const NAME = 'store'
const DEADLINE_MS = 3000

const encoder = new TextEncoder()
// ignoreBOM keeps a leading U+FEFF, which a decoder drops by default.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Cost: one Durable Object request per operation whatever the number of keys (`mget` more only past 24 MiB in all), and
 * one row read a key; a write is one row, plus one per further 1.4 MB, plus one when it has a time to live.
 * All operations go to one object: fine for configuration, sessions and leases, not for something on every request.
 */
export class DurableStore implements Store {
  readonly #namespace: StoreNamespace
  readonly #deadlineMs: number

  constructor(namespace: StoreNamespace, options: { deadlineMs?: number } = {}) {
    this.#namespace = namespace
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS
  }

  async get(key: string): Promise<Entry | null> {
    const [entry] = await this.mget([key])
    return entry ?? null
  }

  async mget(keys: readonly string[]): Promise<(Entry | null)[]> {
    checkKeys(keys)
    const entries: (Entry | null)[] = keys.map(() => null)
    let wanted = [...keys.keys()]
    while (wanted.length > 0) {
      const asked = wanted.map((at) => keys[at] ?? '')
      const rows = await this.#reading((object) => object.read(asked))
      const later: number[] = []
      for (const [nth, at] of wanted.entries()) {
        const row = rows[nth]
        if (row === null || row === undefined) continue
        if (row.bytes === null) later.push(at)
        else entries[at] = { value: decoder.decode(row.bytes), version: row.version }
      }
      if (later.length === wanted.length) throw unavailable('durable object sent no value it was asked for')
      wanted = later
    }
    return entries
  }

  async peek(keys: readonly string[]): Promise<(string | null)[]> {
    checkKeys(keys)
    if (keys.length === 0) return []
    return this.#reading((object) => object.peek([...keys]))
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
    const ttl = checkTtl(ttlSeconds)
    return this.#call((object) => object.add(key, by, ttl))
  }

  async del(key: string): Promise<void> {
    checkKey(key)
    await this.#call((object) => object.remove(key))
  }

  async #write(
    key: string,
    value: string,
    ttlSeconds: number | undefined,
    expected: string | null | undefined,
  ): Promise<string | null> {
    checkKey(key)
    checkValue(value)
    const ttl = ttlSeconds === undefined ? null : checkTtl(ttlSeconds)
    return this.#call((object) => object.write(key, encoder.encode(value), ttl, expected))
  }

  /** Reads may be repeated: a deploy or a move of the object interrupts calls with an error that says `retryable`. */
  async #reading<T>(ask: (object: StoreRpc) => Promise<T>): Promise<T> {
    let again = true
    return this.#call(async (object) => {
      try {
        return await ask(object)
      } catch (error) {
        if (!again || !isRetryable(error)) throw error
        again = false
        return ask(this.#object())
      }
    })
  }

  async #call<T>(ask: (object: StoreRpc) => Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.#deadlineMs} ms`)), this.#deadlineMs)
    })
    try {
      return await Promise.race([ask(this.#object()), deadline])
    } catch (error) {
      throw unavailable(`durable object: ${error instanceof Error ? error.message : 'call failed'}`)
    } finally {
      if (timer !== undefined) clearTimeout(timer)
    }
  }

  /** A stub stays broken after an exception, so each call takes its own; that costs no round trip. */
  #object(): StoreRpc {
    return this.#namespace.getByName(NAME) as StoreRpc
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'retryable' in error && error.retryable === true
}
