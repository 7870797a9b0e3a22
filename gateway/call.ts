// One message forwarded to its server: breaker, deadline, translation both ways. Whatever happens, the wait ends: with the
// server's answer, with a typed fault, or because the caller went away.

import { isObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { META } from '../protocol/revision.ts'
import { traceparent } from '../protocol/trace.ts'
import { decline } from './backend/handshake.ts'
import type { Backend, Owner } from './backend/upstream.ts'
import type { Route } from './decide.ts'
import type { Deadline } from './deadline.ts'
import type { Endpoint, Host, Target } from './endpoint.ts'
import type { Opened } from './open.ts'
import type { Principal } from './principal.ts'
import type { RequestRecord } from './record.ts'
import { ownerOf, type ClientSession } from './session.ts'
import { inbound, outbound, taskOf, type Passage, type Sealed } from './translate.ts'

const STATE_TTL_MS = 3_600_000
const TASK_TTL_MS = 24 * 3_600_000
const CANCEL_MS = 5_000

export interface Forwarding {
  readonly message: Message
  readonly opened: Opened
  readonly session: ClientSession | undefined
  readonly principal: Principal
  readonly endpoint: Endpoint
  readonly headers: Headers
  readonly record: RequestRecord
}

/** What goes back to the client: texts of messages, the last one being the response. */
export interface Delivery {
  /** The response, when nothing precedes it; undefined for notifications. */
  readonly response: Delivered | undefined
  readonly stream: AsyncGenerator<Delivered, void, void> | undefined
}

export interface Delivered {
  readonly text: string
  /** The server's message behind it; undefined when the text is a notification. */
  readonly response: Message | undefined
}

/** Throws the `Fault` that ends the call, whose clock is `deadline`. */
export async function forward(
  forwarding: Forwarding,
  route: Route,
  host: Host,
  target: Target,
  deadline: Deadline,
): Promise<Delivery> {
  const { message, endpoint, session, principal, record } = forwarding
  const server = endpoint.catalog.servers.get(route.server)
  if (server === undefined)
    throw new Fault('backend_unavailable', `Server ${route.server} is not available.`, {
      data: { server: route.server },
    })
  record.server = route.server
  const owner = ownerOf(session, principal)
  const toModern = server.era === 'modern' && forwarding.opened.era === 'legacy'
  const passage: Passage = {
    message,
    opened: forwarding.opened,
    route,
    server,
    owned: session !== undefined,
    requestId: record.id,
    traceparent: traceparent(record.trace),
    logLevel: toModern && session !== undefined ? ((await host.levels.get(session.id)) ?? 'info') : undefined,
    requestState: message.params['requestState'] === undefined ? undefined : await openState(forwarding, route, host),
  }
  const sent = outbound(passage, forwarding.headers)
  const wait = target.breaker.enter()
  if (wait !== undefined) {
    throw new Fault('backend_unavailable', `Server ${route.server} failed repeatedly and is not called for now.`, {
      data: { server: route.server, retryAfterSeconds: Math.ceil(wait / 1000) },
      detail: 'circuit open',
    })
  }
  deadline.onAbort(() => {
    if (server.era === 'legacy' && sent.id !== undefined) host.defer(cancel(target.backend, owner, sent.id))
  })
  try {
    const reply = await deadline.within(target.backend.call({ ...sent, signal: deadline.signal }, owner))
    if (reply.kind === 'accepted') {
      target.breaker.success()
      deadline.end()
      return { response: undefined, stream: undefined }
    }
    if (reply.kind === 'rejected') {
      // HTTP 4xx is also how a server refuses an era that it no longer speaks.
      host.changed(route.server)
    }
    if (reply.kind !== 'stream') {
      const answer = reply.message
      if (answer === undefined) throw unacceptable(route.server)
      target.breaker.success()
      deadline.end()
      return { response: await deliver(answer, passage, forwarding, host), stream: undefined }
    }
    const stream = follow(reply, passage, forwarding, host, deadline, () => target.breaker.success())
    const first = await stream.next()
    if (first.done === true)
      throw new Fault('backend_protocol', `Server ${route.server} did not answer.`, { data: { server: route.server } })
    if (first.value.response !== undefined) {
      await stream.return()
      return { response: first.value, stream: undefined }
    }
    return { response: undefined, stream: prepend(first.value, watched(stream, target.breaker, deadline)) }
  } catch (error) {
    deadline.end()
    settleBreaker(target.breaker, error)
    if (error instanceof Fault && error.reason === 'backend_protocol') host.changed(route.server)
    throw error
  }
}

function unacceptable(server: string): Fault {
  return new Fault('backend_protocol', `Server ${server} does not accept the request.`, { data: { server } })
}

/** The server's messages as the client reads them. What the server asks is declined: nobody has declared to answer. */
async function* follow(
  reply: { messages: AsyncGenerator<Message, void, void>; answer: (text: string) => Promise<void> },
  passage: Passage,
  forwarding: Forwarding,
  host: Host,
  deadline: Deadline,
  success: () => void,
): AsyncGenerator<Delivered, void, void> {
  try {
    for (;;) {
      const next = await deadline.within(reply.messages.next())
      if (next.done === true) return
      const message = next.value
      if (message.kind === 'request') await reply.answer(decline(message))
      else if (message.kind === 'response') {
        success()
        yield await deliver(message, passage, forwarding, host)
        return
      } else if (/\/(list_changed|updated)$/u.test(message.method)) host.changed(passage.route.server)
      else if (wanted(message, forwarding)) {
        // Only what the client asked to hear shows that the call gets on; chatter must not keep it waiting.
        deadline.extend()
        yield await deliver(message, passage, forwarding, host)
      }
    }
  } finally {
    deadline.end()
    host.defer(reply.messages.return())
  }
}

/** Whether the client asked for this notification: modern clients get progress and logs only on request. */
function wanted(message: Message, { opened }: Forwarding): boolean {
  if (opened.era === 'legacy')
    return message.method !== 'notifications/progress' || opened.meta['progressToken'] !== undefined
  if (message.method === 'notifications/message') return opened.meta[META.logLevel] !== undefined
  return message.method !== 'notifications/progress' || opened.meta['progressToken'] !== undefined
}

async function deliver(message: Message, passage: Passage, forwarding: Forwarding, host: Host): Promise<Delivered> {
  const { route } = passage
  const sealed = await seal(message, passage, forwarding, host)
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

/** A server's task id as it travels: it opens at the endpoint and for the caller it was made for. */
export interface SealedTask {
  readonly endpoint: string
  readonly via: string | undefined
  /** Exposed name of the tool that began it. */
  readonly tool: string | undefined
  readonly principal: string
  readonly server: string
  readonly expires: number
  readonly id: string
}

const endpointOf = ({ endpoint }: Forwarding, { via }: Route): string => via ?? endpoint.key

interface State {
  readonly endpoint: string
  readonly principal: string
  readonly server: string
  readonly method: string
  readonly name: string
  readonly expires: number
  readonly state: string
}

const NOTHING: Sealed = { requestState: undefined, taskId: undefined }

/** Seals what only we may read: request state and task ids, bound to the caller and the server. */
async function seal(message: Message, { route }: Passage, forwarding: Forwarding, host: Host): Promise<Sealed> {
  const { result } = message
  if (!isObject(result)) return NOTHING
  const { principal } = forwarding
  const { requestState } = result
  const { method } = forwarding.message
  const isTask = result['resultType'] === 'task' || isObject(result['task']) || method.startsWith('tasks/')
  const task = isTask ? taskOf(result) : undefined
  if (typeof requestState !== 'string' && task === undefined) return NOTHING
  const state: State = {
    endpoint: endpointOf(forwarding, route),
    principal: principal.id,
    server: route.server,
    method,
    name: stateName(forwarding.message),
    expires: host.now() + STATE_TTL_MS,
    state: String(requestState),
  }
  return {
    requestState: typeof requestState === 'string' ? await host.sealer.seal('state', state) : undefined,
    taskId: task === undefined ? undefined : await sealTask(task, route, forwarding, host),
  }
}

/** A task has one id for its caller: the one it was asked for with, else a new one. */
async function sealTask(task: string, route: Route, forwarding: Forwarding, host: Host): Promise<string> {
  const { principal, message } = forwarding
  const asked = message.params['taskId']
  if (typeof asked === 'string' && route.rename?.value === task) return asked
  const sealed: SealedTask = {
    endpoint: forwarding.endpoint.key,
    via: route.via,
    tool: route.entry?.exposed,
    principal: principal.id,
    server: route.server,
    expires: host.now() + TASK_TTL_MS,
    id: task,
  }
  return host.sealer.seal('task', sealed)
}

/** The server's request state behind the sealed one, which must belong to this caller, server and operation. */
async function openState(forwarding: Forwarding, route: Route, host: Host): Promise<string> {
  const { message, principal } = forwarding
  const sealed = message.params['requestState']
  const state =
    typeof sealed === 'string' ? ((await host.sealer.open('state', sealed)) as State | undefined) : undefined
  const valid =
    state?.endpoint === endpointOf(forwarding, route) &&
    state.principal === principal.id &&
    state.server === route.server &&
    state.method === message.method &&
    state.name === stateName(message) &&
    state.expires > host.now()
  if (!valid) throw new Fault('invalid_params', '"requestState" is not valid for this request.')
  return state.state
}

const stateName = ({ params }: Message): string => String(params['name'] ?? params['uri'] ?? '')

async function cancel(backend: Backend, owner: Owner, id: string): Promise<void> {
  const text = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
  const call = { text, id: undefined, headers: {}, signal: AbortSignal.timeout(CANCEL_MS) }
  await backend.call(call, owner).catch(() => undefined)
}

function settleBreaker(breaker: { success(): void; failure(): void; release(): void }, error: unknown): void {
  const reason = error instanceof Fault ? error.reason : 'internal'
  if (reason === 'backend_unavailable' || reason === 'backend_timeout') breaker.failure()
  else if (reason.startsWith('backend_')) breaker.success()
  else breaker.release()
}

async function* watched(
  stream: AsyncGenerator<Delivered, void, void>,
  breaker: { success(): void; failure(): void; release(): void },
  deadline: Deadline,
): AsyncGenerator<Delivered, void, void> {
  try {
    yield* stream
  } catch (error) {
    settleBreaker(breaker, error)
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
