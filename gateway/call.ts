// One message forwarded to its server: breaker, deadline, translation, and the server's answer to begin with. Whatever
// happens, the wait ends: with the server's answer, with a typed fault, or because the caller went away.

import { isObject, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault, wire, type Reason } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import { traceparent } from '../protocol/trace.ts'
import { pulseOf } from './backend/pulse.ts'
import type { Backend, Call, Owner, Reply } from './backend/upstream.ts'
import { declared } from './bridge.ts'
import { bridges, converse, deliver, type Exchange } from './converse.ts'
import type { Route } from './decide.ts'
import type { Deadline } from './deadline.ts'
import type { Host, Target } from './endpoint.ts'
import { readsStreams, type Delivered, type Delivery, type Forwarding } from './forwarding.ts'
import { openState } from './sealed.ts'
import { ownerOf } from './session.ts'
import { outbound, type Passage } from './translate.ts'

const CANCEL_MS = 5_000
/** How often, and how long one after the other, the rest of a stream is asked for. */
const RESUMES = 6
const RESUME_MS = 1_500

/**
 * Throws the `Fault` that ends the call, whose clock is `deadline`. Where the route has others the call is made there when the first
 * one fails and has done nothing, or nothing that matters twice.
 */
export function forward(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  target: Target,
  deadline: Deadline,
): Promise<Delivery> {
  if (route.others === undefined) return attempt(forwarding, route, host, target, deadline)
  return anywhere(forwarding, [route, ...route.others.slice(0, MAX_MOVES)], host, deadline)
}

/** Other instances that one call may be made at. */
const MAX_MOVES = 3

async function anywhere(
  forwarding: Forwarding,
  ways: readonly Route[],
  host: Host,
  deadline: Deadline,
): Promise<Delivery> {
  const { endpoint, record } = forwarding
  let delivery: Delivery | undefined
  let repeats = ways[0]?.entry?.fleet?.repeats === true
  deadline.hold()
  try {
    for (const [at, way] of ways.entries()) {
      const next = ways[at + 1]
      const maySkip = (fault: Fault) => next !== undefined && (isUntouched(fault) || (repeats && isFailure(fault)))
      const target = endpoint.target(way.server, way.via)
      const started = host.now()
      try {
        delivery = await attempt(forwarding, way, host, target, deadline, { maySkip, isLast: next === undefined })
        pulseOf(target.breaker).answered(host.now() - started, host.now())
        return delivery
      } catch (error) {
        if (!(error instanceof Fault) || deadline.signal.aborted) throw error
        if (isFailure(error)) pulseOf(target.breaker).failed(host.now())
        if (next === undefined || !maySkip(error)) throw error
        repeats &&= isUntouched(error)
        record.moved(way.server)
        deadline.move(next.server)
      }
    }
    throw new TypeError('a route has at least one way')
  } finally {
    deadline.release(delivery?.stream === undefined)
  }
}

/** Failures of a server, after which another instance may do better. */
const FAILURES = [
  'backend_unavailable',
  'backend_timeout',
  'backend_protocol',
  'backend_refused',
  'backend_overloaded',
] as const satisfies readonly Reason[]

const isFailure = ({ reason }: Fault): boolean => FAILURES.some((one) => one === reason)

/** Whether the call has provably not been executed. */
const isUntouched = ({ unsent, reason }: Fault): boolean =>
  unsent || reason === 'backend_overloaded' || reason === 'backend_refused'

/** One of several servers for one call. */
interface Turn {
  /** The call may be made elsewhere after this fault. */
  readonly maySkip: (fault: Fault) => boolean
  readonly isLast: boolean
}

