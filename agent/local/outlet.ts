// A stream of messages to one reader, as server-sent events. Whoever writes can see how much waits to be read.

import { sseMessage } from '../../protocol/sse.ts'

const encoder = new TextEncoder()
/** For counting alone; who writes decides how much may wait. */
const ROOM = Number.MAX_SAFE_INTEGER

export class Outlet {
  readonly response: Response
  readonly #controller: ReadableStreamDefaultController<Uint8Array>
  readonly #left: () => void
  #isOver = false

  /** `left` is called once, when nothing can be written any more: the reader has gone, or `end` was called. */
  constructor(signal: AbortSignal | undefined, left: () => void) {
    this.#left = left
    const controllers: ReadableStreamDefaultController<Uint8Array>[] = []
    const body = new ReadableStream<Uint8Array>(
      { start: (controller) => void controllers.push(controller), cancel: () => this.#leave() },
      { highWaterMark: ROOM, size: (chunk) => chunk.length },
    )
    const [controller] = controllers
    if (controller === undefined) throw new TypeError('a stream starts when it is made')
    this.#controller = controller
    this.response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    const abort = (): void => this.end(new Error('given up'))
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Bytes that nobody has read yet. */
  get waiting(): number {
    return this.#isOver ? 0 : ROOM - (this.#controller.desiredSize ?? ROOM)
  }

  put(text: string): void {
    if (!this.#isOver) this.#controller.enqueue(encoder.encode(sseMessage(text)))
  }

  /** What was put before is still read, unless there is an error. */
  end(error?: Error): void {
    if (this.#isOver) return
    if (error === undefined) this.#controller.close()
    else this.#controller.error(error)
    this.#leave()
  }

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#left()
  }
}
