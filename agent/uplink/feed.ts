// The body of a request while it arrives: pieces go in as the link brings them, and are taken as the proxy reads. What waits in between
// is bounded by the credit that the edge was given, which grows only with what was taken.

export class Feed implements AsyncIterable<Uint8Array> {
  readonly #pieces: Uint8Array[] = []
  readonly #took: (bytes: number) => void
  #ended = false
  #wake: (() => void) | undefined

  /** `took` is told what the reader has taken. */
  constructor(took: (bytes: number) => void) {
    this.#took = took
  }

  push(bytes: Uint8Array, last: boolean): void {
    if (bytes.length > 0) this.#pieces.push(bytes)
    this.#ended = last
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#took(piece.length)
        yield piece
      } else if (this.#ended) {
        return
      } else {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      }
    }
  }
}
