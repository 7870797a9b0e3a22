// A server on the HTTP+SSE transport of 2024-11-05: one GET stream carries every message back, POSTs go to the endpoint
// that its first event names. One connection is one session; whoever holds it owns it.

import type { JsonObject, Message } from '../../protocol/envelope.ts'
import { parseMessage, isObject } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { readSse, type SseEvent } from '../../protocol/sse.ts'
import { handshake, type Agreement } from './handshake.ts'
import { abortable, lost, protocol, request } from './http.ts'
import { MAX_REPLY, type Call, type Reply, type Upstream } from './upstream.ts'

const MAX_QUEUED = 1000
const MAX_PENDING = 256

interface Pending {
  readonly id: string
  readonly token: string | undefined
  readonly push: (message: Message) => void
  readonly fail: (error: unknown) => void
}

export class SseConnection {
  readonly #upstream: Upstream
  readonly #endpoint: string
  readonly #stop = new AbortController()
  readonly #pending = new Map<string, Pending>()
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
      throw new Fault('backend_refused', `Server ${upstream.server} refuses the edge's credential.`, {
        data: { server: upstream.server },
      })
    }
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      if (response.status >= 500) throw lost(upstream, new Error(`HTTP ${response.status}`), undefined)
      throw protocol(upstream, `answered HTTP ${response.status} to the event stream`)
    }
    const events = readSse(abortable(response.body, stop.signal), MAX_REPLY)
    const first = await events.next().catch((error: unknown) => {
      throw lost(upstream, error, signal)
    })
    const endpoint = first.done === true || first.value.event !== 'endpoint' ? undefined : first.value.data
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
    const messages = this.#subscribe(call.id, call)
    try {
      await this.#post(call)
    } catch (error) {
      await messages.return()
      throw error
    }
    return { kind: 'stream', messages, answer: async (text) => this.#post({ ...call, text, id: undefined }) }
  }

  /** Notifications that belong to no call, until the connection or the signal ends. */
  unasked(signal: AbortSignal): AsyncGenerator<Message, void, void> {
    const text = '{"jsonrpc":"2.0","method":"unasked"}'
    return this.#subscribe('"unasked"', { text, id: '"unasked"', headers: {}, signal })
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
      signal: call.signal,
    })
    await response.body?.cancel()
    if (response.ok) return
    if (response.status >= 500) throw lost(this.#upstream, new Error(`HTTP ${response.status}`), call.signal)
    throw protocol(this.#upstream, `answered HTTP ${response.status}`)
  }

  /** Messages for one call: its response, its progress, and what is addressed to nobody in particular. */
  #subscribe(id: string, call: Call): AsyncGenerator<Message, void, void> {
    const queue: Message[] = []
    let size = 0
    let failure: unknown
    let wake: (() => void) | undefined
    const key = JSON.stringify(JSON.parse(id))
    const pending: Pending = {
      id: key,
      token: progressToken(call.text),
      push: (message) => {
        size += message.text.length
        if (size > MAX_REPLY) {
          this.#end(protocol(this.#upstream, 'sends faster than its messages are taken'))
          return
        }
        if (queue.length < MAX_QUEUED || message.kind === 'response') queue.push(message)
        wake?.()
      },
      fail: (error) => {
        failure = error
        wake?.()
      },
    }
    const abort = () => pending.fail(lost(this.#upstream, undefined, call.signal))
    this.#pending.set(key, pending)
    call.signal.addEventListener('abort', abort, { once: true })
    const release = () => {
      this.#pending.delete(key)
      call.signal.removeEventListener('abort', abort)
    }
    async function* read(): AsyncGenerator<Message, void, void> {
      try {
        for (;;) {
          const next = queue.shift()
          if (next !== undefined) {
            size -= next.text.length
            yield next
            if (next.kind === 'response') return
          } else if (failure !== undefined) throw failure
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        release()
      }
    }
    if (call.signal.aborted) abort()
    const generator = read()
    const stop = generator.return.bind(generator)
    generator.return = (value) => {
      release()
      return stop(value)
    }
    return generator
  }

  async #pump(events: AsyncGenerator<SseEvent>): Promise<void> {
    try {
      for await (const event of events) {
        if (event.event !== 'message' || event.data === '') continue
        this.#dispatch(parseMessage(event.data))
      }
      this.#end(lost(this.#upstream, new Error('stream ended'), undefined))
    } catch (error) {
      this.#end(
        error instanceof Fault && error.reason === 'backend_protocol' ? error : lost(this.#upstream, error, undefined),
      )
    }
  }

  #dispatch(message: Message): void {
    if (message.kind === 'response') {
      if (message.id !== undefined) this.#pending.get(JSON.stringify(JSON.parse(message.id)))?.push(message)
      return
    }
    const token = message.params['progressToken']
    for (const pending of this.#pending.values()) {
      if (token !== undefined && pending.token !== JSON.stringify(token)) continue
      pending.push(message)
      if (message.kind === 'request') return
    }
  }

  #end(fault: Fault): void {
    if (this.#closed !== undefined) return
    this.#closed = fault
    this.#stop.abort()
    for (const pending of this.#pending.values()) pending.fail(fault)
  }
}

function progressToken(text: string): string | undefined {
  const meta = parseMessage(text).params['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return token === undefined ? undefined : JSON.stringify(token)
}
