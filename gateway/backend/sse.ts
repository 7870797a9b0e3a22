// A server on the HTTP+SSE transport of 2024-11-05: one GET stream carries every message back, POSTs go to the endpoint
// that its first event names. One connection is one session; whoever holds it owns it.

import { readMessage } from '../../protocol/aside.ts'
import type { Json, JsonObject, Message } from '../../protocol/envelope.ts'
import { parseMessage, isObject } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { readSse, type SseEvent } from '../../protocol/sse.ts'
import { Lru } from '../lru.ts'
import { handshake, type Agreement } from './handshake.ts'
import { lost, protocol, request } from './http.ts'
import { receive, type Pending } from './pending.ts'
import { MAX_REPLY, type Call, type Reply, type Unasked, type Upstream } from './upstream.ts'

const MAX_PENDING = 256
/** Servers take a message at once and answer it on the stream; some take a request only when it is done. */
const TAKE_MS = 30_000
const DONE_MS = 16 * 60_000

export class SseConnection {
  readonly #upstream: Upstream
  readonly #endpoint: string
  readonly #stop = new AbortController()
  readonly #pending = new Map<string, Pending>()
  #listener: Pending | undefined
  /** Who was given each question of the server, to be told if that is taken back. */
  readonly #asked = new Lru<string, Pending | undefined>(MAX_PENDING)
  #closed: Fault | undefined
  /** Settles when the stream has ended. */
  readonly done: Promise<void>
  agreement: Agreement | undefined

  private constructor(upstream: Upstream, endpoint: string, events: AsyncGenerator<SseEvent>) {
    this.#upstream = upstream
    this.#endpoint = endpoint
    this.done = this.#pump(events)
  }

