// The legacy handshake (MCP 2025-11-25, basic/lifecycle) and the answer that ends an exchange, whatever carries them.

import { errorText, isObject, resultText, type Json, type JsonObject, type Message } from '../../protocol/envelope.ts'
import { IMPLEMENTATION, LATEST_LEGACY, isLegacyRevision } from '../../protocol/revision.ts'
import { protocol } from './http.ts'
import type { Call, Reply, Upstream } from './upstream.ts'

/** What a legacy server agreed to. */
export interface Agreement {
  readonly revision: string
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
  /** The server's session id: a credential, never shown to a client. */
  readonly session: string | undefined
}

export type Send = (call: Call) => Promise<Reply>

/**
 * `initialize` and `notifications/initialized`. `declared` is what the server may ask: no more than we can pass on.
 * Throws `Fault` `backend_protocol` when the server answers an error or a revision that we do not speak.
 */
export async function handshake(
  send: Send,
  upstream: Upstream,
  declared: JsonObject,
  signal: AbortSignal,
): Promise<Agreement> {
  const params = { protocolVersion: LATEST_LEGACY, capabilities: declared, clientInfo: IMPLEMENTATION }
  const text = JSON.stringify({ jsonrpc: '2.0', id: 'initialize', method: 'initialize', params })
  const reply = await send({ text, id: '"initialize"', headers: {}, signal })
  const { result } = await settle(reply, upstream)
  const revision = isObject(result) ? result['protocolVersion'] : undefined
  if (!isObject(result) || typeof revision !== 'string' || !isLegacyRevision(revision)) {
    throw protocol(upstream, 'does not agree on a protocol version')
  }
  const { capabilities, instructions } = result
  const agreement: Agreement = {
    revision,
    capabilities: boundedCapabilities(capabilities),
    instructions: typeof instructions === 'string' ? instructions.slice(0, 16_384) : undefined,
    session: reply.kind === 'message' || reply.kind === 'stream' ? reply.session : undefined,
  }
  const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await send({ text: initialized, id: undefined, headers: sessionHeaders(agreement), signal })
  return agreement
}

/** The headers of every later message of the session. */
export function sessionHeaders(agreement: Pick<Agreement, 'session' | 'revision'>): Record<string, string> {
  return {
    ...(agreement.session !== undefined && { 'mcp-session-id': agreement.session }),
    ...(agreement.revision >= '2025-06-18' && { 'mcp-protocol-version': agreement.revision }),
  }
}

/** The response that ends an exchange. What the server asks meanwhile is declined, notifications are dropped. */
export async function settle(reply: Reply, upstream: Upstream): Promise<Message> {
  if (reply.kind === 'message') return reply.message
  if (reply.kind === 'rejected' && reply.message !== undefined) return reply.message
  if (reply.kind === 'stream') {
    for await (const message of reply.messages) {
      if (message.kind === 'response') return message
      if (message.kind === 'request') await reply.answer(decline(message))
    }
  }
  throw protocol(upstream, reply.kind === 'rejected' ? `answered HTTP ${reply.status}` : 'did not answer')
}

/** What a server gets that asks for something nobody declared. */
export function decline(message: Message): string {
  const id = message.id ?? 'null'
  return message.method === 'ping' ? resultText(id, '{}') : errorText(id, -32601, 'The client does not support this.')
}

/** `logging/setLevel` as we send it on a client's behalf. */
export function setLevelText(level: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 'level', method: 'logging/setLevel', params: { level } })
}

const MAX_CAPABILITIES = 32_768

/** What a server says it can do. Every client is told, so what is longer than any honest list keeps its outline only. */
export function boundedCapabilities(value: Json | undefined): JsonObject {
  if (!isObject(value)) return {}
  if (JSON.stringify(value).length <= MAX_CAPABILITIES) return value
  const known = ['tools', 'prompts', 'resources', 'completions', 'logging'].filter((key) => isObject(value[key]))
  return Object.fromEntries(known.map((key) => [key, {}]))
}
