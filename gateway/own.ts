// What the gateway answers by itself: the handshakes of both eras, listen streams, log levels, the end of a session.

import type { Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { IMPLEMENTATION, META, MODERN_REVISION } from '../protocol/revision.ts'
import { sseMessage } from '../protocol/sse.ts'
import { setLevelText } from './backend/handshake.ts'
import type { Forwarding } from './call.ts'
import { modernMembers } from './catalog/project.ts'
import { capabilities, instructions, visibleServers, type Endpoint, type Host } from './endpoint.ts'
import type { Opened } from './open.ts'
import type { Principal } from './principal.ts'
import type { RequestRecord } from './record.ts'
import { answer, type Asker } from './reply.ts'
import { askable, ownerOf } from './session.ts'

const END_MS = 5_000
/** Servers that one message of a client may reach besides those it calls. */
const MAX_SPREAD = 32

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

/** Nothing is delivered on listen streams yet: the acknowledgement honours nothing, and the stream ends at once. */
export function listen(asker: Asker): Response {
  const id = asker.id ?? 'null'
  const meta = `"_meta":{"${META.subscription}":${id}}`
  const acknowledged = `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},${meta}}}`
  const result = `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${meta}}}`
  return new Response(sseMessage(acknowledged) + sseMessage(result), {
    headers: { 'content-type': 'text/event-stream' },
  })
}

/** Tells the legacy servers that this client's session already uses about its new log level. */
export async function spreadLevel(message: Message, { session, principal, endpoint }: Forwarding): Promise<void> {
  const owner = ownerOf(session, principal)
  const loggers = visibleServers(endpoint, principal).filter(
    ([, server]) => server.era === 'legacy' && server.capabilities['logging'] !== undefined,
  )
  const text = setLevelText(String(message.params['level']))
  const call = { text, id: '"level"', headers: {}, signal: AbortSignal.timeout(END_MS) }
  const targets = loggers.flatMap(([key]) => endpoint.targets(key)).slice(0, MAX_SPREAD)
  await Promise.all(targets.map(({ backend }) => backend.tell(call, owner)))
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
  const owner = ownerOf(session, principal)
  const legacy = visibleServers(endpoint, principal).filter(([, server]) => server.era === 'legacy')
  host.defer(
    Promise.allSettled(
      legacy
        .flatMap(([key]) => endpoint.targets(key))
        .slice(0, MAX_SPREAD)
        .map(({ backend }) => backend.end(owner, AbortSignal.timeout(END_MS))),
    ),
  )
  record.finish('success', 0)
  return new Response(null, { status: 204 })
}
