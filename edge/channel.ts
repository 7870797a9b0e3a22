// The way to the objects that hold channels: a few, each with its share of the sessions and principals, so that many idle
// streams cost what one does.

import type { Channel, StreamRequest } from '../gateway/channel/channel.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { orAborted } from '../gateway/wait.ts'
import { Fault, type FaultData, type Reason } from '../protocol/fault.ts'

const SHARDS = 8
const RETRY_MS = 250

export class EdgeChannel implements Channel {
  readonly #objects: DurableObjectNamespace

  constructor(objects: DurableObjectNamespace) {
    this.#objects = objects
  }

  async open(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    const object = this.#object(request.session?.id ?? request.credentials.authorization ?? '')
    const response = await object.fetch('http://channel/open', { method: 'POST', body: JSON.stringify(request) })
    if (response.ok && response.body !== null) return response.body
    throw asFault(await response.json())
  }

  async attach(session: string, server: string): Promise<void> {
    await this.#tell(session, '/attach', { session, server }).catch(() => undefined)
  }

  async subscribe(session: string, uri: string, on: boolean): Promise<void> {
    await this.#tell(session, '/subscribe', { session, uri, on })
  }

  async end(session: string): Promise<void> {
    await this.#tell(session, '/end', { session }).catch(() => undefined)
  }

  async take(session: string, key: string, signal: AbortSignal): Promise<string> {
    for (;;) {
      const text = await orAborted(this.#take(session, key, signal), signal)
      if (text !== undefined) return text
    }
  }

  async put(session: string, key: string, text: string): Promise<void> {
    await this.#tell(session, '/put', { key, text })
  }

  async #tell(session: string, path: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify(body) }
    const response = await this.#object(session).fetch(`http://channel${path}`, init)
    if (response.status !== 204) throw asFault(await response.json())
  }

  async #take(session: string, key: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const response = await this.#object(session).fetch('http://channel/take', {
        method: 'POST',
        body: JSON.stringify({ key }),
        signal,
      })
      if (response.status === 200) return await response.text()
      await response.body?.cancel()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
    return undefined
  }

  #object(id: string): DurableObjectStub {
    const shard = Number.parseInt(fingerprint(id).slice(0, 4), 16) % SHARDS
    return this.#objects.get(this.#objects.idFromName(String(shard)))
  }
}

/** A fault as the object sends it. */
export interface Refused {
  readonly reason: Reason
  readonly message: string
  readonly data: FaultData | undefined
}

function asFault(value: unknown): Fault {
  const { reason, message, data } = value as Refused
  return new Fault(reason, message, data === undefined ? {} : { data })
}
