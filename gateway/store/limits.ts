// What every Store adapter accepts, checked before anything is sent so that all of them refuse the same input in the same words.
// A refusal names the argument, never its content: keys and values may come from callers.

import { Fault } from '../../protocol/fault.ts'

/** Bytes of UTF-8. */
const MAX_KEY_BYTES = 512
/** Bytes of UTF-8: 24 MiB. */
const MAX_VALUE_BYTES = 24 * 1024 * 1024
/** Keys in one `mget` or `peek`. */
const MAX_KEYS = 10_000
/** Ten years: beyond it a time to live is a mistake in its unit. */
const MAX_TTL_SECONDS = 10 * 366 * 86_400
/** Magnitude of one increment; counters are exact up to 2^53. */
const MAX_INCREMENT = 2 ** 40

// oxlint-disable-next-line no-control-regex -- control characters are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/

const encoder = new TextEncoder()

/** A key is 1 to 512 bytes of well-formed UTF-8 without control characters. Throws a `Fault` with reason `internal`. */
export function checkKey(key: string): void {
  if (key === '') throw new Fault('internal', 'store key is empty: name what is stored')
  if (!key.isWellFormed()) throw new Fault('internal', 'store key holds a lone surrogate: use well-formed Unicode')
  if (CONTROL.test(key)) throw new Fault('internal', 'store key holds a control character: encode it first')
  if (key.length * 3 > MAX_KEY_BYTES && encoder.encode(key).byteLength > MAX_KEY_BYTES) {
    throw new Fault('internal', `store key is longer than ${MAX_KEY_BYTES} bytes: store under a hash of it`)
  }
}

/** As `checkKey` for each, and at most 10,000 of them. */
export function checkKeys(keys: readonly string[]): void {
  if (keys.length > MAX_KEYS) throw new Fault('internal', `more than ${MAX_KEYS} store keys in one read: read in parts`)
  for (const key of keys) checkKey(key)
}

/**
 * A value is text of at most 24 MiB of UTF-8. A lone surrogate is refused because UTF-8 cannot carry it and it would come
 * back as another character; `JSON.stringify` never emits one. Throws a `Fault`: `too_large`, or `internal` for bad text.
 */
export function checkValue(value: string): void {
  if (value.length > MAX_VALUE_BYTES) throw tooLarge()
  if (!value.isWellFormed()) throw new Fault('internal', 'store value holds a lone surrogate: store JSON text')
  if (value.length * 3 > MAX_VALUE_BYTES && encoder.encode(value).byteLength > MAX_VALUE_BYTES) throw tooLarge()
}

/** Seconds, fractions allowed, to whole milliseconds. Throws a `Fault` with reason `internal`. */
export function checkTtl(ttlSeconds: number): number {
  const milliseconds = Math.round(ttlSeconds * 1000)
  if (!(milliseconds >= 1 && ttlSeconds <= MAX_TTL_SECONDS)) {
    throw new Fault('internal', `store ttlSeconds must be between 0.001 and ${MAX_TTL_SECONDS} (ten years)`)
  }
  return milliseconds
}

/** An increment is an integer of at most 2^40 either way. Throws a `Fault` with reason `internal`. */
export function checkIncrement(by: number): void {
  if (!Number.isInteger(by) || Math.abs(by) > MAX_INCREMENT) {
    throw new Fault('internal', 'store increment must be an integer between -2^40 and 2^40')
  }
}

function tooLarge(): Fault {
  return new Fault('too_large', `a stored value may have at most ${MAX_VALUE_BYTES} bytes (24 MiB): split it`)
}
