// A server's event stream over as many connections as it takes (MCP 2025-11-25, basic/transports, resumability). Where it
// gives its events ids, a connection that ends or breaks is followed by a GET after the last of them, when the server says.

import { Fault } from '../../protocol/fault.ts'
import { readSse } from '../../protocol/sse.ts'
import { contentType, promptly, request } from './http.ts'
import type { Upstream } from './upstream.ts'

const DEFAULT_RETRY_MS = 1_000
const MIN_RETRY_MS = 100
/** Streams outside of calls last for hours: no server has them opened more often. */
const MIN_PAUSE_MS = 1_000
const MAX_RETRY_MS = 30_000
/** Attempts in a row that found nobody. */
const MAX_FAILURES = 5
/** Connections in a row on which nothing was said: a server may have its clients poll, but not for ever. */
const MAX_SILENT = 100
/** What event stores of the TypeScript SDK make of a priming event when they send it again. */
const PRIMING_AGAIN = '{}'
/** What a header can carry back. */
const SENDABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/u

export interface StreamOptions {
  /** The headers of the session that the stream belongs to. */
  readonly session: Readonly<Record<string, string>>
  /** Ends the stream, and every wait for it. */
  readonly signal: AbortSignal
  /** Largest event, in characters. */
  readonly limit: number
  /** Whether another connection follows: after an event with an id, in any case, or never. */
  readonly goesOn: 'after-event' | 'always' | 'never'
  /** The event to go on after. */
  readonly after?: string
}

export class EventStream {
  readonly #upstream: Upstream
  readonly #options: StreamOptions
  #retryMs = DEFAULT_RETRY_MS
  #lastEvent: string | undefined

  constructor(upstream: Upstream, options: StreamOptions) {
    this.#upstream = upstream
    this.#options = options
    this.#lastEvent = options.after
  }

  /** The id of the last event that was read, where it may be resumed after. */
  get lastEvent(): string | undefined {
    const id = this.#lastEvent
    return id !== undefined && SENDABLE.test(id) ? id : undefined
  }

  /**
   * A connection by GET; undefined when the server does not offer it (405), or no longer (404).
   * Throws `Fault`: `backend_unavailable` when it may be there later, else as `request` does.
   */
  async open(): Promise<ReadableStream<Uint8Array> | undefined> {
    const { session, signal } = this.#options
    const { lastEvent } = this
    const headers = {
      accept: 'text/event-stream',
      ...(await this.#upstream.headers()),
      ...session,
      ...(lastEvent !== undefined && { 'last-event-id': lastEvent }),
    }
    const { server, url } = this.#upstream
    const response = await promptly(request(this.#upstream, url, { method: 'GET', headers, signal }), signal)
    const { status, body } = response
    if (status === 200 && body !== null && contentType(response) === 'text/event-stream') return body
    await body?.cancel()
    // A server that has not noticed yet that the last connection broke answers 409.
    if (status < 500 && status !== 409 && status !== 429) return undefined
    throw new Fault('backend_unavailable', `Server ${server} answers HTTP ${status}.`, {
      data: { server, retryAfterSeconds: 5 },
    })
  }

  /**
   * The data of the events, large ones in pieces, from this connection and those that follow it; ends when the server does not go on. Throws what
   * broke the last connection, `Fault` `too_large` for an event beyond the limit, or the signal's reason.
   */
  async *read(first: ReadableStream<Uint8Array>): AsyncGenerator<string | readonly string[], void, void> {
    const { signal, limit } = this.#options
    let body: ReadableStream<Uint8Array> | undefined = first
    for (let silent = 0; body !== undefined;) {
      let failure: unknown
      try {
        for await (const event of readSse(body, limit, { after: this.#lastEvent, signal })) {
          this.#lastEvent = event.id
          if (event.retry !== undefined) this.#retryMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, event.retry))
          const data = event.pieces ?? event.data
          if (data === '' || data === PRIMING_AGAIN) continue
          silent = 0
          yield data
        }
      } catch (error) {
        if (error instanceof Fault || signal.aborted) throw error
        failure = error
      }
      silent += 1
      body = silent > MAX_SILENT ? undefined : await this.#again()
      if (body === undefined && failure !== undefined) throw failure
    }
  }

  /** The next connection, if there is one to be had. */
  async #again(): Promise<ReadableStream<Uint8Array> | undefined> {
    const { signal, goesOn } = this.#options
    if (goesOn === 'never' || (goesOn === 'after-event' && this.lastEvent === undefined)) return undefined
    for (let failures = 0; failures < MAX_FAILURES; failures += 1) {
      const retryMs = goesOn === 'always' ? Math.max(MIN_PAUSE_MS, this.#retryMs) : this.#retryMs
      await pause(Math.min(MAX_RETRY_MS, retryMs * 2 ** failures), signal)
      try {
        return await this.open()
      } catch (error) {
        if (signal.aborted || !(error instanceof Fault) || error.reason !== 'backend_unavailable') throw error
      }
    }
    return undefined
  }
}

/** Waits; throws the signal's reason when it aborts first. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}
