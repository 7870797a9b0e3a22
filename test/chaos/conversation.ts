// What a legacy session says to its client, over either transport: it knows whether it may ask, and waits for what it asked.

import { randomUUID } from 'node:crypto'
import type { Life } from './life.ts'
import { answered, listed, question, run, toolOf, wordOf, workOf } from './tool.ts'
import type { Message } from './tool.ts'

const ASK_MS = 10_000

export class Conversation {
  readonly #life: Life
  readonly #asked = new Map<string, (result: unknown) => void>()
  #mayAsk = false

  constructor(life: Life) {
    this.#life = life
  }

  /** A response of the client's. */
  hear({ id, result }: Message): void {
    this.#asked.get(String(id))?.(result)
  }

  /** The result of a request that is no call; undefined: there is no such method. */
  answer(message: Message): object | undefined {
    switch (message.method) {
      case 'initialize': {
        const declared = message.params?.['capabilities'] as { readonly elicitation?: object } | undefined
        this.#mayAsk = declared?.elicitation !== undefined
        return {
          protocolVersion: '2025-11-25',
          capabilities: { tools: { listChanged: true } },
          serverInfo: { name: 'chaos', version: '1' },
        }
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

  /** The result of a call; what precedes it goes to `send`. Rejects when the backend restarts. */
  async call(message: Message, send: (message: object) => void): Promise<object> {
    const { signal, execute } = this.#life
    if (toolOf(message) === 'work') return answered(await run(message, execute, { notify: send, signal }))
    const { key } = workOf(message)
    if (!this.#mayAsk) return answered(`${key} cannot ask`, true)
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