  /** Connects and shakes hands; `declared` is what the server may ask. `signal` bounds the opening only. Throws `Fault` as `exchange` does. */
  static async open(upstream: Upstream, declared: JsonObject, signal: AbortSignal): Promise<SseConnection> {
    const stop = new AbortController()
    const abort = () => stop.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const response = await request(upstream, upstream.url, {
      method: 'GET',
      headers: { accept: 'text/event-stream', ...(await upstream.headers()) },
      signal: stop.signal,
    })
    if (response.status === 401 || response.status === 403) {
      await response.body?.cancel()
      throw new Fault('backend_refused', `Server ${upstream.server} refuses the credential that it is called with.`, {
        data: { server: upstream.server },
      })
    }
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      if (response.status >= 500) throw lost(upstream, new Error(`HTTP ${response.status}`), undefined)
      throw protocol(upstream, `answered HTTP ${response.status} to the event stream`)
    }
    const events = readSse(response.body, MAX_REPLY, { signal: stop.signal })
    const endpoint = await endpointOf(events).catch((error: unknown) => {
      throw lost(upstream, error, signal)
    })
    if (endpoint === undefined || !URL.canParse(endpoint, upstream.url)) {
      stop.abort()
      throw protocol(upstream, 'did not name its endpoint')
    }
    const url = new URL(endpoint, upstream.url)
    if (url.origin !== new URL(upstream.url).origin) {
      stop.abort()
      throw new Fault(
        'backend_refused',
        `Server ${upstream.server} names an endpoint elsewhere, which is not followed.`,
        {
          data: { server: upstream.server },
        },
      )
    }
    const connection = new SseConnection(upstream, url.href, events)
    connection.#stop.signal.addEventListener('abort', () => stop.abort(), { once: true })
    try {
      connection.agreement = await handshake((call) => connection.call(call), upstream, declared, signal)
    } catch (error) {
      connection.close()
      throw error
    }
    signal.removeEventListener('abort', abort)
    return connection
  }

  get alive(): boolean {
    return this.#closed === undefined
  }

  async call(call: Call): Promise<Reply> {
    if (this.#closed !== undefined) throw this.#closed
    if (call.id === undefined) {
      await this.#post(call)
      return { kind: 'accepted' }
    }
    if (this.#pending.size >= MAX_PENDING) {
      throw new Fault('backend_overloaded', `Server ${this.#upstream.server} has too many calls in flight.`, {
        data: { server: this.#upstream.server, retryAfterSeconds: 1 },
      })
    }
    const key = idKey(call.id)
    if (this.#pending.has(key)) {
      throw new Fault('invalid_request', 'A request with this "id" still waits for its response; use another id.')
    }
    const { pending, messages } = this.#receive(progressToken(call.text), call.signal, () => {
      if (this.#pending.get(key) === pending) this.#pending.delete(key)
    })
    this.#pending.set(key, pending)
    try {
      await this.#post(call)
    } catch (error) {
      await messages.return()
      throw error
    }
    return { kind: 'stream', messages, answer: async (text) => this.#post({ ...call, text, id: undefined }) }
  }

  /**
   * What belongs to no call, notifications and requests, until the connection or the signal ends. One listens at a time: whoever
   * comes later takes over, and the earlier one's stream ends.
   */
  unasked(signal: AbortSignal): Unasked {
    const { pending, messages } = this.#receive(undefined, signal, () => {
      if (this.#listener === pending) this.#listener = undefined
    })
    this.#listener?.fail(undefined)
    this.#listener = pending
    if (this.#closed !== undefined) pending.fail(this.#closed)
    return messages
  }

  close(): void {
    this.#end(
      new Fault('backend_unavailable', `The connection to server ${this.#upstream.server} was closed.`, {
        data: { server: this.#upstream.server, retryAfterSeconds: 1 },
      }),
    )
  }

  async #post(call: Call): Promise<void> {
    const response = await request(this.#upstream, this.#endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(await this.#upstream.headers()), ...call.headers },
      body: call.text,
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(call.id === undefined ? TAKE_MS : DONE_MS)]),
    })
    await response.body?.cancel()
    if (response.ok) return
    if (response.status >= 500) throw lost(this.#upstream, new Error(`HTTP ${response.status}`), call.signal)
    throw protocol(this.#upstream, `answered HTTP ${response.status}`)
  }

  #receive(token: string | undefined, signal: AbortSignal, leave: () => void): { pending: Pending; messages: Unasked } {
    return receive({
      token,
      signal,
      abandoned: () => lost(this.#upstream, undefined, signal),
      overrun: () => this.#end(protocol(this.#upstream, 'sends faster than its messages are taken')),
      leave,
    })
  }

  async #pump(events: AsyncGenerator<SseEvent>): Promise<void> {
    try {
      for await (const event of events) {
        const data = event.pieces ?? event.data
        if (event.event !== 'message' || data === '') continue
        this.#dispatch(readMessage(data))
      }
      this.#end(lost(this.#upstream, new Error('stream ended'), undefined))
    } catch (error) {
      this.#end(
        error instanceof Fault && error.reason === 'backend_protocol' ? error : lost(this.#upstream, error, undefined),
      )
    }
  }

  /**
   * Every message has one receiver. The transport does not say to which call a server's question belongs: the youngest is the
   * best guess, since callers that left are among the older ones. The rest is for who listens, if anybody does.
   */
  #dispatch(message: Message): void {
    if (message.kind === 'response') {
      const key = idKey(message.id ?? 'null')
      this.#pending.get(key)?.push(message)
      this.#pending.delete(key)
      return
    }
    if (message.method === 'notifications/progress') {
      const token = JSON.stringify(message.params['progressToken'])
      for (const pending of this.#pending.values()) {
        if (pending.token !== token) continue
        pending.push(message)
        return
      }
      return
    }
    if (message.kind === 'request') {
      const youngest = [...this.#pending.values()].at(-1) ?? this.#listener
      this.#asked.set(idKey(message.id ?? 'null'), youngest)
      youngest?.push(message)
      return
    }
    const asked =
      message.method === 'notifications/cancelled'
        ? this.#asked.get(requestKey(message.params['requestId']))
        : undefined
    const [first] = this.#pending.values()
    const receiver = asked ?? this.#listener ?? first
    receiver?.push(message)
  }

  #end(fault: Fault): void {
    if (this.#closed !== undefined) return
    this.#closed = fault
    this.#stop.abort()
    this.#listener?.fail(fault)
    for (const pending of this.#pending.values()) pending.fail(fault)
  }
}

/** What the first event says, if it names the endpoint. */
async function endpointOf(events: AsyncGenerator<SseEvent>): Promise<string | undefined> {
  for (;;) {
    const next = await events.next()
    if (next.done === true) return undefined
    const { event, data } = next.value
    if (data !== '') return event === 'endpoint' ? data : undefined
  }
}

const requestKey = (id: Json | undefined): string => JSON.stringify(id ?? null)

/** Ids that are the same value are the same id, however they are spelled. */
const idKey = (id: string): string => JSON.stringify(JSON.parse(id))

function progressToken(text: string): string | undefined {
  const meta = parseMessage(text).params['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return token === undefined ? undefined : JSON.stringify(token)
}
