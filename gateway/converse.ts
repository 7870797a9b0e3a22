// What a client gets to read while its call lasts: the server's messages, translated, what the server asks of the client, and
// at last the response. A legacy server asks by requests, a modern one by results that want input.

import { parseMessage, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { META, PRIMES_SINCE } from '../protocol/revision.ts'
import { PATIENCE_MS, pose, Questions, sealQuestion, takenBack } from './ask.ts'
import { decline } from './backend/handshake.ts'
import type { Owner, Reply } from './backend/upstream.ts'
import {
  MAX_ROUNDS,
  answerable,
  answerText,
  incapable,
  questionText,
  readInput,
  retry,
  unanswerable,
  wantsInput,
  type InputRequired,
} from './bridge.ts'
import { decideSubscription } from './decide.ts'
import type { Deadline } from './deadline.ts'
import { soleFor, type Host, type Target } from './endpoint.ts'
import type { Delivered, Forwarding } from './forwarding.ts'
import { atLeast } from './levels.ts'
import { sealEvent } from './resume.ts'
import { seal } from './sealed.ts'
import { inbound, type Outbound, type Passage } from './translate.ts'

/** Requests of a server in one stream, answered by us or by the client. */
const MAX_REQUESTS = 1000

type Stream = Reply & { readonly kind: 'stream' }

/** A call while it lasts. */
export interface Exchange {
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

/** Whether an answer is a modern server's question that a legacy client has to be asked. */
export const bridges = (answer: Message, { forwarding, passage }: Exchange): boolean =>
  forwarding.opened.era === 'legacy' && passage.server.era === 'modern' && wantsInput(answer)

/** Everything that the client gets to read: the server's messages, its questions, and the response at last. */
export async function* converse(first: Reply, exchange: Exchange): AsyncGenerator<Delivered, void, void> {
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
      if (round >= MAX_ROUNDS) throw tooMany(server)
      const answers = yield* ask(input, exchange)
      const again = retry(sent, JSON.stringify(`${passage.requestId}-${round}`), input, answers)
      reply = await deadline.within(target.backend.call({ ...again, signal: deadline.signal }, owner))
    }
  } finally {
    deadline.end()
    if (reply.kind === 'stream') host.defer(reply.messages.return())
  }
}

const tooMany = (server: string): Fault =>
  new Fault('backend_protocol', `Server ${server} asks again and again.`, { data: { server } })

function messageOf(reply: Reply): Message | undefined {
  return reply.kind === 'message' || reply.kind === 'rejected' ? reply.message : undefined
}

/** One stream of the server up to its response, which is returned. */
async function* follow(reply: Stream, exchange: Exchange): AsyncGenerator<Delivered, Message | undefined, void> {
  const { passage, forwarding, host, deadline, target } = exchange
  let questions: Questions | undefined
  let requests = 0
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
        requests += 1
        if (requests > MAX_REQUESTS) throw tooMany(passage.route.server)
        questions ??= new Questions()
        const text = await posed(message, questions, exchange)
        if (text === undefined) await deadline.within(reply.answer(decline(message)))
        else {
          target.breaker.success()
          deadline.ask(PATIENCE_MS)
          yield { text, response: undefined, event: await eventOf(reply, exchange) }
        }
      } else if (message.method === 'notifications/cancelled') {
        const text = questions?.takeBack(message)
        if (text !== undefined) yield { text, response: undefined, event: await eventOf(reply, exchange) }
      } else if (message.method.endsWith('/list_changed')) host.changed(passage.route.server)
      else if (message.method === 'notifications/resources/updated') {
        const text = updated(message, exchange)
        if (text !== undefined) yield { text, response: undefined, event: await eventOf(reply, exchange) }
      } else if (wanted(message, forwarding)) {
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

/**
 * The news that a resource changed, for the session that subscribed at the server; undefined when it is not for this
 * client. Servers may tell on whatever stream of the session is at hand.
 */
function updated(message: Message, { forwarding, passage }: Exchange): string | undefined {
  const { endpoint, principal, session } = forwarding
  const { uri } = message.params
  if (session === undefined || passage.server.era === 'modern' || typeof uri !== 'string') return undefined
  const { server } = passage.route
  const exposed = endpoint.catalog.renamed(server)?.get(uri) ?? uri
  const route = decideSubscription(exposed, {
    catalog: endpoint.catalog,
    principal,
    sole: soleFor(endpoint, principal),
  })
  if (route === undefined || ![route, ...(route.others ?? [])].some((one) => one.server === server)) return undefined
  return exposed === uri
    ? message.text
    : JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { uri: exposed } })
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

/**
 * Whether the client asked for this notification: modern clients get progress and logs only on request. A legacy server
 * knows no level of a single call, so what it logs below that is dropped here.
 */
function wanted(message: Message, { opened }: Forwarding): boolean {
  if (opened.era === 'modern' && message.method === 'notifications/message')
    return atLeast(message.params['level'], opened.meta[META.logLevel])
  return message.method !== 'notifications/progress' || opened.meta['progressToken'] !== undefined
}

/** A text of ours in place of the server's response. */
const own = (text: string): Delivered => ({ text, response: parseMessage(text) })

/** A message of the server as the client reads it. Throws `Fault` `backend_protocol` for what cannot be passed on. */
export async function deliver(message: Message, { passage, forwarding, host }: Exchange): Promise<Delivered> {
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
  if (last === undefined || forwarding.session === undefined || forwarding.share !== undefined) return undefined
  const event = await sealEvent(last, forwarding, passage.route, host)
  if (event !== undefined) exchange.resumable = true
  return event
}
