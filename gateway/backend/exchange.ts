// One POST of streamable HTTP to a server, and what its answer means. Classifies by status, content type and JSON-RPC code,
// never by message text. Where a session allows it, a response stream that breaks is continued on another connection.

import { readMessage } from '../../protocol/aside.ts'
import type { Message } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { contentType, lost, protocol, request, through } from './http.ts'
import { LARGE, readText } from './intake.ts'
import { EventStream } from './stream.ts'
import { MAX_REPLY, type Call, type Reply, type Upstream } from './upstream.ts'

/**
 * Sends one message; `session` are the headers of the legacy session that it belongs to, if it does. Throws `Fault`:
 * `backend_unavailable` (no connection, 5xx), `backend_timeout` (the signal's reason is such a fault), `backend_refused` (401,
 * 403, egress), `backend_overloaded` (429), `backend_protocol` (anything that is not MCP).
 */
export async function exchange(
  upstream: Upstream,
  call: Call,
  session?: Readonly<Record<string, string>>,
): Promise<Reply> {
  const response = await request(through(upstream, call), upstream.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(await upstream.headers()),
      ...call.headers,
      ...session,
    },
    body: call.text,
    signal: call.signal,
  })
  const type = contentType(response)
  const assigned = response.headers.get('mcp-session-id') ?? undefined
  if (response.status === 200 && type === 'text/event-stream' && response.body !== null) {
    if (call.id === undefined) {
      await response.body.cancel()
      return { kind: 'accepted' }
    }
    const { signal, limit = MAX_REPLY } = call
    // Modern streams are not resumed: closing one cancels the call (MCP 2026-07-28, cancellation).
    const goesOn = session === undefined ? 'never' : 'after-event'
    const events = new EventStream(upstream, { session: session ?? {}, signal, limit, goesOn })
    return { ...streamed(upstream, call, session, events, response.body), session: assigned }
  }
  if (call.id === undefined && response.ok) {
    await response.body?.cancel()
    return { kind: 'accepted' }
  }
  if (response.status === 200 && type === 'application/json') {
    const message = parsed(upstream, await read(upstream, response, call), call.values)
    if (!answers(message, call.id)) throw protocol(upstream, 'answered another request than the one it got')
    return { kind: 'message', message, session: assigned }
  }
  return refused(upstream, response, type, call)
}

/**
 * The rest of a legacy call's response stream after an event; undefined when the server does not go on with it.
 * Throws as `exchange` does.
 */
export async function resumed(
  upstream: Upstream,
  call: Call,
  session: Readonly<Record<string, string>>,
  after: string,
): Promise<Reply | undefined> {
  const { signal, limit = MAX_REPLY } = call
  const events = new EventStream(upstream, { session, signal, limit, goesOn: 'after-event', after })
  const body = await events.open()
  return body === undefined ? undefined : streamed(upstream, call, session, events, body)
}

/** A response stream and what can be done with it. */
function streamed(
  upstream: Upstream,
  call: Call,
  session: Readonly<Record<string, string>> | undefined,
  events: EventStream,
  body: ReadableStream<Uint8Array>,
): Extract<Reply, { kind: 'stream' }> {
  return {
    kind: 'stream',
    messages: messages(upstream, events.read(body), call),
    answer: async (text) => void (await exchange(upstream, { ...call, text, id: undefined }, session)),
    ...(session !== undefined && { lastEvent: () => events.lastEvent }),
  }
}

/** Anything but a reply: what the status says about the server. */
async function refused(upstream: Upstream, response: Response, type: string, call: Call): Promise<Reply> {
  const { server } = upstream
  const { status } = response
  if (status === 401 || status === 403) {
    await response.body?.cancel()
    const challenge = response.headers.get('www-authenticate') === null ? '' : ', with a challenge'
    throw new Fault('backend_refused', `Server ${server} refuses the credential that it is called with.`, {
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
  if (status >= 400) return { kind: 'rejected', status, message: answer, error: message?.error }
  throw protocol(upstream, `answered HTTP ${status} with content type "${type.slice(0, 64)}"`)
}

/** The messages of a response stream up to and including the response. */
async function* messages(
  upstream: Upstream,
  texts: AsyncGenerator<string | readonly string[], void, void>,
  { id, signal, values }: Call,
): AsyncGenerator<Message, void, void> {
  try {
    for await (const text of texts) {
      const message = parsed(upstream, text, values)
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

/** The body as text, refused beyond the limit before it is held. The caller's deadline ends the wait. */
async function read(
  upstream: Upstream,
  response: Response,
  { signal, limit = MAX_REPLY }: Call,
): Promise<string | readonly string[]> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN)
  try {
    if (length <= Math.min(limit, LARGE) && response.headers.get('content-encoding') === null)
      return await response.text()
    if (length > limit || response.body === null) {
      await response.body?.cancel()
      throw protocol(upstream, 'sent a message that is too large')
    }
    const text = await readText(response.body, limit)
    if (text === undefined) throw protocol(upstream, 'sent a message that is too large')
    return text
  } catch (error) {
    throw error instanceof Fault ? error : lost(upstream, error, signal)
  }
}

/** A server's message. Throws `Fault` `backend_protocol`. */
export function parsed(upstream: Upstream, text: string | readonly string[], values?: number): Message {
  try {
    return readMessage(text, values)
  } catch {
    throw protocol(upstream, 'sent something that is not JSON-RPC')
  }
}

function answers(message: Message, id: string | undefined): boolean {
  if (message.kind !== 'response' || id === undefined || message.id === undefined) return false
  return message.id === id || JSON.parse(message.id) === JSON.parse(id)
}

/** The error response that an HTTP error carries, if it carries one. */
function errorReply(text: string | readonly string[]): Message | undefined {
  try {
    const message = readMessage(text)
    return message.error === undefined ? undefined : message
  } catch {
    return undefined
  }
}
