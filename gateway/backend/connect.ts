// First contact with a server: which era does it speak, and a peer to ask things of. Used by the background refresh; calls
// use the verdict that it leaves in the catalog.

import { isObject, type JsonObject, type Message } from '../../protocol/envelope.ts'
import { IMPLEMENTATION, META, MODERN_REVISION, nameMember, type Era } from '../../protocol/revision.ts'
import { encodeHeader } from '../../protocol/header.ts'
import { handshake, sessionHeaders, settle } from './handshake.ts'
import { exchange, protocol } from './http.ts'
import { terminate } from './session.ts'
import { SseConnection } from './sse.ts'
import type { Call, Reply, Upstream } from './upstream.ts'

/** A server that agreed to talk. */
export interface Peer {
  readonly era: Era
  readonly revision: string
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
  request(method: string, params: JsonObject, signal: AbortSignal): Promise<Message>
  close(signal: AbortSignal): Promise<void>
}

/** Detects the era, modern first (MCP 2026-07-28, basic/versioning). Throws `Fault` as `exchange` does. */
export async function connect(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  if (upstream.transport === 'sse') return overSse(upstream, signal)
  return (await modern(upstream, signal)) ?? legacy(upstream, signal)
}

async function modern(upstream: Upstream, signal: AbortSignal): Promise<Peer | undefined> {
  const request = async (method: string, params: JsonObject, until: AbortSignal) =>
    exchange(upstream, modernCall('discover', method, params, until))
  const reply = await request('server/discover', {}, signal)
  if (reply.kind !== 'message' && reply.kind !== 'stream') return undefined
  const { result } = await settle(reply, upstream)
  const versions = isObject(result) ? result['supportedVersions'] : undefined
  if (!isObject(result) || !Array.isArray(versions) || !versions.includes(MODERN_REVISION)) return undefined
  const { capabilities, instructions } = result
  return {
    era: 'modern',
    revision: MODERN_REVISION,
    capabilities: isObject(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? instructions.slice(0, 16_384) : undefined,
    request: async (method, params, until) => settle(await request(method, params, until), upstream),
    close: async () => undefined,
  }
}

async function legacy(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  const agreement = await handshake((call) => exchange(upstream, call), upstream, signal)
  const headers = sessionHeaders(agreement)
  return {
    era: 'legacy',
    ...agreement,
    request: (method, params, until) => ask((call) => exchange(upstream, { ...call, headers }), upstream, method, params, until),
    close: (until) => terminate(upstream, agreement, until),
  }
}

async function overSse(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  const connection = await SseConnection.open(upstream, signal)
  const { agreement } = connection
  if (agreement === undefined) throw protocol(upstream, 'did not shake hands')
  return {
    era: 'legacy',
    ...agreement,
    request: (method, params, until) => ask((call) => connection.call(call), upstream, method, params, until),
    close: async () => connection.close(),
  }
}

let counter = 0

async function ask(
  send: (call: Call) => Promise<Reply>,
  upstream: Upstream,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<Message> {
  counter += 1
  const id = `catalog-${counter}`
  const text = JSON.stringify({ jsonrpc: '2.0', id, method, params })
  return settle(await send({ text, id: JSON.stringify(id), headers: {}, signal }), upstream)
}

/** A request of our own in the modern envelope. */
function modernCall(id: string, method: string, params: JsonObject, signal: AbortSignal): Call {
  const _meta = { [META.version]: MODERN_REVISION, [META.capabilities]: {}, [META.client]: IMPLEMENTATION }
  const member = nameMember(method)
  const name = member === undefined ? undefined : params[member]
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
