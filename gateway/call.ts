// One message forwarded to its server: breaker, deadline, translation both ways, and what the server asks meanwhile. Whatever
// happens, the wait ends: with the server's answer, with a typed fault, or because the caller went away.

import { parseMessage, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { META } from '../protocol/revision.ts'
import { traceparent } from '../protocol/trace.ts'
import { PATIENCE_MS, pose, Questions, sealQuestion, takenBack } from './ask.ts'
import { decline } from './backend/handshake.ts'
import type { Backend, Owner, Reply } from './backend/upstream.ts'
import {
  MAX_ROUNDS,
  answerable,
  answerText,
  declared,
  incapable,
  questionText,
  readInput,
  retry,
  unanswerable,
  wantsInput,
  type InputRequired,
} from './bridge.ts'
import type { Route } from './decide.ts'
import type { Deadline } from './deadline.ts'
import type { Host, Target } from './endpoint.ts'
import { readsStreams, type Delivered, type Delivery, type Forwarding } from './forwarding.ts'
import { sealEvent } from './resume.ts'
import { openState, seal } from './sealed.ts'
import { ownerOf } from './session.ts'
import { inbound, outbound, type Outbound, type Passage } from './translate.ts'

const CANCEL_MS = 5_000
/** The first revision whose clients know events without data. */
const PRIMES_SINCE = '2025-11-25'

type Stream = Reply & { readonly kind: 'stream' }

/** A call while it lasts. */
interface Exchange {
  readonly forwarding: Forwarding
  readonly passage: Passage
  readonly sent: Outbound
  readonly host: Host
  readonly target: Target
  readonly deadline: Deadline
  readonly owner: Owner
  /** What the client declared to be ready for; undefined when there is no way to ask it anything. */
  readonly asks: JsonObject | undefined
  /** The client got an event id: it may leave and come back for the rest. */
  resumable: boolean
}

/** Throws the `Fault` that ends the call, whose clock is `deadline`. */
export async function forward(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  target: Target,
  deadline: Deadline,
): Promise<Delivery> {
  const { session, principal, record } = forwarding
  record.server = route.server
  const asks =
    session !== undefined && forwarding.opened.era === 'legacy' && readsStreams(forwarding.headers)
      ? session.capabilities
      : undefined
  const passage = await passageOf(forwarding, route, host, asks)
  const sent = outbound(passage, forwarding.headers)
  const wait = target.breaker.enter()
  if (wait !== undefined) {
    throw new Fault('backend_unavailable', `Server ${route.server} failed repeatedly and is not called for now.`, {
      data: { server: route.server, retryAfterSeconds: Math.ceil(wait / 1000) },
      detail: 'circuit open',
    })
  }
  const owner = ownerOf(session, principal)
  const exchange: Exchange = { forwarding, passage, sent, host, target, deadline, owner, asks, resumable: false }
  deadline.onAbort(() => {
    // Who may come back for the rest has not cancelled by leaving (MCP 2025-11-25, basic/transports).
    if (deadline.left && exchange.resumable) return
    if (passage.server.era === 'legacy' && sent.id !== undefined) host.defer(cancel(target.backend, owner, sent.id))
  })
  try {
    const reply = await deadline.within(begin(exchange))
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
      return { response: first.value, stream: undefined }
    }
    return { response: undefined, stream: prepend(first.value, watched(stream, exchange)) }
  } catch (error) {
    deadline.end()
    settleBreaker(target.breaker, error)
    if (error instanceof Fault && error.reason === 'backend_protocol') host.changed(route.server)
    throw error
  }
}

