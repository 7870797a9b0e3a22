// One session of a backend on the HTTP+SSE transport of 2024-11-05: everything comes back on the one stream.

import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Life, Session } from './life.ts'
import { identity } from './legacy.ts'
import { answered, listed, question, run, toolOf, wordOf, workOf } from './tool.ts'
import type { Message } from './tool.ts'

const ASK_MS = 10_000

export class OldSession implements Session {
  readonly #life: Life
  readonly #response: ServerResponse
  readonly #asked = new Map<string, (result: unknown) => void>()
  #elicitation = false

  constructor(life: Life, id: string, response: ServerResponse) {
    this.#life = life
    this.#response = response
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`event: endpoint\ndata: /messages?session=${id}\n\n`)
    const tell = (message: object): void => this.#send(message)
    life.listeners.add(tell)
    response.once('close', () => life.listeners.delete(tell))
  }

  async take(message: Message): Promise<void> {
    const { id, method } = message
    if (method === undefined) return this.#asked.get(String(id))?.(message.result)
    if (id === undefined) return
    const result = await this.#answer(message)
    const body = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result }
    this.#send({ jsonrpc: '2.0', id, ...body })
  }

  close(): void {
    this.#response.end()
  }

  #send(message: object): void {
    if (!this.#response.destroyed) this.#response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
  }

  async #answer(message: Message): Promise<object | undefined> {
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
      case 'tools/call':
        return this.#call(message)
      case undefined:
      default:
        return undefined
    }
  }

  async #call(message: Message): Promise<object> {
    const { signal, execute } = this.#life
    const { key } = workOf(message)
    if (toolOf(message) === 'work') {
      return answered(await run(message, execute, { notify: (one) => this.#send(one), signal }))
    }
    if (!this.#elicitation) return answered(`${key} cannot ask`, true)
    const id = randomUUID()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => resolve(undefined), ASK_MS)
    this.#asked.set(id, resolve)
    this.#send({ jsonrpc: '2.0', id, method: 'elicitation/create', params: question(key) })
    const word = wordOf(await promise)
    clearTimeout(timer)
    this.#asked.delete(id)
    if (word === undefined) return answered(`${key} got no word`, true)
    execute(key)
    return answered(`${key} done ${word}`)
  }
}
