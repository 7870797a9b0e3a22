// A text that arrives in pieces. It is copied together as it comes: a piece is part of a frame, and whoever kept it would keep the whole
// frame, so that an uplink could fill the memory with pieces of nothing.

export class Arriving {
  readonly label: string
  #bytes = new Uint8Array(0)
  #size = 0

  /** `label` says which text it is. */
  constructor(label: string) {
    this.label = label
  }

  /** Bytes that have arrived. */
  get size(): number {
    return this.#size
  }

  /** Bytes that are held for them: at most twice as many. */
  get held(): number {
    return this.#bytes.buffer.byteLength
  }

  put(piece: Uint8Array): void {
    const size = this.#size + piece.length
    if (size > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(size, 2 * this.#bytes.length))
      bytes.set(this.#bytes.subarray(0, this.#size))
      this.#bytes = bytes
    }
    this.#bytes.set(piece, this.#size)
    this.#size = size
  }

  /** All of it; not a copy. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#size)
  }
}
