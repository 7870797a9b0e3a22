// The writing end of one client's event stream. A client that does not read is let go before its unread events cost much,
// and nothing is kept for it once it has been.

import type { Budget, Holder } from './budget.ts'

const HIGH_WATER = 64 * 1024
/** What may still be handed over to a client whose stream ends. */
const LAST_WORDS = 16 * 1024
const encoder = new TextEncoder()

export class Outlet implements Holder {
  readonly readable: ReadableStream<Uint8Array>
  readonly #budget: Budget
  readonly #closed: () => void
  readonly #queue: Uint8Array[] = []
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** The client reads and there was nothing. */
  #wanted = false
  /** Bytes handed over that may not have arrived: until the client reads again. */
  #flying = 0
  #queued = 0

  /** `closed` is called once, however the stream ends. */
  constructor(budget: Budget, closed: () => void) {
    this.#budget = budget
    this.#closed = closed
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: () => this.#end(),
      },
      { highWaterMark: 0 },
    )
  }

  get open(): boolean {
    return this.#controller !== undefined
  }

  get held(): number {
    return this.#flying + this.#queued
  }

  /** Text of whole events or comments; nothing happens once the stream has ended. */
  write(text: string): void {
    const controller = this.#controller
    if (controller === undefined) return
    if (this.#queued > HIGH_WATER) return this.drop()
    const bytes = encoder.encode(text)
    if (this.#wanted) this.#send(controller, bytes)
    else {
      this.#queue.push(bytes)
      this.#queued += bytes.length
    }
    this.#budget.changed(this, bytes.length)
  }

  /** Ends the stream; a client that is far behind does not get the rest. */
  close(): void {
    const controller = this.#controller
    const rest = this.#queued > LAST_WORDS ? [] : [...this.#queue]
    this.#end()
    try {
      for (const bytes of rest) controller?.enqueue(bytes)
      controller?.close()
    } catch {
      // It has ended by itself.
    }
  }

  drop(): void {
    this.#queue.length = 0
    this.close()
  }

  #pull(): void {
    const flown = this.#flying
    this.#flying = 0
    const next = this.#queue.shift()
    this.#wanted = next === undefined
    if (next !== undefined && this.#controller !== undefined) {
      this.#queued -= next.length
      this.#send(this.#controller, next)
    }
    if (flown > 0) this.#budget.changed(this, -flown)
  }

  #send(controller: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array): void {
    this.#wanted = false
    this.#flying += bytes.length
    controller.enqueue(bytes)
  }

  #end(): void {
    if (this.#controller === undefined) return
    const { held } = this
    this.#controller = undefined
    this.#queue.length = 0
    this.#queued = 0
    this.#flying = 0
    if (held > 0) this.#budget.changed(this, -held)
    this.#closed()
  }
}
