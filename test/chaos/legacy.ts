// One session of a legacy backend over streamable HTTP. The asking kind writes event ids, so that a stream that breaks can
// be resumed by GET, and asks its client on the stream of the call.

import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Life, Session } from './life.ts'
import { answered, listed, question, run, toolOf, wordOf, workOf } from './tool.ts'
import type { Message } from './tool.ts'

const ASK_MS = 10_000
const MAX_STREAMS = 64

export const identity = (capabilities: object): object => ({
  protocolVersion: '2025-11-25',
  capabilities,
  serverInfo: { name: 'chaos', version: '1' },
})

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
  readonly #asked = new Map<string, (result: unknown) => void>()
  readonly #listening = new Map<ServerResponse, (message: object) => void>()
  #elicitation = false

  constructor(life: Life) {
    this.#life = life
  }

  async post(message: Message, response: ServerResponse): Promise<void> {
    const { id, method } = message
    if (method === undefined) {
      this.#asked.get(String(id))?.(message.result)
      return void response.writeHead(202).end()
    }
    if (id === undefined) return void response.writeHead(202).end()
    if (method === 'tools/call') return this.#call(message, response)
    const result = this.#answer(message)
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

  #answer(message: Message): object | undefined {
    switch (message.method) {
      case 'initialize': {
        const declared = message.params?.['capabilities'] as { readonly elicitation?: object } | undefined
        this.#elicitation = declared?.elicitation !== undefined
        return identity({ tools: { listChanged: true } })
      }
      case 'tools/list':
        return { tools: listed(this.#life.generation) }
      case 'ping':
        return {}
      case undefined:
      default:
        return undefined
    }
  }

  async #call(message: Message, response: ServerResponse): Promise<void> {
    const { signal, execute } = this.#life
    const { id } = message
    const done = (result: object): object => ({ jsonrpc: '2.0', id, result })
    if (toolOf(message) === 'work' && workOf(message).steps === 0) {
      const text = await run(message, execute, { notify: () => {}, signal })
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(done(answered(text))))
      return
    }
    if (this.#life.kind === 'plain') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      const send = (one: object): void => void response.write(`data: ${JSON.stringify(one)}\n\n`)
      send(done(await this.#perform(message, send)))
      response.end()
      return
    }
    const stream = new Stream()
    this.#streams.set(stream.id, stream)
    if (this.#streams.size > MAX_STREAMS) this.#streams.delete([...this.#streams.keys()][0] ?? '')
    stream.attach(response, 0)
    stream.prime()
    stream.write(done(await this.#perform(message, (one) => stream.write(one))))
    stream.end()
  }

  async #perform(message: Message, send: (message: object) => void): Promise<object> {
    const { signal, execute } = this.#life
    if (toolOf(message) === 'work') return answered(await run(message, execute, { notify: send, signal }))
    const { key } = workOf(message)
    if (!this.#elicitation) return answered(`${key} cannot ask`, true)
    const word = wordOf(await this.#ask(key, send))
    if (word === undefined) return answered(`${key} got no word`, true)
    execute(key)
    return answered(`${key} done ${word}`)
  }

  /** Undefined when nobody answers in time. */
  #ask(key: string, send: (message: object) => void): Promise<unknown> {
    const id = randomUUID()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => resolve(undefined), ASK_MS)
    this.#asked.set(id, resolve)
    send({ jsonrpc: '2.0', id, method: 'elicitation/create', params: question(key) })
    return promise.finally(() => {
      clearTimeout(timer)
      this.#asked.delete(id)
    })
  }
}
