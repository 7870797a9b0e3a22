// Servers of revision 2026-07-28: every request stands alone, so there is no session to keep, to resume or to end. Requests
// of our own carry the envelope and the headers that every client must send.

import { isObject, type JsonObject, type Message } from '../../protocol/envelope.ts'
import { encodeHeader } from '../../protocol/header.ts'
import { IMPLEMENTATION, META, MODERN_REVISION, nameMember } from '../../protocol/revision.ts'
import { speaksLegacy, supported } from './era.ts'
import { exchange } from './exchange.ts'
import { lasting } from './http.ts'
import type { Backend, Call, Owner, Rejected, Reply, Unasked, Upstream } from './upstream.ts'

/** How long a server may take to say which subscriptions it honours. */
const ACKNOWLEDGE_MS = 10_000
/** Largest message outside of calls, in characters. */
const MAX_UNASKED = 1024 * 1024
let counter = 0

/** A modern server over streamable HTTP. */
export class ModernBackend implements Backend {
  readonly #upstream: Upstream

  constructor(upstream: Upstream) {
    this.#upstream = upstream
  }

  async call(call: Call): Promise<Reply> {
    const first = await exchange(this.#upstream, call)
    if (first.kind !== 'rejected') return first
    const reply = await insisted(this.#upstream, call, first)
    return reply.kind === 'rejected' && speaksLegacy(reply) ? { ...reply, speaks: 'legacy' } : reply
  }

  async tell(): Promise<void> {}

  async resume(): Promise<undefined> {
    return undefined
  }

  /** `subscriptions/listen` for these resources; undefined when the server honours none of them. Throws as `exchange` does. */
  async listen(uris: readonly string[], _owner: Owner, signal: AbortSignal): Promise<Unasked | undefined> {
    if (uris.length === 0) return undefined
    const stop = new AbortController()
    const late = setTimeout(() => stop.abort(), ACKNOWLEDGE_MS)
    const call = modernCall(
      'subscriptions/listen',
      { notifications: { resourceSubscriptions: [...uris] } },
      AbortSignal.any([signal, stop.signal]),
    )
    let messages: Unasked | undefined
    try {
      const reply = await modernExchange(lasting(this.#upstream), { ...call, limit: MAX_UNASKED })
      if (reply.kind !== 'stream') return undefined
      const first = await reply.messages.next()
      if (first.done === true || !honoursResources(first.value)) return undefined
      messages = notifications(reply.messages, stop)
      return messages
    } finally {
      clearTimeout(late)
      if (messages === undefined) stop.abort()
    }
  }

  async end(): Promise<void> {}
}

/** As `exchange`; a server that refuses our revision but says that it supports it is asked once more: nothing was executed. */
export async function modernExchange(upstream: Upstream, call: Call): Promise<Reply> {
  const reply = await exchange(upstream, call)
  return reply.kind === 'rejected' ? insisted(upstream, call, reply) : reply
}

async function insisted(upstream: Upstream, call: Call, refused: Rejected): Promise<Reply> {
  return supported(refused)?.includes(MODERN_REVISION) === true ? exchange(upstream, call) : refused
}

async function* notifications(messages: Unasked, stop: AbortController): Unasked {
  try {
    for await (const message of messages) if (message.kind === 'notification') yield message
  } finally {
    stop.abort()
  }
}

/** Whether this first message of the stream says that it tells of any resource (MCP 2026-07-28, subscriptions). */
function honoursResources({ method, params }: Message): boolean {
  const { notifications: honoured } = params
  if (method !== 'notifications/subscriptions/acknowledged' || !isObject(honoured)) return false
  const { resourceSubscriptions } = honoured
  return Array.isArray(resourceSubscriptions) && resourceSubscriptions.length > 0
}

/** A request of our own in the modern envelope, with the headers that repeat it (MCP 2026-07-28, basic/transports). */
export function modernCall(method: string, params: JsonObject, signal: AbortSignal): Call {
  const _meta = { [META.version]: MODERN_REVISION, [META.capabilities]: {}, [META.client]: IMPLEMENTATION }
  const member = nameMember(method)
  const name = member === undefined ? undefined : params[member]
  counter += 1
  const id = `edge-${counter}`
  return {
    text: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } }),
    id: JSON.stringify(id),
    headers: {
      'mcp-protocol-version': MODERN_REVISION,
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': encodeHeader(name) }),
    },
    signal,
  }
}