/** One call at one server. */
async function attempt(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  target: Target,
  deadline: Deadline,
  turn?: Turn,
): Promise<Delivery> {
  const { session, principal, record } = forwarding
  record.server = route.server
  const isAskable = session !== undefined && forwarding.opened.era === 'legacy' && readsStreams(forwarding.headers)
  const asks = isAskable && forwarding.share === undefined ? session.capabilities : undefined
  const passage = await passageOf(forwarding, route, host, asks)
  const sent = outbound(passage, forwarding.headers)
  const wait = target.breaker.enter(turn?.isLast)
  if (wait !== undefined) {
    throw new Fault('backend_unavailable', `Server ${route.server} failed repeatedly and is not called for now.`, {
      data: { server: route.server, retryAfterSeconds: Math.ceil(wait / 1000) },
      detail: 'circuit open',
      unsent: true,
    })
  }
  const owner = ownerOf(session, principal)
  let exchange: Exchange = { forwarding, passage, sent, host, target, deadline, owner, asks, resumable: false }
  let failed = false
  deadline.onAbort(() => {
    // Who may come back for the rest has not cancelled by leaving (MCP 2025-11-25, basic/transports).
    if (failed || (deadline.left && exchange.resumable)) return
    const { passage, sent, target } = exchange
    if (passage.server.era === 'legacy' && sent.id !== undefined) host.defer(cancel(target.backend, owner, sent.id))
  })
  try {
    let reply = await deadline.within(begin(exchange))
    if (reply.kind === 'rejected' && reply.speaks !== undefined) {
      const other = await deadline.within(beginAgain(exchange, reply.speaks))
      if (other !== undefined) ({ reply, exchange } = other)
    }
    if (reply.kind === 'accepted') {
      target.breaker.success()
      deadline.end()
      return { response: undefined, stream: undefined }
    }
    // HTTP 4xx is also how a server refuses an era that it no longer speaks.
    if (reply.kind === 'rejected') host.changed(route.server)
    if (reply.kind !== 'stream') {
      const answer = reply.message
      if (answer === undefined) throw unacceptable(route.server)
      target.breaker.success()
      if (turn !== undefined) refuseAbsence(answer, route.server, turn.maySkip)
      if (!bridges(answer, exchange)) {
        deadline.end()
        return { response: await deliver(answer, exchange), stream: undefined }
      }
    }
    const stream = converse(reply, exchange)
    const first = await stream.next()
    if (first.done === true)
      throw new Fault('backend_protocol', `Server ${route.server} did not answer.`, { data: { server: route.server } })
    if (first.value.response !== undefined) {
      await stream.return()
      if (turn !== undefined) refuseAbsence(first.value.response, route.server, turn.maySkip)
      return { response: first.value, stream: undefined }
    }
    return { response: undefined, stream: prepend(first.value, watched(stream, exchange)) }
  } catch (error) {
    failed = true
    deadline.end()
    settleBreaker(target.breaker, error)
    if (error instanceof Fault && error.reason === 'backend_protocol') host.changed(route.server)
    throw error
  }
}

/**
 * What a proxy of ours answers for a server that fails, as a fault, where that helps. It may be the server's own words, so it
 * proves nothing about whether the call has been executed.
 */
function refuseAbsence({ error }: Message, server: string, maySkip: (fault: Fault) => boolean): void {
  const data = error?.['data']
  const reason = isObject(data) ? FAILURES.find((one) => one === data['reason']) : undefined
  if (reason === undefined || error?.['code'] !== wire(reason).code) return
  const detail = `told by its proxy: ${reason}`
  const fault = new Fault('backend_unavailable', `Server ${server} failed.`, { data: { server }, detail })
  if (maySkip(fault)) throw fault
}

async function passageOf(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  asks: JsonObject | undefined,
  era?: Era,
): Promise<Passage> {
  const { message, opened, endpoint, session, record } = forwarding
  const known = endpoint.catalog.servers.get(route.server)
  const server = known === undefined || era === undefined ? known : { ...known, era }
  if (server === undefined)
    throw new Fault('backend_unavailable', `Server ${route.server} is not available.`, {
      data: { server: route.server },
    })
  const toModern = server.era === 'modern' && opened.era === 'legacy'
  return {
    message,
    opened,
    route,
    server,
    owned: session !== undefined,
    requestId: record.id,
    traceparent: traceparent(record.trace),
    logLevel: toModern && session !== undefined ? ((await host.levels.get(session.id)) ?? 'info') : undefined,
    requestState: message.params['requestState'] === undefined ? undefined : await openState(forwarding, route, host),
    declared: toModern && asks !== undefined && session !== undefined ? declared(asks, session.revision) : undefined,
  }
}

