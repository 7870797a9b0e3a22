// The bytes of a stream, one reader at a time. An aborted signal ends the wait at once and lets go of the stream, whatever its
// source does; where there is much to read, one buffer is used again and again instead of a new one for every few kilobytes.

const BUFFER = 64 * 1024

export class Bytes {
  readonly #body: ReadableStream<Uint8Array>
  readonly #signal: AbortSignal | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #into: ReadableStreamBYOBReader | undefined
  #buffer: ArrayBuffer | undefined
  #fail: ((reason: unknown) => void) | undefined
  readonly #abort = () => {
    this.#fail?.(this.#signal?.reason)
    void this.cancel()
  }

  constructor(body: ReadableStream<Uint8Array>, signal?: AbortSignal) {
    this.#body = body
    this.#signal = signal
    this.#reader = body.getReader()
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** The next bytes, good until it is called again; undefined at the end. Throws the signal's reason, or what broke the stream. */
  async next(): Promise<Uint8Array | undefined> {
    const signal = this.#signal
    if (signal === undefined) return this.#read()
    if (signal.aborted) {
      await this.cancel()
      throw signal.reason
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>()
    this.#fail = reject
    this.#read().then(resolve, (error: unknown) => reject(error))
    return promise
  }

  /** From now on through one buffer, where the stream allows that. Not while `next` is waiting. */
  throughBuffer(): void {
    if (this.#reader === undefined || this.#buffer !== undefined) return
    this.#buffer = new ArrayBuffer(BUFFER)
    this.#reader.releaseLock()
    try {
      this.#into = this.#body.getReader({ mode: 'byob' })
      this.#reader = undefined
    } catch {
      this.#reader = this.#body.getReader()
    }
  }

  /** Lets go of the stream. Never throws. */
  async cancel(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort)
    await (this.#into ?? this.#reader)?.cancel().catch(() => undefined)
  }

  async #read(): Promise<Uint8Array | undefined> {
    if (this.#into === undefined || this.#buffer === undefined) return (await this.#reader?.read())?.value
    const { done, value } = await this.#into.read(new Uint8Array(this.#buffer))
    if (value !== undefined) this.#buffer = value.buffer
    return done ? undefined : value
  }
}
