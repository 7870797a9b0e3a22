// One JSON document of the store: read whole, changed whole, by compare-and-set only.
// Invariant: no change is lost and none is seen in part; a document stays within 16 MiB.

import type { Entry, Store } from '../../gateway/ports.ts'
import { Fault } from '../../protocol/fault.ts'

/** Bytes of UTF-8 that a document may have. The store's own bound is 24 MiB. */
export const maxDocumentBytes = 16 * 1024 * 1024

const maxAttempts = 12

/** How one document is written down. */
export interface Codec<T> {
  /** Its key in the store. */
  readonly key: string
  /** The value when nothing was ever written. */
  readonly empty: T
  /** From the parsed JSON of `print`; throws on a form that it does not know. */
  parse(json: unknown): T
  /** A value that JSON can hold. */
  print(value: T): unknown
}

/** What a decision wants written (`next`, absent: nothing) and what its caller is told. */
export interface Change<T, R> {
  readonly next?: T
  readonly result: R
}

export interface Read<T> {
  readonly value: T
  /** The store's version, null when nothing was ever written; compare it with `Store.peek`. */
  readonly version: string | null
}

/** The value of an entry that was already fetched, for hosts that load several documents in one `mget`. */
export function parseDocument<T>(codec: Codec<T>, entry: Entry | null): Read<T> {
  if (entry === null) return { value: codec.empty, version: null }
  try {
    return { value: codec.parse(JSON.parse(entry.value)), version: entry.version }
  } catch (cause) {
    throw new Fault('internal', `The stored document "${codec.key}" cannot be read by this version of the edge.`, {
      cause,
    })
  }
}

/** Throws `Fault` store_unavailable, or internal when the stored form is unknown. */
export async function readDocument<T>(store: Store, codec: Codec<T>): Promise<Read<T>> {
  return parseDocument(codec, await store.get(codec.key))
}

/**
 * Reads, decides, writes; again when somebody else wrote in between, so `decide` may run several times.
 * Throws `Fault` too_large when the result would exceed the bound, overloaded when the race was lost too often.
 */
export async function changeDocument<T, R>(
  store: Store,
  codec: Codec<T>,
  decide: (current: T) => Change<T, R> | Promise<Change<T, R>>,
): Promise<R> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const { value, version } = await readDocument(store, codec)
    const { next, result } = await decide(value)
    if (next === undefined) return result
    const written = await store.cas(codec.key, version, bounded(codec.key, JSON.stringify(codec.print(next))))
    if (written !== null) return result
    // Losers of one round would meet again in the next if they did not spread out.
    await pause(Math.random() * 10 * (attempt + 1))
  }
  throw new Fault('overloaded', `Too many changes of "${codec.key}" at once. Try again.`, {
    data: { retryAfterSeconds: 1 },
  })
}

function bounded(key: string, text: string): string {
  // A UTF-16 unit is at most three bytes, so most texts need no counting.
  if (text.length * 3 <= maxDocumentBytes) return text
  const bytes = new TextEncoder().encode(text).length
  if (bytes <= maxDocumentBytes) return text
  throw new Fault('too_large', `With this change "${key}" would have ${bytes} bytes; ${maxDocumentBytes} are allowed.`)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
