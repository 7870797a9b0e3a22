// One session of a legacy backend over streamable HTTP. The asking kind writes event ids, so that a stream that breaks can
// be resumed by GET, and asks its client on the stream of the call.

import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Conversation } from './conversation.ts'
import type { Life, Session } from './life.ts'
import { toolOf, workOf } from './tool.ts'
import type { Message } from './tool.ts'

const MAX_STREAMS = 64

/** A response stream that outlives its connection. */
class Stream {
  readonly id = randomUUID()
  readonly #events: string[] = []
  #response: ServerResponse | undefined
  #ended = false

  attach(response: ServerResponse, from: number): void {
    this.#response?.destroy()
    this.#response = response
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    for (const event of this.#events.slice(from)) response.write(event)
    if (this.#ended) response.end()
  }

  write(message: object): void {
    const event = `id: ${this.id}/${this.#events.length}\ndata: ${JSON.stringify(message)}\n\n`
    this.#events.push(event)
    this.#response?.write(event)
  }

  /** An event without a message, so that the client has an id before anything happens (MCP 2025-11-25, transports). */
  prime(): void {
    const event = `id: ${this.id}/${this.#events.length}\nretry: 100\ndata: \n\n`
    this.#events.push(event)
    this.#response?.write(event)
  }

  end(): void {
    this.#ended = true
    this.#response?.end()
  }
}

export class LegacySession implements Session {
  readonly #life: Life
  readonly #streams = new Map<string, Stream>()
  readonly #conversation: Conversation
  readonly #listening = new Map<ServerResponse, (message: object) => void>()

  constructor(life: Life) {
    this.#life = life
    this.#conversation = new Conversation(life)
  }

  async post(message: Message, response: ServerResponse): Promise<void> {
    const { id, method } = message
    if (method === undefined) {
      this.#conversation.hear(message)
      return void response.writeHead(202).end()
    }
    if (id === undefined) return void response.writeHead(202).end()
    if (method === 'tools/call') return this.#call(message, response)
    const result = this.#conversation.answer(message)
    const body = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
  }

  /** The stream of the session, or the rest of a broken one. */
  get(lastEventId: string | string[] | undefined, response: ServerResponse): void {
    if (typeof lastEventId === 'string' && this.#life.kind === 'asking') {
      const [stream = '', event = '0'] = lastEventId.split('/')
      const known = this.#streams.get(stream)
      if (known === undefined) return void response.writeHead(404).end()
      return known.attach(response, Number(event) + 1)
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    const tell = (message: object): void => void response.write(`data: ${JSON.stringify(message)}\n\n`)
    this.#life.listeners.add(tell)
    this.#listening.set(response, tell)
    response.once('close', () => {
      this.#life.listeners.delete(tell)
      this.#listening.delete(response)
    })
  }

  close(): void {
    for (const response of this.#listening.keys()) response.end()
  }

  async #call(message: Message, response: ServerResponse): Promise<void> {
    const { id } = message
    const done = (result: object): object => ({ jsonrpc: '2.0', id, result })
    if (toolOf(message) === 'work' && workOf(message).steps === 0) {
      const result = await this.#conversation.call(message, () => {})
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(done(result)))
      return
    }
    if (this.#life.kind === 'plain') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      const send = (one: object): void => void response.write(`data: ${JSON.stringify(one)}\n\n`)
      send(done(await this.#conversation.call(message, send)))
      response.end()
      return
    }
    const stream = new Stream()
    this.#streams.set(stream.id, stream)
    if (this.#streams.size > MAX_STREAMS) this.#streams.delete([...this.#streams.keys()][0] ?? '')
    stream.attach(response, 0)
    stream.prime()
    stream.write(done(await this.#conversation.call(message, (one) => stream.write(one))))
    stream.end()
  }
}
