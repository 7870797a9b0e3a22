// What a legacy client says without being called: answers to questions of servers, progress on them, changed roots. Each goes
// to the server that it concerns, on the session that this server has with this client, or nowhere.

import { distinctMembers, errorText, isObject } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { edit, members, type Span } from '../protocol/text.ts'
import { openQuestion, type Question } from './ask.ts'
import { grantsAt } from './catalog/catalog.ts'
import { SECTIONS } from './catalog/server.ts'
import { legacyTargets, soleFor, type Endpoint, type Host } from './endpoint.ts'
import type { Forwarding } from './forwarding.ts'
import { visible } from './policy.ts'
import type { Principal } from './principal.ts'
import { ownerOf, type ClientSession } from './session.ts'

const SEND_MS = 10_000
/** Longest answer: a sample may contain a picture. */
const MAX_ANSWER = 4 * 1024 * 1024
const MAX_PROGRESS = 16_384

/** Brings a response of the client to whoever asked. Throws a `Fault` that is for the audit trail: the client did its part. */
export async function deliverAnswer(forwarding: Forwarding, host: Host): Promise<void> {
  const { message } = forwarding
  const found = await asked(message.id === undefined ? undefined : JSON.parse(message.id), forwarding, host)
  if (found === undefined) return
  const { question, session } = found
  const fits = message.text.length <= MAX_ANSWER
  const text = fits ? message.text : errorText(message.id, -32603, 'The answer is too large.')
  if (question.key !== undefined) await host.channel.put(session.id, question.key, text)
  else if (question.id !== undefined) {
    const span = members(text).get('id')
    if (span !== undefined) await send(text, span, question.id, question, forwarding)
  }
  if (!fits) throw new Fault('too_large', `An answer must not exceed ${MAX_ANSWER} characters.`)
}

/** Brings a client's progress on a question to whoever asked. Throws as `deliverAnswer`. */
export async function deliverProgress(forwarding: Forwarding, host: Host): Promise<void> {
  const { message } = forwarding
  if (message.text.length > MAX_PROGRESS) throw new Fault('too_large', 'The notification is too large.')
  const found = await asked(message.params['progressToken'], forwarding, host)
  const params = message.spans.get('params')
  if (found?.question.token === undefined || params === undefined) return
  const span = distinctMembers(message.text, params.start).get('progressToken')
  if (span !== undefined) await send(message.text, span, found.question.token, found.question, forwarding)
}

/** Tells the legacy servers that this client's session uses that its roots changed. */
export async function deliverRoots({ session, principal, endpoint }: Forwarding): Promise<void> {
  if (session === undefined || !isObject(session.capabilities['roots'])) return
  const owner = ownerOf(session, principal)
  const text = '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'
  const call = { text, id: undefined, headers: {}, signal: AbortSignal.timeout(SEND_MS) }
  await Promise.all(legacyTargets(endpoint, principal).map(({ backend }) => backend.tell(call, owner)))
}

/** The question behind a sealed text, if this session was asked it and may still use the server that asked. */
async function asked(
  sealed: unknown,
  { session, endpoint, principal, record }: Forwarding,
  host: Host,
): Promise<{ question: Question; session: ClientSession } | undefined> {
  if (session === undefined) return undefined
  const question = await openQuestion(sealed, session.id, host.sealer, host.now)
  if (question === undefined) return undefined
  if (!mayUse(endpoint, principal, question)) {
    throw new Fault('forbidden', 'This caller may not use the server that asked.', {
      detail: `question of ${question.server}`,
    })
  }
  record.server = question.server
  return { question, session }
}

/** Whether anything of the server is there for the caller, by the way on which the question came. */
export function mayUse(
  endpoint: Endpoint,
  principal: Principal,
  { server, via }: Pick<Question, 'server' | 'via'>,
): boolean {
  const { catalog } = endpoint
  if (!catalog.servers.has(server)) return false
  if (server === soleFor(endpoint, principal)) return true
  return SECTIONS.some((section) =>
    catalog.entries[section].some((entry) =>
      grantsAt(entry, server).some((grant) => grant.via === via && visible(principal, grant)),
    ),
  )
}

async function send(
  text: string,
  span: Span,
  original: string,
  { server, via }: Question,
  { endpoint, session, principal }: Forwarding,
): Promise<void> {
  const call = {
    text: edit(text, [{ ...span, text: original }]),
    id: undefined,
    headers: {},
    signal: AbortSignal.timeout(SEND_MS),
  }
  // On the session that asked, or not at all: in another one the id may be that of another question.
  await endpoint.target(server, via).backend.tell(call, ownerOf(session, principal))
}
