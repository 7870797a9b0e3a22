// First contact with a server: which era does it speak, and a peer to ask things of. Used by the background refresh; calls
// use the verdict that it leaves in the catalog.

import { isObject, type JsonObject, type Message } from '../../protocol/envelope.ts'
import { MODERN_REVISION, type Era } from '../../protocol/revision.ts'
import { isModern, speaksLegacy } from './era.ts'
import { exchange } from './exchange.ts'
import { boundedCapabilities, decline, handshake, sessionHeaders, settle } from './handshake.ts'
import { protocol } from './http.ts'
import { modernCall, modernExchange } from './modern.ts'
import { terminate, unasked } from './session.ts'
import { SseConnection } from './sse.ts'
import type { Call, Reply, Upstream } from './upstream.ts'

/** A server that agreed to talk. */
export interface Peer {
  readonly era: Era
  readonly revision: string
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
  request(method: string, params: JsonObject, signal: AbortSignal): Promise<Message>
  /** What the server says unasked, until the stream ends or the signal aborts; undefined when it offers no stream. */
  listen(signal: AbortSignal): Promise<AsyncGenerator<Message, void, void> | undefined>
  /** Declines what the server asked on that stream. */
  decline(request: Message, signal: AbortSignal): Promise<void>
  close(signal: AbortSignal): Promise<void>
}

/**
 * Some servers offer a tool that asks only to clients that can be asked. Clients that can are told of it; what the server asks
 * meanwhile is declined.
 */
const DECLARED: JsonObject = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }

/** Detects the era, modern first (MCP 2026-07-28, basic/versioning). Throws `Fault` as `exchange` does. */
export async function connect(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  if (upstream.transport === 'sse') return overSse(upstream, signal)
  return (await modern(upstream, signal)) ?? legacy(upstream, signal)
}

async function modern(upstream: Upstream, signal: AbortSignal): Promise<Peer | undefined> {
  const send = async (method: string, params: JsonObject, until: AbortSignal) =>
    modernExchange(upstream, { ...modernCall(method, params, until), ...LIST })
  const reply = await send('server/discover', {}, signal)
  if (reply.kind === 'rejected' && isModern(reply) && !speaksLegacy(reply)) {
    throw protocol(upstream, 'does not agree on a protocol version')
  }
  if (reply.kind !== 'message' && reply.kind !== 'stream') return undefined
  const { result } = await settle(reply, upstream)
  const versions = isObject(result) ? result['supportedVersions'] : undefined
  if (!isObject(result) || !Array.isArray(versions) || !versions.includes(MODERN_REVISION)) return undefined
  const { capabilities, instructions } = result
  return {
    era: 'modern',
    revision: MODERN_REVISION,
    capabilities: boundedCapabilities(capabilities),
    instructions: typeof instructions === 'string' ? instructions.slice(0, 16_384) : undefined,
    request: async (method, params, until) => settle(await send(method, params, until), upstream),
    listen: async (until) => {
      const notifications = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
      const stream = await send('subscriptions/listen', { notifications }, until)
      return stream.kind === 'stream' ? stream.messages : undefined
    },
    decline: async () => undefined,
    close: async () => undefined,
  }
}

async function legacy(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  const agreement = await handshake((call) => exchange(upstream, call), upstream, DECLARED, signal)
  const headers = sessionHeaders(agreement)
  return {
    era: 'legacy',
    ...agreement,
    request: (method, params, until) =>
      ask((call) => exchange(upstream, call, headers), upstream, method, params, until),
    listen: (until) => unasked(upstream, headers, until),
    decline: async (request, until) => {
      await exchange(upstream, { text: decline(request), id: undefined, headers: {}, signal: until }, headers)
    },
    close: (until) => terminate(upstream, agreement, until),
  }
}

async function overSse(upstream: Upstream, signal: AbortSignal): Promise<Peer> {
  const connection = await SseConnection.open(upstream, DECLARED, signal)
  const { agreement } = connection
  if (agreement === undefined) throw protocol(upstream, 'did not shake hands')
  return {
    era: 'legacy',
    ...agreement,
    request: (method, params, until) => ask((call) => connection.call(call), upstream, method, params, until),
    listen: async (until) => connection.unasked(until),
    decline: async (request, until) => {
      await connection.call({ text: decline(request), id: undefined, headers: {}, signal: until })
    },
    close: async () => connection.close(),
  }
}

/** Largest page of a list, in bytes, and most values in it. */
const MAX_LIST = 4 * 1024 * 1024
const MAX_LIST_VALUES = 1_000_000
const LIST = { limit: MAX_LIST, values: MAX_LIST_VALUES }
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
  return settle(await send({ text, id: JSON.stringify(id), headers: {}, signal, ...LIST }), upstream)
}