/** Sends the call, or asks for the rest of a stream whose call was sent before. */
function begin(exchange: Exchange): Promise<Reply> {
  const { forwarding, sent, target, deadline, owner } = exchange
  const { record, share } = forwarding
  const own = { ...sent, signal: deadline.signal, requestId: record.id }
  const call = share === undefined ? own : { ...own, limit: share }
  return forwarding.after === undefined ? target.backend.call(call, owner) : goOn(call, forwarding.after, exchange)
}

async function goOn(call: Call, after: string, { passage, target, deadline, owner }: Exchange): Promise<Reply> {
  const { server } = passage.route
  for (let attempt = 1; ; attempt += 1) {
    try {
      const rest = await target.backend.resume(after, call, owner)
      if (rest !== undefined) return rest
      throw new Fault('cancelled', `Server ${server} does not go on with this call.`, { data: { server } })
    } catch (error) {
      // A server refuses the second of two connections, and that a client has left is noticed a few seconds later.
      const isBusy = error instanceof Fault && error.reason === 'backend_unavailable'
      if (!isBusy || deadline.signal.aborted || attempt === RESUMES) throw error
      await new Promise((resolve) => setTimeout(resolve, RESUME_MS))
    }
  }
}

/**
 * The call in the other era, for a server that has changed since its catalog was read: it refused how the call was sent and
 * has not executed it. Undefined when that is refused as well: then the first refusal is the answer.
 */
async function beginAgain(exchange: Exchange, era: Era): Promise<{ reply: Reply; exchange: Exchange } | undefined> {
  const { forwarding, passage, host, target, asks } = exchange
  const inRounds = passage.requestState !== undefined || forwarding.after !== undefined
  if (target.inEra === undefined || inRounds) return undefined
  host.changed(passage.route.server)
  const turned = await passageOf(forwarding, passage.route, host, asks, era)
  const sent = outbound(turned, forwarding.headers)
  const again: Exchange = { ...exchange, passage: turned, sent, target: { ...target, backend: target.inEra(era) } }
  try {
    const reply = await begin(again)
    return reply.kind === 'rejected' ? undefined : { reply, exchange: again }
  } catch (error) {
    if (error instanceof Fault && error.reason === 'backend_protocol') return undefined
    throw error
  }
}

function unacceptable(server: string): Fault {
  return new Fault('backend_protocol', `Server ${server} does not accept the request.`, { data: { server } })
}

async function cancel(backend: Backend, owner: Owner, id: string): Promise<void> {
  const text = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
  const call = { text, id: undefined, headers: {}, signal: AbortSignal.timeout(CANCEL_MS) }
  await backend.call(call, owner).catch(() => undefined)
}

function settleBreaker(breaker: Target['breaker'], error: unknown): void {
  const reason = error instanceof Fault ? error.reason : 'internal'
  // What has not reached the server tells nothing about it, and neither does a link that broke: those the hub looks after.
  if (error instanceof Fault && error.onTheWay) breaker.release()
  else if (reason === 'backend_unavailable' || reason === 'backend_timeout') breaker.failure()
  else if (reason.startsWith('backend_')) breaker.success()
  else breaker.release()
}

async function* watched(
  stream: AsyncGenerator<Delivered, void, void>,
  { target, deadline }: Exchange,
): AsyncGenerator<Delivered, void, void> {
  try {
    yield* stream
  } catch (error) {
    settleBreaker(target.breaker, error)
    throw error
  } finally {
    deadline.end()
  }
}

async function* prepend(
  first: Delivered,
  rest: AsyncGenerator<Delivered, void, void>,
): AsyncGenerator<Delivered, void, void> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return()
  }
}
