// One session with a process over stdio. Which answer belongs to which request follows from the id; what the process says meanwhile goes to
// the request whose progress it is, else to the youngest one under way, else to whoever listens.

import { parseMessage, type JsonObject, type Message } from '../../protocol/envelope.ts'
import { sseMessage } from '../../protocol/sse.ts'
import type { Child } from './child.ts'

/** What may wait for a reader who does not read, in bytes: then the stream ends. */
const MAX_WAITING = 32 * 1024 * 1024

interface Stream {
  readonly progress: string | undefined
  readonly controller: ReadableStreamDefaultController<Uint8Array>
}

const encoder = new TextEncoder()

export class Conversation {
  readonly #child: Child
  readonly #server: string
  /** By the JSON text of the request's id, the youngest last. */
  readonly #calls = new Map<string, Stream>()
  #listener: ReadableStreamDefaultController<Uint8Array> | undefined
  #usedAt = performance.now()

  constructor(child: Child, server: string) {
    this.#child = child
    this.#server = server
  }

  /** How long nobody has wanted anything, in milliseconds. */
  get idleMs(): number {
    return this.#calls.size > 0 || this.#listener !== undefined ? 0 : performance.now() - this.#usedAt
  }

  /** Passes a message on. A request is answered by a stream that ends with its response. */
  async post(message: Message, signal: AbortSignal | undefined): Promise<Response> {
    this.#usedAt = performance.now()
    const { id } = message
    if (message.kind !== 'request' || id === undefined) {
      this.#child.write(message.text)
      return new Response(null, { status: 202 })
    }
    if (this.#calls.has(id)) return new Response(null, { status: 400 })
    const meta = message.params['_meta'] as JsonObject | undefined
    const token = meta?.['progressToken']
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#calls.set(id, { progress: token === undefined ? undefined : JSON.stringify(token), controller })
        },
        cancel: () => void this.#calls.delete(id),
      },
      { highWaterMark: MAX_WAITING, size: (chunk) => chunk.length },
    )
    signal?.addEventListener('abort', () => this.#calls.delete(id), { once: true })
    this.#child.write(message.text)
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  /** What belongs to no request. One listener at a time. */
  listen(signal: AbortSignal | undefined): Response {
    if (this.#listener !== undefined) return new Response(null, { status: 409 })
    const leave = () => void (this.#listener = undefined)
    const body = new ReadableStream<Uint8Array>(
      { start: (controller) => void (this.#listener = controller), cancel: leave },
      { highWaterMark: MAX_WAITING, size: (chunk) => chunk.length },
    )
    signal?.addEventListener('abort', leave, { once: true })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  /** The process wrote a line. What is no message is nobody's. */
  heard(text: string): void {
    let message: Message
    try {
      message = parseMessage(text)
    } catch {
      return
    }
    if (message.kind === 'response') {
      const call = this.#calls.get(message.id ?? '')
      if (call === undefined) return
      this.#calls.delete(message.id ?? '')
      this.#usedAt = performance.now()
      if (put(call.controller, text)) call.controller.close()
      return
    }
    const to = this.#streamOf(message)
    if (to !== undefined) put(to, text)
    // Nobody is there who could be asked.
    else if (message.kind === 'request')
      this.#child.write(
        `{"jsonrpc":"2.0","id":${message.id},"error":{"code":-32601,"message":"Nobody can be asked now."}}`,
      )
  }

  /** The process is gone: whoever waits learns it at once. */
  ended(why: string): void {
    const error = new Error(`The process of server ${this.#server} ended: ${why}`)
    const open = [...this.#calls.values()].map(({ controller }) => controller)
    for (const controller of this.#listener === undefined ? open : [...open, this.#listener]) controller.error(error)
    this.#calls.clear()
    this.#listener = undefined
  }

  async close(): Promise<void> {
    await this.#child.close()
  }

  #streamOf({ method, params }: Message): ReadableStreamDefaultController<Uint8Array> | undefined {
    const calls = [...this.#calls.values()]
    if (method === 'notifications/progress') {
      const token = JSON.stringify(params['progressToken'])
      return calls.find(({ progress }) => progress === token)?.controller
    }
    const isAbroad = /^notifications\/(?:(?:tools|prompts|resources)\/list_changed|resources\/updated)$/u.test(method)
    const youngest = calls.at(-1)?.controller
    return isAbroad ? this.#listener : (youngest ?? this.#listener)
  }
}

/** False when the reader has let too much wait, and the stream is over. */
function put(controller: ReadableStreamDefaultController<Uint8Array>, text: string): boolean {
  const bytes = encoder.encode(sseMessage(text))
  if ((controller.desiredSize ?? 0) < bytes.length) {
    controller.error(new Error('What the server says is not read.'))
    return false
  }
  controller.enqueue(bytes)
  return true
}
