// The Store in Redis over Upstash's REST API.
// A value of up to 100 kB lies in one record; a larger one in chunks under the version that wrote them, which are complete
// before the record names them and outlive it by a minute: a reader finds all of one version or starts again.
// Versions are random, so a flushed or restored database cannot hand one out again.

import type { Entry, Store } from '../../gateway/ports.ts'
import { checkIncrement, checkKey, checkKeys, checkTtl, checkValue } from '../../gateway/store/limits.ts'
import { pieces, wireBytes } from './pieces.ts'
import { Rest } from './rest.ts'
import type { RestOptions } from './rest.ts'
import { ADD, REMOVE, WRITE } from './scripts.ts'
import { unavailable } from './unavailable.ts'

interface UpstashOptions {
  readonly url: string
  readonly token: string
  /** Before every key of ours, so that databases can be shared. */
  readonly prefix?: string
  /** For each request, in milliseconds. */
  readonly deadlineMs?: number
  readonly fetch?: RestOptions['fetch']
}

/** All sizes in bytes as sent in JSON. Upstash caps a request and a reply at 10 MB, older small plans a request at 1 MB. */
const INLINE_BYTES = 100_000
const CHUNK_BYTES = 700_000
/** Keys per MGET: records of up to 100 kB, versions (whose keys make the request), chunks of 700 kB. */
const RECORDS = 64
const VERSIONS = 1000
const CHUNKS = 8
/** Requests at once; Cloudflare lets six wait for headers. */
const WIDTH = 4
/** How long unnamed chunks live: new ones until their record is written, old ones for readers under way. */
const LINGER_MS = 60_000
/** A chunked value takes several requests; all of them end within this. Must stay well below LINGER_MS. */
const TRANSFER_MS = 15_000
/** Readings of one value before giving up on finding its chunks. */
const ATTEMPTS = 3

/**
 * Cost: one request and one billed command per operation (`mget`: one per 64 keys, `peek`: one per 1,000). A value past 100 kB also takes one
 * command per 700 kB to write and one per 5.6 MB to read. Reads may be answered by a replica of a global database, a
 * moment late; `cas`, `set`, `incr` and `del` are decided by its primary. Eviction must be off.
 * Holds no I/O between calls, so one instance serves any number of requests.
 */
export class UpstashStore implements Store {
  readonly #redis: Rest
  readonly #prefix: string

  constructor(options: UpstashOptions) {
    const { url, token, deadlineMs = 3000, fetch } = options
    this.#redis = new Rest({ url, token, deadlineMs, ...(fetch === undefined ? {} : { fetch }) })
    this.#prefix = options.prefix ?? 'waggle:'
  }

  async get(key: string): Promise<Entry | null> {
    const [entry] = await this.mget([key])
    return entry ?? null
  }

  async mget(keys: readonly string[]): Promise<(Entry | null)[]> {
    checkKeys(keys)
    const entries: (Entry | null)[] = keys.map(() => null)
    const late = Date.now() + TRANSFER_MS
    let wanted = [...keys.keys()]
    for (let attempt = 0; wanted.length > 0; attempt++) {
      if (attempt === ATTEMPTS) throw unavailable('upstash: chunks of a value are missing (is eviction on?)')
      const records = await this.#texts(
        wanted.map((at) => this.#record(keys[at] ?? '')),
        RECORDS,
      )
      const again: number[] = []
      for (const [nth, at] of wanted.entries()) {
        const record = records[nth]
        if (record === null || record === undefined) continue
        const entry = await this.#open(record, late)
        if (entry === null) again.push(at)
        else entries[at] = entry
      }
      wanted = again
    }
    return entries
  }

  async peek(keys: readonly string[]): Promise<(string | null)[]> {
    checkKeys(keys)
    return this.#texts(
      keys.map((key) => this.#version(key)),
      VERSIONS,
    )
  }

  async set(
    key: string,
    value: string,
    options: { ttlSeconds?: number; absent?: boolean } = {},
  ): Promise<string | null> {
    return this.#write(key, value, options.ttlSeconds, options.absent === true ? '' : '*')
  }

