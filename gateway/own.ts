// What the gateway answers by itself: the handshakes of both eras, the streams to listen on, log levels, the end of a session.

import { isObject, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { IMPLEMENTATION, MODERN_REVISION } from '../protocol/revision.ts'
import { credentialsOf, type Credentials } from './auth/credentials.ts'
import { setLevelText } from './backend/handshake.ts'
import { modernMembers } from './catalog/project.ts'
import { MAX_URI_CHARACTERS, MAX_URIS } from './channel/subscriptions.ts'
import { capabilities, instructions, legacyTargets, visibleServers, type Endpoint, type Host } from './endpoint.ts'
import type { Forwarding } from './forwarding.ts'
import type { Opened } from './open.ts'
import type { Principal } from './principal.ts'
import type { RequestRecord } from './record.ts'
import { answer, STREAM_HEADERS, type Asker } from './reply.ts'
import { askable, ownerOf, type ClientSession } from './session.ts'

const END_MS = 5_000
/** Characters of an id that is held as long as its stream lasts. */
const MAX_ID = 1024

function initializeResult(opened: Opened, endpoint: Endpoint, principal: Principal): string {
  const servers = visibleServers(endpoint, principal)
  const text = instructions(servers)
  return JSON.stringify({
    protocolVersion: opened.revision,
    capabilities: capabilities(servers),
    serverInfo: IMPLEMENTATION,
    ...(text !== undefined && { instructions: text }),
  })
}

export async function initialize(
  message: Message,
  opened: Opened,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
): Promise<Response> {
  const client = opened.client ?? { name: '', version: '' }
  const session = {
    id: crypto.randomUUID(),
    revision: opened.revision,
    client,
    capabilities: askable(message.params['capabilities']),
  }
  const sealed = await host.sessions.create(session, principal, endpoint.key)
  return answer(message.id, initializeResult(opened, endpoint, principal), { 'mcp-session-id': sealed })
}

/** `server/discover` (MCP 2026-07-28, server/discover). */
export function discovery(endpoint: Endpoint, principal: Principal): string {
  const servers = visibleServers(endpoint, principal)
  const text = instructions(servers)
  const members = [
    `"supportedVersions":["${MODERN_REVISION}"]`,
    `"capabilities":${JSON.stringify(capabilities(servers))}`,
    ...(text === undefined ? [] : [`"instructions":${JSON.stringify(text)}`]),
    modernMembers(endpoint.projection.ttlMs),
  ]
  return `{${members.join(',')}}`
}

/** `subscriptions/listen` (MCP 2026-07-28, subscriptions): a stream that the channel holds. */
export async function listen(
  { params }: Message,
  asker: Asker,
  endpoint: Endpoint,
  credentials: Credentials,
  host: Host,
): Promise<Response> {
  const { notifications } = params
  if (!asker.acceptsStream) throw new Fault('not_acceptable', 'Accept must allow text/event-stream.')
  if (!isObject(notifications)) throw new Fault('invalid_params', '"notifications" is required and must be an object.')
  const uris = notifications['resourceSubscriptions'] ?? []
  if (!Array.isArray(uris) || uris.length > MAX_URIS || !uris.every((uri) => typeof uri === 'string')) {
    throw new Fault('invalid_params', `"resourceSubscriptions" must be a list of ${MAX_URIS} URIs at most.`)
  }
  if (uris.reduce((sum: number, uri) => sum + uri.length, 0) > MAX_URI_CHARACTERS) {
    throw new Fault('invalid_params', `"resourceSubscriptions" must not exceed ${MAX_URI_CHARACTERS} characters.`)
  }
  const { id = 'null' } = asker
  if (id.length > MAX_ID) throw new Fault('invalid_request', `"id" must not exceed ${MAX_ID} characters here.`)
  const subscription = { id, notifications: known(notifications) }
  const stream = await host.channel.open({ endpoint: endpoint.key, credentials, subscription })
  return new Response(stream, { headers: STREAM_HEADERS })
}

/** Of a filter that which there is: whatever else a client sends is not held. */
function known({ toolsListChanged, promptsListChanged, resourcesListChanged, resourceSubscriptions }: JsonObject) {
  const lists = { toolsListChanged, promptsListChanged, resourcesListChanged }
  const on = Object.entries(lists).flatMap(([key, value]) => (value === true ? [[key, true] as const] : []))
  return { ...Object.fromEntries(on), ...(Array.isArray(resourceSubscriptions) && { resourceSubscriptions }) }
}

/** The GET stream of a legacy session (MCP 2025-11-25, basic/transports, listening for messages from the server). */
export async function hear(
  { id, revision, capabilities: declared }: ClientSession,
  lastEvent: string | undefined,
  { headers, endpoint, record }: Pick<Forwarding, 'headers' | 'endpoint' | 'record'>,
  host: Host,
): Promise<Response> {
  const session = { id, revision, capabilities: declared, lastEvent }
  const stream = await host.channel.open({
    endpoint: endpoint.key,
    credentials: credentialsOf(headers),
    session,
  })
  record.finish('success', 0)
  return new Response(stream, { headers: STREAM_HEADERS })
}

/** Tells the legacy servers that this client's session already uses about its new log level. */
export async function spreadLevel(message: Message, { session, principal, endpoint }: Forwarding): Promise<void> {
  const owner = ownerOf(session, principal)
  const loggers = legacyTargets(endpoint, principal, ({ capabilities: { logging } }) => logging !== undefined)
  const text = setLevelText(String(message.params['level']))
  const call = { text, id: '"level"', headers: {}, signal: AbortSignal.timeout(END_MS) }
  await Promise.all(loggers.map(({ backend }) => backend.tell(call, owner)))
}

/** DELETE: the client's session ends, and with it the sessions that servers hold for it. */
export async function endSession(
  request: Request,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
  record: RequestRecord,
): Promise<Response> {
  const text = request.headers.get('mcp-session-id')
  if (text === null)
    throw new Fault('method_not_allowed', 'There is no session to end.', { headers: { allow: 'POST' } })
  const session = await host.sessions.open(text, principal, endpoint.key)
  await host.sessions.end(session)
  host.defer(host.channel.end(session.id))
  const owner = ownerOf(session, principal)
  host.defer(
    Promise.allSettled(
      legacyTargets(endpoint, principal).map(({ backend }) => backend.end(owner, AbortSignal.timeout(END_MS))),
    ),
  )
  record.finish('success', 0)
  return new Response(null, { status: 204 })
}
