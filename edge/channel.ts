// Channels at the edge: a few Durable Objects, each with its share of the sessions, so that many idle streams cost what
// one does. This file is both ends of that.

import { DurableObject } from 'cloudflare:workers'
import type { Channel, StreamRequest } from '../gateway/channel/channel.ts'
import { Meeting } from '../gateway/channel/meeting.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { Fault } from '../protocol/fault.ts'
import type { Env } from './env.ts'

const SHARDS = 8
/** One wait at the object; who waits longer asks again, and so finds an object that was evicted meanwhile. */
const WAIT_MS = 20_000
const RETRY_MS = 250

export class EdgeChannel implements Channel {
  readonly #objects: DurableObjectNamespace

  constructor(objects: DurableObjectNamespace) {
    this.#objects = objects
  }

  async open(_request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    throw new Fault('method_not_allowed', 'There are no streams yet.')
  }

  async attach(_session: string, _server: string): Promise<void> {}

  async subscribe(_session: string, _uri: string, _on: boolean): Promise<void> {}

  async end(_session: string): Promise<void> {}

  async take(session: string, key: string, signal: AbortSignal): Promise<string> {
    const aborted = new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error)
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    aborted.catch(() => undefined)
    for (;;) {
      const text = await Promise.race([this.#take(session, key), aborted])
      if (text !== undefined) return text
    }
  }

  async put(session: string, key: string, text: string): Promise<void> {
    const url = `http://channel/put?key=${encodeURIComponent(key)}`
    const response = await this.#object(session).fetch(url, { method: 'POST', body: text })
    await response.body?.cancel()
    if (!response.ok) throw new Fault('overloaded', 'Too many answers wait to be read; try again later.')
  }

  async #take(session: string, key: string): Promise<string | undefined> {
    try {
      const response = await this.#object(session).fetch(`http://channel/take?key=${encodeURIComponent(key)}`)
      if (response.status === 200) return await response.text()
      await response.body?.cancel()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
    return undefined
  }

  #object(session: string): DurableObjectStub {
    const shard = Number.parseInt(fingerprint(session).slice(0, 4), 16) % SHARDS
    return this.#objects.get(this.#objects.idFromName(String(shard)))
  }
}

export class ChannelObject extends DurableObject<Env> {
  readonly #meeting = new Meeting()

  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const key = searchParams.get('key') ?? ''
    switch (pathname) {
      case '/take': {
        const text = await this.#meeting.take(key, WAIT_MS)
        return text === undefined ? new Response(null, { status: 204 }) : new Response(text)
      }
      case '/put':
        return new Response(null, { status: this.#meeting.put(key, await request.text()) ? 204 : 503 })
      default:
        return new Response(null, { status: 404 })
    }
  }
}
