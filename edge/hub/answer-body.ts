// The body of an answer on its way to a reader: a piece is handed over when the reader asks for one, so that what was handed over was
// taken, and what has arrived before a failure is read before it.

export class AnswerBody {
  readonly stream: ReadableStream<Uint8Array>
  readonly #took: (bytes: number) => void
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #pieces: Uint8Array[] = []
  #isWanted = false
  #isOver = false
  #failure: string | undefined

  constructor(took: (bytes: number) => void, left: () => void) {
    this.#took = took
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          this.#isWanted = true
          this.#flow()
        },
        cancel: () => {
          this.#pieces = []
          this.#controller = undefined
          left()
        },
      },
      { highWaterMark: 0 },
    )
  }

  put(bytes: Uint8Array, last: boolean): void {
    if (bytes.length > 0) this.#pieces.push(bytes)
    if (last) this.#isOver = true
    this.#flow()
  }

  /** What has arrived is read first. */
  fail(why: string): void {
    this.#failure ??= why
    this.#isOver = true
    this.#flow()
  }

  #flow(): void {
    const piece = this.#isWanted ? this.#pieces.shift() : undefined
    if (piece !== undefined) {
      this.#isWanted = false
      this.#controller?.enqueue(piece)
      this.#took(piece.length)
    }
    if (!this.#isOver || this.#pieces.length > 0) return
    if (this.#failure === undefined) this.#controller?.close()
    else this.#controller?.error(new Error(this.#failure))
    this.#controller = undefined
  }
}