async function passageOf(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  asks: JsonObject | undefined,
): Promise<Passage> {
  const { message, opened, endpoint, session, record } = forwarding
  const server = endpoint.catalog.servers.get(route.server)
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
async function begin({ forwarding, passage, sent, target, deadline, owner }: Exchange): Promise<Reply> {
  const call = { ...sent, signal: deadline.signal }
  if (forwarding.after === undefined) return target.backend.call(call, owner)
  const rest = await target.backend.resume(forwarding.after, call, owner)
  if (rest !== undefined) return rest
  const { server } = passage.route
  throw new Fault('cancelled', `Server ${server} does not go on with this call.`, { data: { server } })
}

function unacceptable(server: string): Fault {
  return new Fault('backend_protocol', `Server ${server} does not accept the request.`, { data: { server } })
}

/** Whether an answer is a modern server's question that a legacy client has to be asked. */
const bridges = (answer: Message, { forwarding, passage }: Exchange): boolean =>
  forwarding.opened.era === 'legacy' && passage.server.era === 'modern' && wantsInput(answer)

/** Everything that the client gets to read: the server's messages, its questions, and the response at last. */
async function* converse(first: Reply, exchange: Exchange): AsyncGenerator<Delivered, void, void> {
  const { passage, host, target, deadline, owner, sent } = exchange
  let reply = first
  try {
    for (let round = 0; ; round += 1) {
      const answer = reply.kind === 'stream' ? yield* follow(reply, exchange) : messageOf(reply)
      if (answer === undefined) return
      target.breaker.success()
      if (!bridges(answer, exchange)) {
        yield await deliver(answer, exchange)
        return
      }
      const { server } = passage.route
      const input = readInput(answer, server)
      if (exchange.asks === undefined || !answerable(input, exchange.asks)) {
        yield own(unanswerable(input, passage.message, passage.opened.revision, server))
        return
      }
      if (round >= MAX_ROUNDS)
        throw new Fault('backend_protocol', `Server ${server} asks again and again.`, { data: { server } })
      const answers = yield* ask(input, exchange)
      const again = retry(sent, JSON.stringify(`${passage.requestId}-${round}`), input, answers)
      reply = await deadline.within(target.backend.call({ ...again, signal: deadline.signal }, owner))
    }
  } finally {
    deadline.end()
    if (reply.kind === 'stream') host.defer(reply.messages.return())
  }
}

function messageOf(reply: Reply): Message | undefined {
  return reply.kind === 'message' || reply.kind === 'rejected' ? reply.message : undefined
}

/** One stream of the server up to its response, which is returned. */
async function* follow(reply: Stream, exchange: Exchange): AsyncGenerator<Delivered, Message | undefined, void> {
  const { passage, forwarding, host, deadline, target } = exchange
  let questions: Questions | undefined
  let primed = reply.lastEvent === undefined || !knowsPriming(exchange)
  try {
    for (;;) {
      const pending = reply.messages.next()
      if (!primed) {
        primed = true
        if ((await deadline.within(Promise.race([pending, deadline.slow]))) === undefined) {
          const event = await eventOf(reply, exchange)
          if (event !== undefined) yield { text: '', response: undefined, event }
        }
      }
      const next = await deadline.within(pending)
      if (next.done === true) return undefined
      const message = next.value
      if (message.kind === 'response') return message
      if (message.kind === 'request') {
        questions ??= new Questions()
        const text = await posed(message, questions, exchange)
        if (text === undefined) await reply.answer(decline(message))
        else {
          target.breaker.success()
          deadline.ask(PATIENCE_MS)
          yield { text, response: undefined, event: await eventOf(reply, exchange) }
        }
      } else if (message.method === 'notifications/cancelled') {
        const text = questions?.takeBack(message)
        if (text !== undefined) yield { text, response: undefined, event: await eventOf(reply, exchange) }
      } else if (/\/(list_changed|updated)$/u.test(message.method)) host.changed(passage.route.server)
      else if (wanted(message, forwarding)) {
        // Only what the client asked to hear shows that the call gets on; chatter must not keep it waiting.
        deadline.extend()
        const delivered = await deliver(message, exchange)
        const event = await eventOf(reply, exchange)
        yield event === undefined ? delivered : { ...delivered, event }
      }
    }
  } catch (error) {
    if (questions !== undefined && !deadline.left)
      for (const text of questions.abandon()) yield { text, response: undefined }
    throw error
  }
}

/** A server's request as its client gets it; undefined when it is to be declined. */
async function posed(message: Message, questions: Questions, exchange: Exchange): Promise<string | undefined> {
  const { asks, passage, forwarding, host } = exchange
  const { session } = forwarding
  if (asks === undefined || session === undefined || passage.server.era === 'modern' || !questions.room)
    return undefined
  const { server, via } = passage.route
  const question = await pose(message, { session: session.id, server, via }, asks, host.sealer, host.now)
  if (question === undefined) return undefined
  questions.add(message.id ?? 'null', question.id)
  return question.text
}

/** Asks the client all of a modern server's questions at once. Returns JSON texts of the answers, in order. */
async function* ask(input: InputRequired, exchange: Exchange): AsyncGenerator<Delivered, string[], void> {
  const { forwarding, passage, host, deadline } = exchange
  const { session } = forwarding
  const { server, via } = passage.route
  if (session === undefined || input.requests.length === 0) return []
  const questions = await Promise.all(
    input.requests.map(async (request) => {
      const key = crypto.randomUUID()
      const id = await sealQuestion({ session: session.id, server, via, key }, host.sealer, host.now)
      return { key, id, text: questionText(request, id, session.revision, server) }
    }),
  )
  const round = new AbortController()
  deadline.onAbort((reason) => round.abort(reason))
  deadline.ask(PATIENCE_MS)
  for (const { text } of questions) yield { text, response: undefined }
  const open = new Set(questions.map(({ id }) => id))
  try {
    const taken = questions.map(async ({ key, id }) => {
      const text = await host.channel.take(session.id, key, round.signal)
      open.delete(id)
      return answerText(text, server)
    })
    const answers = await deadline.within(Promise.all(taken))
    deadline.answered()
    return answers
  } catch (error) {
    round.abort(error)
    if (!deadline.left) for (const id of open) yield { text: takenBack(JSON.stringify(id)), response: undefined }
    throw error
  }
}

/** Whether the client asked for this notification: modern clients get progress and logs only on request. */
function wanted(message: Message, { opened }: Forwarding): boolean {
  if (opened.era === 'legacy')
    return message.method !== 'notifications/progress' || opened.meta['progressToken'] !== undefined
  if (message.method === 'notifications/message') return opened.meta[META.logLevel] !== undefined
  return message.method !== 'notifications/progress' || opened.meta['progressToken'] !== undefined
}

/** A text of ours in place of the server's response. */
const own = (text: string): Delivered => ({ text, response: parseMessage(text) })

async function deliver(message: Message, { passage, forwarding, host }: Exchange): Promise<Delivered> {
  const { route, opened } = passage
  if (opened.era === 'legacy') {
    if (message.error?.['code'] === -32021) return own(incapable(message, passage.message, route.server))
    if (wantsInput(message))
      return own(unanswerable(readInput(message, route.server), passage.message, opened.revision, route.server))
  }
  const sealed = await seal(message, route, forwarding, host)
  const known = forwarding.endpoint.catalog.renamed(route.server)
  const uri = forwarding.message.params['uri']
  const renamed =
    known !== undefined && route.rename !== undefined && typeof uri === 'string'
      ? new Map([...known, [route.rename.value, uri]])
      : known
  try {
    return {
      text: inbound(message, passage, sealed, renamed),
      response: message.kind === 'response' ? message : undefined,
    }
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault('backend_protocol', `Server ${route.server} sent a message that cannot be read.`, {
      data: { server: route.server },
      cause: error,
    })
  }
}

const knowsPriming = ({ forwarding: { session } }: Exchange): boolean =>
  session !== undefined && session.revision >= PRIMES_SINCE

/** The sealed id of the event that was read last, for clients with a session and from servers that give ids. */
async function eventOf(reply: Stream, exchange: Exchange): Promise<string | undefined> {
  const { forwarding, passage, host } = exchange
  const last = reply.lastEvent?.()
  if (last === undefined || forwarding.session === undefined) return undefined
  const event = await sealEvent(last, forwarding, passage.route, host)
  if (event !== undefined) exchange.resumable = true
  return event
}

async function cancel(backend: Backend, owner: Owner, id: string): Promise<void> {
  const text = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
  const call = { text, id: undefined, headers: {}, signal: AbortSignal.timeout(CANCEL_MS) }
  await backend.call(call, owner).catch(() => undefined)
}

function settleBreaker(breaker: Target['breaker'], error: unknown): void {
  const reason = error instanceof Fault ? error.reason : 'internal'
  if (reason === 'backend_unavailable' || reason === 'backend_timeout') breaker.failure()
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
