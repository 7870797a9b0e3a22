// Credit of one direction of a call. The sender sends only what the reader gave credit for, and reads on from its source only when
// all it has read is sent and credit is left: what is on its way or unread is never more than WINDOW, plus one piece at the source.

import { MAX_PIECE, WINDOW } from './link.ts'

/** A piece of a body that goes into one frame. `last`: the body ends with it. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly last: boolean
}

export const EMPTY: Uint8Array = new Uint8Array(0)

/** The sending end of a body. */
export class Outflow {
  #credit = WINDOW
  #unsent: Uint8Array = EMPTY
  /** The source has ended; `#done`: and the frame that says so has been taken. */
  #ended = false
  #done = false
  #reading = false

  /** What was read from the source: one piece for every `wants()` that said so, and one to begin with. */
  put(bytes: Uint8Array, last: boolean): void {
    this.#reading = false
    this.#unsent = this.#unsent.length === 0 ? bytes : joined(this.#unsent, bytes)
    this.#ended = last
  }

  /** The next piece to send, as far as credit goes. */
  next(): Piece | undefined {
    if (this.#done) return undefined
    const size = Math.min(this.#unsent.length, this.#credit, MAX_PIECE)
    const last = this.#ended && size === this.#unsent.length
    if (size === 0 && !last) return undefined
    const bytes = size === this.#unsent.length ? this.#unsent : this.#unsent.subarray(0, size)
    this.#unsent = size === this.#unsent.length ? EMPTY : this.#unsent.subarray(size)
    this.#credit -= size
    this.#done = last
    return { bytes, last }
  }

  /** More credit from the reader; false when that is more than it can have read. */
  grant(bytes: number): boolean {
    this.#credit += bytes
    return this.#credit <= WINDOW
  }

  /** Whether the source is to be read once more; true once for every piece. Bytes wait only where no credit is left. */
  wants(): boolean {
    if (this.#reading || this.#ended || this.#credit === 0) return false
    this.#reading = true
    return true
  }
}

/** The reading end of a body. */
export class Inflow {
  #allowed = WINDOW
  #unread = 0
  #taken = 0
  #ended = false

  /** A piece that arrived; false when it is more than there was credit for, or follows the end. */
  receive(bytes: number, last: boolean): boolean {
    if (this.#ended) return false
    this.#ended = last
    this.#allowed -= bytes
    this.#unread += bytes
    return this.#allowed >= 0
  }

  /** The reader took this many bytes; says what credit goes to the sender now, 0 for none yet. */
  took(bytes: number): number {
    const read = Math.min(bytes, this.#unread)
    this.#unread -= read
    this.#taken += read
    if (this.#ended || this.#taken < WINDOW / 2) return 0
    const credit = this.#taken
    this.#taken = 0
    this.#allowed += credit
    return credit
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
