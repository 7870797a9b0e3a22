// One POST of streamable HTTP to a server, and what its answer means. Classifies by status, content type and JSON-RPC code,
// never by message text. Redirects are followed on the same origin only: elsewhere they would carry credentials away.

import { parseMessage, type Message } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { readSse } from '../../protocol/sse.ts'
import { readBounded } from '../bounded.ts'
import { guardEgress } from './egress.ts'
import { MAX_REPLY, type Call, type Reply, type Upstream } from './upstream.ts'

const MAX_REDIRECTS = 3

/**
 * Sends one message. Throws `Fault`: `backend_unavailable` (no connection, 5xx), `backend_timeout` (the signal's reason is
 * such a fault), `backend_refused` (401, 403, egress), `backend_overloaded` (429), `backend_protocol` (anything that is not MCP).
 */
export async function exchange(upstream: Upstream, call: Call): Promise<Reply> {
  const response = await request(upstream, upstream.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(await upstream.headers()),
      ...call.headers,
    },
    body: call.text,
    signal: call.signal,
  })
  const type = contentType(response)
  const session = response.headers.get('mcp-session-id') ?? undefined
  if (response.status === 200 && type === 'text/event-stream' && response.body !== null) {
    if (call.id === undefined) {
      await response.body.cancel()
      return { kind: 'accepted' }
    }
    return {
      kind: 'stream',
      messages: messages(upstream, response.body, call.id, call),
      answer: async (text) => void (await exchange(upstream, { ...call, text, id: undefined })),
      session,
    }
  }
  if (call.id === undefined && response.ok) {
    await response.body?.cancel()
    return { kind: 'accepted' }
  }
  if (response.status === 200 && type === 'application/json') {
    const message = reply(upstream, await read(upstream, response, call), call)
    if (!answers(message, call.id)) throw protocol(upstream, 'answered another request than the one it got')
    return { kind: 'message', message, session }
  }
  return refused(upstream, response, type, call)
}

/** Fetches with egress guard and same-origin redirects. Connection failures become `Fault` `backend_unavailable`. */
export async function request(upstream: Upstream, address: string, init: RequestInit): Promise<Response> {
  let at = address
  check(upstream, address)
  for (let hop = 0; ; hop += 1) {
    const response = await fetchOnce(upstream, at, init)
    if (response.status < 300 || response.status > 399) return response
    const location = response.headers.get('location')
    await response.body?.cancel()
    const from = new URL(at)
    const next = location === null || !URL.canParse(location, at) ? undefined : new URL(location, at)
    const keepsMethod = response.status === 307 || response.status === 308
    if (next === undefined || next.origin !== from.origin || !keepsMethod || hop >= MAX_REDIRECTS) {
      const detail = `redirect ${response.status} from ${from.origin} to ${next?.origin ?? 'nowhere'}`
      throw new Fault('backend_refused', `Server ${upstream.server} redirects elsewhere, which is not followed.`, {
        data: { server: upstream.server },
        detail,
      })
    }
    guardEgress(next, upstream.server, upstream)
    at = next.href
  }
}

const allowed = new WeakSet<Upstream>()

/** Lets the guard look at an address; its verdict on a server's own never changes, so it is asked once. */
function check(upstream: Upstream, address: string): void {
  const isOwn = address === upstream.url
  if (isOwn && allowed.has(upstream)) return
  guardEgress(new URL(address), upstream.server, upstream)
  if (isOwn) allowed.add(upstream)
}

async function fetchOnce(upstream: Upstream, address: string, init: RequestInit): Promise<Response> {
  try {
    return await upstream.fetch(address, { ...init, redirect: 'manual' })
  } catch (error) {
    throw lost(upstream, error, init.signal ?? undefined)
  }
}