  async cas(
    key: string,
    expected: string | null,
    value: string,
    options: { ttlSeconds?: number } = {},
  ): Promise<string | null> {
    // Versions are never empty nor an asterisk, so such an expectation is lost; sent on, it would mean something else.
    if (expected === '' || expected === '*') return null
    return this.#write(key, value, options.ttlSeconds, expected ?? '')
  }

  async incr(key: string, by: number, ttlSeconds: number): Promise<number> {
    checkKey(key)
    checkIncrement(by)
    const count = await this.#redis.eval(ADD, [this.#counter(key)], [by, checkTtl(ttlSeconds)])
    if (typeof count !== 'number') throw unavailable('upstash: increment answered with something other than a number')
    return count
  }

  async del(key: string): Promise<void> {
    checkKey(key)
    await this.#redis.eval(
      REMOVE,
      [this.#version(key), this.#record(key), this.#counter(key)],
      [this.#chunk(''), LINGER_MS],
    )
  }

  async #write(key: string, value: string, ttlSeconds: number | undefined, expected: string): Promise<string | null> {
    checkKey(key)
    checkValue(value)
    const ttl = ttlSeconds === undefined ? 0 : checkTtl(ttlSeconds)
    const version = crypto.randomUUID()
    const inline = value.length <= INLINE_BYTES && wireBytes(value) <= INLINE_BYTES
    const count = inline ? 0 : await this.#upload(version, value)
    const done = await this.#redis.eval(
      WRITE,
      [this.#version(key), this.#record(key)],
      [
        expected,
        version,
        inline ? `=${version}:${value}` : `#${version}:${count}`,
        ttl,
        this.#chunk(''),
        count,
        LINGER_MS,
      ],
    )
    if (done === 1) return version
    if (done === 0) return null
    throw unavailable('upstash: chunks of a value lapsed before it was complete')
  }

  async #upload(version: string, value: string): Promise<number> {
    const late = Date.now() + TRANSFER_MS
    let count = 0
    const source = pieces(value, CHUNK_BYTES)
    const worker = async (): Promise<void> => {
      for (const piece of source) {
        if (Date.now() > late) throw unavailable(`upstash: a value took more than ${TRANSFER_MS} ms to send`)
        const nth = count++
        await this.#redis.set(this.#chunk(`${version}:${nth}`), piece, { px: LINGER_MS })
      }
    }
    await Promise.all(Array.from({ length: WIDTH }, worker))
    return count
  }

  /** The entry of a record; null when chunks it names are gone because it has been superseded. */
  async #open(record: string, late: number): Promise<Entry | null> {
    const colon = record.indexOf(':')
    const version = record.slice(1, colon)
    const rest = record.slice(colon + 1)
    if (record.startsWith('=')) return { version, value: rest }
    const names = Array.from({ length: Number(rest) }, (_, nth) => this.#chunk(`${version}:${nth}`))
    const texts = await this.#texts(names, CHUNKS, late)
    return texts.includes(null) ? null : { version, value: texts.join('') }
  }

  /** MGET in batches, WIDTH at a time. */
  async #texts(keys: readonly string[], batch: number, late = Number.POSITIVE_INFINITY): Promise<(string | null)[]> {
    const texts: (string | null)[] = keys.map(() => null)
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < keys.length) {
        if (Date.now() > late) throw unavailable(`upstash: a value took more than ${TRANSFER_MS} ms to read`)
        const from = next
        next += batch
        const found = await this.#redis.mget<(string | null)[]>(keys.slice(from, from + batch))
        for (const [nth, text] of found.entries()) texts[from + nth] = text
      }
    }
    await Promise.all(Array.from({ length: Math.min(WIDTH, Math.ceil(keys.length / batch)) }, worker))
    return texts
  }

  #version(key: string): string {
    return `${this.#prefix}version:${key}`
  }

  #record(key: string): string {
    return `${this.#prefix}record:${key}`
  }

  #counter(key: string): string {
    return `${this.#prefix}count:${key}`
  }

  #chunk(name: string): string {
    return `${this.#prefix}chunk:${name}`
  }
}
