// The writing end of one client's event stream. A client that does not read is let go before its unread events cost much.

const HIGH_WATER = 256 * 1024
const encoder = new TextEncoder()

export class Outlet {
  readonly readable: ReadableStream<Uint8Array>
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  readonly #closed: () => void

  /** `closed` is called once, however the stream ends. */
  constructor(closed: () => void) {
    this.#closed = closed
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        cancel: () => this.#end(),
      },
      { highWaterMark: HIGH_WATER, size: (chunk) => chunk?.byteLength ?? 1 },
    )
  }

  /** Text of whole events or comments; nothing happens once the stream has ended. */
  write(text: string): void {
    const controller = this.#controller
    if (controller === undefined) return
    if ((controller.desiredSize ?? 0) <= 0) return this.close()
    controller.enqueue(encoder.encode(text))
  }

  close(): void {
    const controller = this.#controller
    this.#end()
    try {
      controller?.close()
    } catch {
      // It has ended by itself.
    }
  }

  #end(): void {
    if (this.#controller === undefined) return
    this.#controller = undefined
    this.#closed()
  }
}
