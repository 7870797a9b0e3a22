// The body of an answer on its way to a reader: a piece is handed over when the reader asks for one, so that what was handed over was
// taken, and what has arrived before a failure is read before it. Small pieces that wait are put together: a piece costs more than its bytes.

const JOINED = 64 * 1024

export class AnswerBody {
  readonly stream: ReadableStream<Uint8Array>
  readonly #took: (bytes: number) => void
  readonly #held: (body: AnswerBody, more: number) => void
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #pieces: Uint8Array[] = []
  /** Bytes that wait to be read. */
  #waiting = 0
  /** Where small pieces are put together: the last of `#pieces` is its beginning. */
  #room: Uint8Array | undefined
  #isWanted = false
  #isOver = false
  #failure: string | undefined

  /** `held` is told by how much more, or less, waits to be read. */
  constructor(took: (bytes: number) => void, left: () => void, held: (body: AnswerBody, more: number) => void) {
    this.#took = took
    this.#held = held
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
          this.#clear()
          this.#controller = undefined
          left()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** Bytes that have arrived and wait to be read. */
  get waiting(): number {
    return this.#waiting
  }

  put(bytes: Uint8Array, last: boolean): void {
    if (bytes.length > 0 && this.#controller !== undefined) {
      if (!this.#join(bytes)) this.#pieces.push(bytes)
      this.#wait(bytes.length)
    }
    if (last) this.#isOver = true
    this.#flow()
  }

  /** What has arrived is read first. */
  fail(why: string): void {
    this.#failure ??= why
    this.#isOver = true
    this.#flow()
  }

  /** Whoever reads it finds it broken off, whatever has arrived. */
  discard(why: string): void {
    this.#clear()
    this.fail(why)
  }

  #clear(): void {
    this.#pieces = []
    this.#room = undefined
    this.#wait(-this.#waiting)
  }

  #wait(more: number): void {
    this.#waiting += more
    this.#held(this, more)
  }

  /** Adds to the last piece, if both together are small. */
  #join(bytes: Uint8Array): boolean {
    const last = this.#pieces.at(-1)
    const length = (last?.length ?? 0) + bytes.length
    if (last === undefined || length > JOINED) {
      this.#room = undefined
      return false
    }
    if (this.#room === undefined || this.#room.length < length) {
      this.#room = new Uint8Array(Math.min(JOINED, length * 2))
      this.#room.set(last)
    }
    this.#room.set(bytes, last.length)
    this.#pieces[this.#pieces.length - 1] = this.#room.subarray(0, length)
    return true
  }

  #flow(): void {
    const piece = this.#isWanted ? this.#pieces.shift() : undefined
    if (piece !== undefined) {
      if (this.#pieces.length === 0) this.#room = undefined
      this.#isWanted = false
      this.#wait(-piece.length)
      this.#controller?.enqueue(piece)
      this.#took(piece.length)
    }
    if (!this.#isOver || this.#pieces.length > 0) return
    if (this.#failure === undefined) this.#controller?.close()
    else this.#controller?.error(new Error(this.#failure))
    this.#controller = undefined
  }
}
