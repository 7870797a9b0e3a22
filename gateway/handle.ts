// The life of a request: authenticate → open → decide → call → reply → record. One function per step, called in order.
// Every way out leaves exactly one audit event per message.

import { paramSpan, parseJson, toMessage, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { decodeHeader, mirroredValues } from '../protocol/header.ts'
import { IMPLEMENTATION, META, MODERN_REVISION } from '../protocol/revision.ts'
import { sseMessage } from '../protocol/sse.ts'
import { setLevelText } from './backend/handshake.ts'
import { batchMessage, readBody, splitBatch, type BatchPart } from './body.ts'
import { forward, type Forwarding, type SealedTask } from './call.ts'
import { modernMembers } from './catalog/project.ts'
import { Deadline } from './deadline.ts'
import { decide, type Decision, type Route } from './decide.ts'
import { capabilities, instructions, visibleServers, type Endpoint, type Host } from './endpoint.ts'
import { open, type Opened } from './open.ts'
import { judge } from './policy.ts'
import type { Principal } from './principal.ts'
import { RequestRecord } from './record.ts'
import { answer, refusal, relay, type Asker } from './reply.ts'
import type { ClientSession } from './session.ts'

const END_MS = 5_000
const MAX_BATCH_REPLY = 8 * 1024 * 1024

/** Answers one HTTP request at an endpoint. Never throws. `refused` is the host's own objection (Origin, Host). */
export async function handle(
  request: Request,
  endpoint: Endpoint,
  host: Host,
  refused: Fault | undefined,
): Promise<Response> {
  const record = new RequestRecord(request.headers, endpoint.key, host)
  const deadline = new Deadline(host.now())
  // A client that leaves early must not take the audit event with it.
  host.defer(record.settled)
  try {
    if (refused !== undefined) throw refused
    const principal = await endpoint.guard.enter(request.headers.get('authorization'), host.revoked)
    record.principal = principal
    if (request.method === 'DELETE') return await endSession(request, endpoint, principal, host, record)
    const text = await readBody(request, deadline)
    const value = parseJson(text)
    if (Array.isArray(value)) {
      const parts = splitBatch(value, text, request.headers)
      record.release()
      deadline.end()
      return await batch(parts, request.headers, endpoint, principal, host)
    }
    return await serve(toMessage(value, text), request.headers, endpoint, principal, host, record, deadline)
  } catch (error) {
    deadline.end()
    return fail(error, { era: 'legacy', id: undefined, acceptsStream: false }, record)
  }
}

/** Every message of a batch with a record of its own; answers are collected, never streamed. */
async function batch(
  parts: readonly BatchPart[],
  original: Headers,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
): Promise<Response> {
  const headers = new Headers(original)
  headers.set('accept', 'application/json')
  const replies: string[] = []
  let characters = 0
  // One after the other: ten large answers at once would not fit into an isolate.
  for (const { value, text } of parts) {
    const record = new RequestRecord(headers, endpoint.key, host)
    record.principal = principal
    const deadline = new Deadline(host.now())
    try {
      if (characters > MAX_BATCH_REPLY)
        throw new Fault('too_large', 'The answers of this batch are too large together.')
      const response = await serve(batchMessage(value, text), headers, endpoint, principal, host, record, deadline)
      if (response.status !== 202) replies.push(await response.text())
    } catch (error) {
      deadline.end()
      replies.push(await fail(error, { era: 'legacy', id: undefined, acceptsStream: false }, record).text())
    }
    characters += replies.at(-1)?.length ?? 0
  }
  if (replies.length === 0) return new Response(null, { status: 202 })
  return new Response(`[${replies.join(',')}]`, { headers: { 'content-type': 'application/json' } })
}

/** One message. Never throws. */
async function serve(
  message: Message,
  headers: Headers,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
  record: RequestRecord,
  deadline: Deadline,
): Promise<Response> {
  let asker: Asker = {
    era: 'legacy',
    id: message.id,
    acceptsStream: headers.get('accept')?.includes('text/event-stream') === true,
  }
  record.describe(message)
  try {
    const stated = open(message, headers)
    asker = { ...asker, era: stated.era }
    record.era = stated.era
    record.client = stated.client
    const session = await openSession(headers, stated, message, endpoint, principal, host)
    const opened = session === undefined ? stated : { ...stated, client: session.client }
    record.client = opened.client
    const situation = {
      catalog: endpoint.catalog,
      principal,
      era: opened.era,
      sole: endpoint.sole,
      task: await openTask(message, principal, endpoint, host),
    }
    const decision = decide(message, situation)
    const forwarding = { message, opened, session, principal, endpoint, headers, record, deadline }
    if (decision.kind !== 'forward') deadline.end()
    return await act(decision, forwarding, asker, host)
  } catch (error) {
    deadline.end()
    return fail(error, asker, record)
  }
}

async function act(decision: Decision, forwarding: Forwarding, asker: Asker, host: Host): Promise<Response> {
  const { message, opened, session, principal, endpoint, record } = forwarding
  const done = (response: Response, size = 0): Response => {
    record.finish('success', size)
    return response
  }
  switch (decision.kind) {
    case 'refuse':
      record.fail(decision.fault, decision.denied)
      return refusal(decision.fault, asker)
    case 'step_up':
      throw endpoint.guard.stepUp(decision.scopes)
    case 'ignore':
      return done(new Response(null, { status: 202 }))
    case 'empty':
      return done(answer(asker.id, '{}'))
    case 'discover':
      return done(answer(asker.id, discovery(endpoint, principal)))
    case 'initialize':
      return done(await initialize(message, opened, endpoint, principal, host))
    case 'list': {
      const { result } = await endpoint.projection.list(decision.section, principal, opened.era, decision.cursor)
      return done(answer(asker.id, result), result.length)
    }
    case 'level':
      if (session !== undefined) await host.levels.set(session.id, decision.level)
      host.defer(spreadLevel(message, forwarding))
      return done(answer(asker.id, '{}'))
    case 'listen':
      return done(listen(asker))
    case 'cancel':
      if (session !== undefined) host.inFlight.cancel(session.id, JSON.stringify(decision.request))
      return done(new Response(null, { status: 202 }))
    case 'forward':
      checkMirrored(decision.route, message, opened, forwarding.headers)
      return relayed(decision.route, forwarding, asker, host)
  }
}

async function relayed(route: Route, forwarding: Forwarding, asker: Asker, host: Host): Promise<Response> {
  const { session, record, endpoint, deadline } = forwarding
  const target = endpoint.target(route.server, route.via)
  deadline.begin(route.server, target.timeoutMs, host.now())
  // Also when the client neither reads nor leaves, so that nothing else would come to record the end.
  deadline.onAbort((reason) => record.fail(asFault(reason)))
  if (session !== undefined && asker.id !== undefined) {
    const cancel = () => deadline.abort(new Fault('cancelled', 'The request was cancelled.'))
    deadline.onEnd(host.inFlight.add(session.id, asker.id, cancel))
  }
  return relay(forward(forwarding, route, host, target), asker, record, deadline)
}

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

async function initialize(
  message: Message,
  opened: Opened,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
): Promise<Response> {
  const client = opened.client ?? { name: '', version: '' }
  const session = { id: crypto.randomUUID(), revision: opened.revision, client }
  const sealed = await host.sessions.create(session, principal, endpoint.key)
  return answer(message.id, initializeResult(opened, endpoint, principal), { 'mcp-session-id': sealed })
}

/** `server/discover` (MCP 2026-07-28, server/discover). */
function discovery(endpoint: Endpoint, principal: Principal): string {
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
function listen(asker: Asker): Response {
  const id = asker.id ?? 'null'
  const meta = `"_meta":{"${META.subscription}":${id}}`
  const acknowledged = `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},${meta}}}`
  const result = `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${meta}}}`
  return new Response(sseMessage(acknowledged) + sseMessage(result), {
    headers: { 'content-type': 'text/event-stream' },
  })
}

/** `Mcp-Param-*` headers of a modern client must say what its arguments say (SEP-2243). */
function checkMirrored(route: Route, message: Message, opened: Opened, headers: Headers): void {
  const declared = route.entry?.item.params ?? []
  if (opened.era !== 'modern' || declared.length === 0) return
  const args = paramSpan(message, 'arguments')
  const values = args === undefined ? [] : mirroredValues(message.text, args.start, declared)
  for (const [index, { header, path }] of declared.entries()) {
    const expected = values[index]
    const sent = headers.get(`mcp-param-${header}`)
    const decoded = sent === null ? undefined : decodeHeader(sent)
    if (decoded !== expected || (sent !== null && decoded === undefined)) {
      throw new Fault('header_mismatch', `The header Mcp-Param-${header} must equal the argument "${path.join('.')}".`)
    }
  }
}

async function openSession(
  headers: Headers,
  opened: Opened,
  message: Message,
  endpoint: Endpoint,
  principal: Principal,
  host: Host,
): Promise<ClientSession | undefined> {
  const text = headers.get('mcp-session-id')
  if (text === null || opened.era === 'modern' || message.method === 'initialize') return undefined
  return host.sessions.open(text, principal, endpoint.key)
}

async function openTask(
  message: Message,
  principal: Principal,
  endpoint: Endpoint,
  host: Host,
): Promise<SealedTask | undefined> {
  const sealed = message.params['taskId']
  if (!message.method.startsWith('tasks/') || typeof sealed !== 'string') return undefined
  const task = (await host.sealer.open('task', sealed)) as SealedTask | undefined
  const valid = task?.principal === principal.id && task.endpoint === endpoint.key && task.expires > host.now()
  if (!valid) return undefined
  // Whoever may not call the tool any more may not follow what it does either.
  const entry = task.tool === undefined ? undefined : endpoint.catalog.find('tools', task.tool)
  const allowed = task.tool === undefined || (entry !== undefined && judge(principal, entry.grants).kind === 'allow')
  return allowed ? task : undefined
}

/** Servers that one message of a client may reach besides those it calls. */
const MAX_SPREAD = 32

/** Tells the legacy servers that this client's session already uses about its new log level. */
async function spreadLevel(message: Message, { session, principal, endpoint }: Forwarding): Promise<void> {
  const owner = session === undefined ? `principal ${principal.id}` : `session ${session.id}`
  const loggers = visibleServers(endpoint, principal).filter(
    ([, server]) => server.era === 'legacy' && server.capabilities['logging'] !== undefined,
  )
  const text = setLevelText(String(message.params['level']))
  const call = { text, id: '"level"', headers: {}, signal: AbortSignal.timeout(END_MS) }
  const targets = loggers.flatMap(([key]) => endpoint.targets(key)).slice(0, MAX_SPREAD)
  await Promise.all(targets.map(({ backend }) => backend.tell(call, owner)))
}

/** DELETE: the client's session ends, and with it the sessions that servers hold for it. */
async function endSession(
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
  const owner = `session ${session.id}`
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

function fail(error: unknown, asker: Asker, record: RequestRecord): Response {
  const fault = asFault(error)
  record.fail(fault)
  return refusal(fault, asker)
}

function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const detail = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 300) : 'unknown'
  return new Fault('internal', 'Internal error.', { detail, cause: error })
}
