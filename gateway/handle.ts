// The life of a request: authenticate → open → decide → call → reply → record. One function per step, called in order.
// Every way out leaves exactly one audit event per message.

import { paramSpan, parseJson, toMessage, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { decodeHeader, mirroredValues } from '../protocol/header.ts'
import { deliverAnswer, deliverProgress, deliverRoots } from './answer.ts'
import { REQUEST_ID_HEADER } from './auth/assertion.ts'
import { credentialsOf } from './auth/credentials.ts'
import { pulseOf } from './backend/pulse.ts'
import { batchMessage, readBody, splitBatch, type BatchPart } from './body.ts'
import { forward } from './call.ts'
import { grantsAt } from './catalog/catalog.ts'
import { clusterOf, fleetOf } from './catalog/fleet.ts'
import { Deadline } from './deadline.ts'
import { decide, type Decision, type Route } from './decide.ts'
import { offersSubscriptions, soleFor, type Endpoint, type Host } from './endpoint.ts'
import { readsStreams, type Forwarding, type Presented } from './forwarding.ts'
import { open, type Opened } from './open.ts'
import { discovery, endSession, hear, initialize, listen, spreadLevel } from './own.ts'
import { judge } from './policy.ts'
import type { Principal } from './principal.ts'
import { rank, type Vitals } from './rank.ts'
import { RequestRecord } from './record.ts'
import { answer, asFault, refusal, relay, type Asker } from './reply.ts'
import { isCallEvent, resumption } from './resume.ts'
import { scatter } from './scatter.ts'
import { stateServer, type SealedTask } from './sealed.ts'

const MAX_BATCH_REPLY = 8 * 1024 * 1024
/** How much longer several calls for one answer may take than the slowest of them. */
const SPARE_MS = 5_000

/** Answers one HTTP request at an endpoint. Never throws. `refused` is the host's own objection (Origin, Host). */
export async function handle(
  request: Request,
  endpoint: Endpoint,
  host: Host,
  refused: Fault | undefined,
): Promise<Response> {
  const record = new RequestRecord(request.headers, endpoint.key, host)
  try {
    if (refused !== undefined) throw refused
    const principal = await endpoint.guard.enter(credentialsOf(request.headers), host.revoked)
    record.principal = principal
    // Only who vouches for its callers is believed about the trail of their request.
    if (principal.via !== undefined) record.adopt(request.headers.get(REQUEST_ID_HEADER))
    if (request.method === 'GET') return await listenTo({ headers: request.headers, principal, endpoint, record }, host)
    if (request.method === 'DELETE') return await endSession(request, endpoint, principal, host, record)
    const text = await readBody(request)
    const value = parseJson(text)
    if (Array.isArray(value)) {
      const parts = splitBatch(value, text, request.headers)
      record.release()
      return await batch(parts, request.headers, endpoint, principal, host)
    }
    return await serve(toMessage(value, text), request.headers, endpoint, principal, host, record)
  } catch (error) {
    return fail(error, { era: 'legacy', id: undefined, acceptsStream: false }, record)
  }
}

/** GET: what the server says on its own, or the rest of a call's stream that the client lost. */
async function listenTo(presented: Presented, host: Host): Promise<Response> {
  const { headers, principal, endpoint } = presented
  const sealed = headers.get('mcp-session-id')
  if (sealed === null)
    throw new Fault('method_not_allowed', 'Use POST; only sessions have a GET stream.', { headers: { allow: 'POST' } })
  const session = await host.sessions.open(sealed, principal, endpoint.key)
  if (!readsStreams(headers)) throw new Fault('not_acceptable', 'Accept must allow text/event-stream.')
  const lastEvent = headers.get('last-event-id') ?? undefined
  if (lastEvent === undefined || !isCallEvent(lastEvent)) return hear(session, lastEvent, presented, host)
  const found = await resumption(lastEvent, { ...presented, session }, host)
  if (found === undefined) throw new Fault('invalid_request', 'The event of "Last-Event-ID" is not known any more.')
  const { route, forwarding } = found
  presented.record.describe(forwarding.message)
  presented.record.client = session.client
  const asker: Asker = { era: 'legacy', id: forwarding.message.id, acceptsStream: true, onlyStream: true }
  return relayed(route, forwarding, asker, host)
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
    try {
      if (characters > MAX_BATCH_REPLY)
        throw new Fault('too_large', 'The answers of this batch are too large together.')
      const response = await serve(batchMessage(value, text), headers, endpoint, principal, host, record)
      if (response.status !== 202) replies.push(await response.text())
    } catch (error) {
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
): Promise<Response> {
  let asker: Asker = {
    era: 'legacy',
    id: message.id,
    acceptsStream: readsStreams(headers),
  }
  record.describe(message)
  try {
    const stated = open(message, headers)
    asker = { ...asker, era: stated.era }
    record.era = stated.era
    record.client = stated.client
    const sealed = stated.era === 'legacy' && message.method !== 'initialize' ? headers.get('mcp-session-id') : null
    const session = sealed === null ? undefined : await host.sessions.open(sealed, principal, endpoint.key)
    const opened = session === undefined ? stated : { ...stated, client: session.client }
    record.client = opened.client
    const situation = {
      catalog: endpoint.catalog,
      principal,
      era: opened.era,
      sole: soleFor(endpoint, principal),
      task: message.method.startsWith('tasks/') ? await openTask(message, principal, endpoint, host) : undefined,
      at: endpoint.catalog.hasFleets ? await stateServer(message, host) : undefined,
    }
    const decision = decide(message, situation)
    const forwarding = { message, opened, session, principal, endpoint, headers, record }
    return await act(decision, forwarding, asker, host)
  } catch (error) {
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
    case 'answer':
    case 'progress':
      await (decision.kind === 'answer' ? deliverAnswer : deliverProgress)(forwarding, host).catch((error: unknown) => {
        record.fail(asFault(error))
      })
      return done(new Response(null, { status: 202 }))
    case 'roots':
      host.defer(deliverRoots(forwarding))
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
      return done(await listen(message, asker, endpoint, credentialsOf(forwarding.headers), host))
    case 'cancel':
      if (session !== undefined) host.inFlight.cancel(session.id, JSON.stringify(decision.request))
      return done(new Response(null, { status: 202 }))
    case 'subscribe': {
      if (session === undefined) throw new Fault('invalid_request', 'Only a session can subscribe: initialize first.')
      const server = endpoint.catalog.servers.get(decision.route.server)
      if (server === undefined || !offersSubscriptions(server))
        throw new Fault('method_not_found', `Server ${decision.route.server} offers no subscriptions to its resources.`)
      await host.channel.subscribe(session.id, decision.uri, decision.on)
      return server.era === 'legacy' ? relayed(decision.route, forwarding, asker, host) : done(answer(asker.id, '{}'))
    }
    case 'forward':
      checkMirrored(decision.route, message, opened, forwarding.headers)
      return relayed(decision.route, forwarding, asker, host)
    case 'scatter':
      return scattered(decision.routes, forwarding, asker, host)
  }
}

async function relayed(planned: Route, forwarding: Forwarding, asker: Asker, host: Host): Promise<Response> {
  const { record, endpoint } = forwarding
  const route = planned.others === undefined ? planned : preferred(planned, planned.others, forwarding, host.now())
  const target = endpoint.target(route.server, route.via)
  const deadline = clock(route.server, target.timeoutMs, forwarding, asker, host)
  return relay(forward(forwarding, route, host, target, deadline), asker, record, deadline)
}

async function scattered(
  routes: readonly Route[],
  forwarding: Forwarding,
  asker: Asker,
  host: Host,
): Promise<Response> {
  const { record, endpoint, message, opened, headers } = forwarding
  for (const route of routes) checkMirrored(route, message, opened, headers)
  const longest = Math.max(...routes.map(({ server, via }) => endpoint.target(server, via).timeoutMs))
  record.clusters = routes.map(({ server }) => clusterOf(server) ?? '')
  const deadline = clock(fleetOf(routes[0]?.server ?? ''), longest + SPARE_MS, forwarding, asker, host)
  return relay(scatter(forwarding, routes, host, deadline), asker, record, deadline)
}

/** The clock of a call: whatever ends it is recorded, and its client may cancel it. */
function clock(server: string, silenceMs: number, forwarding: Forwarding, asker: Asker, host: Host): Deadline {
  const { session, record } = forwarding
  const deadline = new Deadline(server, silenceMs, host.now())
  // A client that leaves early must not take the audit event with it, nor one that neither reads nor leaves.
  if (host.endsWithClient) host.defer(record.settled())
  deadline.onAbort((reason) => record.fail(asFault(reason)))
  if (session !== undefined && asker.id !== undefined) {
    const cancel = () => deadline.abort(new Fault('cancelled', 'The request was cancelled.'))
    deadline.onEnd(host.inFlight.add(session.id, asker.id, cancel))
  }
  return deadline
}

/** Of several instances that would do the best as far as this isolate knows, the others behind it. */
function preferred(route: Route, others: readonly Route[], { endpoint, session }: Forwarding, now: number): Route {
  const vitals = ({ server, via }: Route): Vitals => {
    const { breaker } = endpoint.target(server, via)
    const pulse = pulseOf(breaker)
    const failing = breaker.wait() > 0 || pulse.failing(now)
    return { health: endpoint.health?.(server) ?? 'online', failing, latencyMs: pulse.latencyMs(now) }
  }
  // A legacy server remembers the session, so it is the one to go back to.
  const remembers = [route, ...others].some(({ server }) => endpoint.catalog.servers.get(server)?.era === 'legacy')
  const [first = route, ...rest] = rank([route, ...others], vitals, remembers ? session?.id : undefined, Math.random)
  return { ...first, others: rest }
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

async function openTask(
  message: Message,
  principal: Principal,
  endpoint: Endpoint,
  host: Host,
): Promise<SealedTask | undefined> {
  const sealed = message.params['taskId']
  if (typeof sealed !== 'string') return undefined
  const task = (await host.sealer.open('task', sealed)) as SealedTask | undefined
  const valid = task?.principal === principal.id && task.endpoint === endpoint.key && task.expires > host.now()
  if (!valid) return undefined
  // Whoever may not call the tool there any more may not follow what it does either.
  const entry = task.tool === undefined ? undefined : endpoint.catalog.find('tools', task.tool)
  const grants = entry === undefined ? [] : grantsAt(entry, task.server)
  const allowed = task.tool === undefined || judge(principal, grants).kind === 'allow'
  return allowed ? task : undefined
}

function fail(error: unknown, asker: Asker, record: RequestRecord): Response {
  const fault = asFault(error)
  record.fail(fault)
  return refusal(fault, asker)
}