/** Anything but a reply: what the status says about the server. */
async function refused(upstream: Upstream, response: Response, type: string, call: Call): Promise<Reply> {
  const { server } = upstream
  const { status } = response
  if (status === 401 || status === 403) {
    await response.body?.cancel()
    const challenge = response.headers.get('www-authenticate') === null ? '' : ', with a challenge'
    throw new Fault('backend_refused', `Server ${server} refuses the edge's credential.`, {
      data: { server },
      detail: `HTTP ${status}${challenge}`,
    })
  }
  if (status === 429) {
    await response.body?.cancel()
    const after = Number(response.headers.get('retry-after'))
    const retryAfterSeconds = Number.isFinite(after) && after > 0 ? Math.min(after, 3600) : 1
    throw new Fault('backend_overloaded', `Server ${server} asks to slow down.`, {
      data: { server, retryAfterSeconds },
    })
  }
  const text = type === 'application/json' ? await read(upstream, response, call) : ''
  if (type !== 'application/json') await response.body?.cancel()
  const message = errorReply(text)
  const answer = message !== undefined && answers(message, call.id) ? message : undefined
  if (status >= 500 && answer !== undefined) return { kind: 'message', message: answer }
  if (status >= 500) {
    throw new Fault('backend_unavailable', `Server ${server} answers HTTP ${status}.`, {
      data: { server, retryAfterSeconds: 5 },
    })
  }
  if (status >= 400) return { kind: 'rejected', status, message: answer }
  throw protocol(upstream, `answered HTTP ${status} with content type "${type.slice(0, 64)}"`)
}

/** The messages of a response stream up to and including the response. */
async function* messages(
  upstream: Upstream,
  body: ReadableStream<Uint8Array>,
  id: string,
  { signal, limit = MAX_REPLY, values }: Call,
): AsyncGenerator<Message, void, void> {
  try {
    for await (const event of readSse(abortable(body, signal), limit)) {
      if (event.data === '') continue
      const message = reply(upstream, event.data, { values })
      if (message.kind === 'response' && !answers(message, id)) continue
      yield message
      if (message.kind === 'response') return
    }
  } catch (error) {
    if (error instanceof Fault && error.reason !== 'too_large') throw error
    if (error instanceof Fault) throw protocol(upstream, 'sent a message that is too large')
    throw lost(upstream, error, signal)
  }
  throw new Fault('backend_unavailable', `Server ${upstream.server} ended the stream without an answer.`, {
    data: { server: upstream.server },
  })
}

/** A stream that fails at once when the signal aborts, whatever its source does. */
export function abortable(body: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let stop: (() => void) | undefined
  return new ReadableStream<Uint8Array>({
    start(controller) {
      stop = () => {
        controller.error(signal.reason)
        reader.cancel().catch(() => undefined)
      }
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
    },
    async pull(controller) {
      const chunk = await reader.read()
      if (!chunk.done) controller.enqueue(chunk.value)
      else {
        if (stop !== undefined) signal.removeEventListener('abort', stop)
        controller.close()
      }
    },
    async cancel(reason) {
      if (stop !== undefined) signal.removeEventListener('abort', stop)
      await reader.cancel(reason)
    },
  })
}

/** The body as text, refused beyond the limit before it is held. The caller's deadline ends the wait. */
async function read(upstream: Upstream, response: Response, { signal, limit = MAX_REPLY }: Call): Promise<string> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN)
  try {
    if (length <= limit && response.headers.get('content-encoding') === null) return await response.text()
    if (length > limit || response.body === null) {
      await response.body?.cancel()
      throw protocol(upstream, 'sent a message that is too large')
    }
    const text = await readBounded(response.body, limit)
    if (text === undefined) throw protocol(upstream, 'sent a message that is too large')
    return text
  } catch (error) {
    throw error instanceof Fault ? error : lost(upstream, error, signal)
  }
}

function reply(upstream: Upstream, text: string, { values }: Pick<Call, 'values'>): Message {
  try {
    return parseMessage(text, values)
  } catch {
    throw protocol(upstream, 'sent something that is not JSON-RPC')
  }
}

function answers(message: Message, id: string | undefined): boolean {
  if (message.kind !== 'response' || id === undefined || message.id === undefined) return false
  return message.id === id || JSON.parse(message.id) === JSON.parse(id)
}

/** The fault behind an aborted or broken exchange: the signal's own reason where it has one. */
export function lost(upstream: Upstream, error: unknown, signal: AbortSignal | undefined): Fault {
  if (signal?.aborted === true && signal.reason instanceof Fault) return signal.reason
  return new Fault('backend_unavailable', `Server ${upstream.server} cannot be reached.`, {
    data: { server: upstream.server, retryAfterSeconds: 5 },
    detail: error instanceof Error ? error.message.slice(0, 200) : 'connection failed',
    cause: error,
  })
}

export function protocol(upstream: Upstream, what: string): Fault {
  return new Fault('backend_protocol', `Server ${upstream.server} ${what}.`, { data: { server: upstream.server } })
}

function contentType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** The error response that an HTTP error carries, if it carries one. */
function errorReply(text: string): Message | undefined {
  try {
    const message = parseMessage(text)
    return message.error === undefined ? undefined : message
  } catch {
    return undefined
  }
}
