// A legacy client on the wire: calls whose response streams are read message by message, and answers that are sent as they are.

import { readSse } from '../../protocol/sse.ts'
import { exchange, legacyRevision } from '../peers/wire.ts'

export interface Heard {
  readonly id?: string | number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

/** One call while it lasts. */
export interface Calling {
  readonly type: string | null
  /** The next message of the stream, as text and parsed; undefined once it has ended. Keep-alives are skipped. */
  next(): Promise<{ readonly text: string; readonly message: Heard; readonly event: string | undefined } | undefined>
  /** All that is still to come. */
  rest(): Promise<Heard[]>
  /** Closes the connection. */
  leave(): void
}

export interface Caller {
  readonly session: string
  call(name: string, more?: { id?: string | number; meta?: object; accept?: string }): Promise<Calling>
  /** GET after an event. */
  resume(event: string): Promise<Calling>
  /** Posts any message as it is. */
  post(text: string): Promise<number>
  result(id: unknown, result?: unknown): Promise<number>
}

const everything = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: { listChanged: true } }

/** Opens a session for a client that declares these capabilities (default: all). */
export async function openCaller(
  url: string,
  token: string,
  capabilities: object = everything,
  revision: string = legacyRevision,
): Promise<Caller> {
  const params = { protocolVersion: revision, capabilities, clientInfo: { name: 'wire', version: '1' } }
  const headers = { 'mcp-protocol-version': revision }
  const opened = await exchange(url, { method: 'initialize', era: 'legacy', token, params })
  const session = opened.headers.get('mcp-session-id')
  if (session === null) throw new Error(`initialize: ${opened.status} ${opened.body}`)
  const own = { authorization: `Bearer ${token}`, 'mcp-session-id': session, ...headers }
  const both = 'application/json, text/event-stream'
  const json = { ...own, 'content-type': 'application/json', accept: both }
  const post = async (text: string): Promise<number> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: json,
      body: text,
      signal: AbortSignal.timeout(60_000),
    })
    await response.body?.cancel()
    return response.status
  }
  return {
    session,
    post,
    result: (id, result = { action: 'accept', content: {} }) => post(JSON.stringify({ jsonrpc: '2.0', id, result })),
    call: async (name, { id = 'call', meta, accept = both } = {}) => {
      const call = { name, arguments: {}, ...(meta !== undefined && { _meta: meta }) }
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: call })
      return calling(url, { method: 'POST', headers: { ...json, accept }, body })
    },
    resume: (event) =>
      calling(url, { method: 'GET', headers: { ...own, accept: 'text/event-stream', 'last-event-id': event } }),
  }
}

async function calling(url: string, init: RequestInit): Promise<Calling> {
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(120_000)])
  const response = await fetch(url, { ...init, signal })
  const type = response.headers.get('content-type')
  const messages = type === 'text/event-stream' ? streamed(response) : single(response)
  const next = async (): ReturnType<Calling['next']> => {
    const one = await messages.next()
    return one.done === true ? undefined : one.value
  }
  return {
    type,
    next,
    rest: async () => {
      const all: Heard[] = []
      for (let one = await next(); one !== undefined; one = await next()) all.push(one.message)
      return all
    },
    leave: () => stop.abort(),
  }
}

type One = { readonly text: string; readonly message: Heard; readonly event: string | undefined }

/** Holds the response, not its body alone: Node cancels a body that nobody reads yet once its response is collected. */
async function* streamed(response: Response): AsyncGenerator<One, void, void> {
  if (response.body === null) throw new Error(`HTTP ${response.status}`)
  for await (const { data, id } of readSse(response.body, 1 << 26))
    yield { text: data, message: data === '' ? {} : (JSON.parse(data) as Heard), event: id }
}

async function* single(response: Response): AsyncGenerator<One, void, void> {
  const text = await response.text()
  yield { text, message: JSON.parse(text) as Heard, event: undefined }
}
