// Servers on the old HTTP+SSE transport keep their session in one open stream, which no single request can own: a Durable
// Object per server and owner holds it. This is the way to it.

import { lost, promptly } from '../gateway/backend/http.ts'
import type { Backend, Call, Owner, Reply, Unasked, Upstream } from '../gateway/backend/upstream.ts'
import { MAX_REPLY } from '../gateway/backend/upstream.ts'
import type { Levels } from '../gateway/levels.ts'
import { readMessage } from '../protocol/aside.ts'
import { isObject, type Message } from '../protocol/envelope.ts'
import { Fault, type Reason } from '../protocol/fault.ts'
import { readSse } from '../protocol/sse.ts'

/** One call on its way into the object: plain data. */
export interface Errand {
  readonly upstream: {
    readonly account: string
    readonly server: string
    readonly url: string
    readonly allowPrivate: boolean
    readonly allowLoopback: boolean
  }
  readonly credentials: Readonly<Record<string, string>>
  readonly owner: Owner
  /** The log level that the owner's client has set, for a connection that opens late. */
  readonly level: string | undefined
  readonly text: string
  readonly id: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

export type Told = Pick<Errand, 'text' | 'id'>

export class SseBackend implements Backend {
  readonly #upstream: Upstream
  readonly #objects: DurableObjectNamespace
  readonly #levels: Levels

  constructor(upstream: Upstream, objects: DurableObjectNamespace, levels: Levels) {
    this.#upstream = upstream
    this.#objects = objects
    this.#levels = levels
  }

  async call(call: Call, owner: Owner): Promise<Reply> {
    const { server, url, account, allowPrivate, allowLoopback } = this.#upstream
    const errand: Errand = {
      upstream: { server, url, account, allowPrivate, allowLoopback },
      credentials: await this.#upstream.headers(),
      owner: { name: owner.name, capabilities: owner.capabilities, ...(owner.session && { session: owner.session }) },
      level: owner.session === undefined ? undefined : await this.#levels.get(owner.session),
      text: call.text,
      id: call.id,
      headers: call.headers,
    }
    const init = { method: 'POST', body: JSON.stringify(errand), signal: call.signal }
    const response = await this.#fetch(owner, 'call', init)
    if (response.status === 202 || response.body === null) return { kind: 'accepted' }
    return {
      kind: 'stream',
      messages: received(this.#upstream, response.body, call.signal),
      answer: async (text) => void (await this.call({ ...call, text, id: undefined }, owner)),
    }
  }

  async tell(call: Call, owner: Owner): Promise<void> {
    const errand: Told = { text: call.text, id: call.id }
    await this.#fetch(owner, 'tell', { method: 'POST', body: JSON.stringify(errand) })
      .then((response) => response.body?.cancel())
      .catch(() => undefined)
  }

  async resume(): Promise<undefined> {
    return undefined
  }

  /** What the owner's connection hears outside of calls; undefined when there is no connection. Throws the signal's reason. */
  async listen(_uris: readonly string[], owner: Owner, signal: AbortSignal): Promise<Unasked | undefined> {
    const response = await promptly(this.#fetch(owner, 'listen', { signal }), signal)
    if (response.status !== 200 || response.body === null) return undefined
    return received(this.#upstream, response.body, signal)
  }

  async end(owner: Owner): Promise<void> {
    await this.#fetch(owner, 'end', { method: 'POST' }).catch(() => undefined)
  }

  /** Asks the owner's object. One that is broken off, as by a deployment, is as good as a server that is away. */
  async #fetch(owner: Owner, path: string, init: RequestInit): Promise<Response> {
    const name = `${this.#upstream.url} ${this.#upstream.account} ${owner.name}`
    try {
      return await this.#objects.get(this.#objects.idFromName(name)).fetch(`http://sse/${path}`, init)
    } catch (error) {
      throw lost(this.#upstream, error, init.signal ?? undefined)
    }
  }
}

/** What the object relays; a fault travels as an error message with its reason. */
async function* received(upstream: Upstream, body: ReadableStream<Uint8Array>, signal: AbortSignal): Unasked {
  try {
    for await (const event of readSse(body, MAX_REPLY, { signal })) {
      const data = event.pieces ?? event.data
      if (data === '') continue
      const message = readMessage(data)
      if (event.event === 'fault') throw asFault(upstream.server, message)
      yield message
    }
  } catch (error) {
    throw error instanceof Fault ? error : lost(upstream, error, signal)
  }
}

function asFault(server: string, message: Message): Fault {
  const data = message.error?.['data']
  const reason = isObject(data) ? data['reason'] : undefined
  const text = message.error?.['message']
  return new Fault(
    (typeof reason === 'string' ? reason : 'backend_unavailable') as Reason,
    typeof text === 'string' ? text : 'Failed.',
    {
      data: { server, retryAfterSeconds: 5 },
    },
  )
}
