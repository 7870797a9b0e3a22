// One session of a backend on the HTTP+SSE transport of 2024-11-05: everything comes back on the one stream.

import type { ServerResponse } from 'node:http'
import { Conversation } from './conversation.ts'
import type { Life, Session } from './life.ts'
import type { Message } from './tool.ts'

export class OldSession implements Session {
  readonly #response: ServerResponse
  readonly #conversation: Conversation

  constructor(life: Life, id: string, response: ServerResponse) {
    this.#conversation = new Conversation(life)
    this.#response = response
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`event: endpoint\ndata: /messages?session=${id}\n\n`)
    const tell = (message: object): void => this.#send(message)
    life.listeners.add(tell)
    response.once('close', () => life.listeners.delete(tell))
  }

  async take(message: Message): Promise<void> {
    const { id, method } = message
    if (method === undefined) return this.#conversation.hear(message)
    if (id === undefined) return
    const result =
      method === 'tools/call'
        ? await this.#conversation.call(message, (one) => this.#send(one))
        : this.#conversation.answer(message)
    const body = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result }
    this.#send({ jsonrpc: '2.0', id, ...body })
  }

  close(): void {
    this.#response.end()
  }

  #send(message: object): void {
    if (!this.#response.destroyed) this.#response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
  }
}
