// What a legacy server asks of a legacy client: the client sees a sealed id, so whichever isolate gets the answer can bring
// it to the server that asked, and to no other. A client is asked only what it declared to be ready for.

import { distinctMembers, isObject, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { edit, slice, type Edit, type Span } from '../protocol/text.ts'
import type { Clock } from './ports.ts'
import type { Sealer } from './seal.ts'

/** Longest that a human is waited for. */
export const PATIENCE_MS = 5 * 60_000
/** Questions that one call may bring its client; what comes after is declined. */
export const MAX_QUESTIONS = 32
/** As long as a call can last, and some more for the answer to come. */
const TTL_MS = 16 * 60_000
const MAX_ID = 512

/** Who asks whom. */
export interface Origin {
  /** Id of the client's session, which stands for its principal and its endpoint. */
  readonly session: string
  readonly server: string
  /** The endpoint whose credential the server's session has, where the catalog spans several. */
  readonly via: string | undefined
}

/** What the id or the progress token of a question holds inside. */
export interface Question extends Origin {
  readonly expires: number
  /** JSON text of the id that a legacy server gave its request. */
  readonly id?: string
  /** JSON text of the progress token that a legacy server gave its request. */
  readonly token?: string
  /** Where the call of a modern server waits for the answer. */
  readonly key?: string
}

/** A question as the client gets it. */
export interface Posed {
  readonly text: string
  /** JSON text of its id. */
  readonly id: string
}

/**
 * Whether a client that declared these capabilities may be asked this (MCP 2025-11-25, client/elicitation, client/sampling,
 * client/roots): a mode or a feature that it did not name counts as not declared.
 */
export function mayAsk(method: string, params: JsonObject, capabilities: JsonObject): boolean {
  const { elicitation, sampling, roots } = capabilities
  switch (method) {
    case 'roots/list':
      return isObject(roots)
    case 'sampling/createMessage': {
      const tools = params['tools'] !== undefined || params['toolChoice'] !== undefined
      return isObject(sampling) && (!tools || isObject(sampling['tools']))
    }
    case 'elicitation/create': {
      if (!isObject(elicitation)) return false
      const mode = params['mode'] ?? 'form'
      // An empty object means forms, as it did before there was anything else.
      if (mode === 'form') return isObject(elicitation['form']) || elicitation['url'] === undefined
      return mode === 'url' && isObject(elicitation['url'])
    }
    default:
      return false
  }
}

/** A server's request as the client shall read it; undefined when it must be declined instead. */
export async function pose(
  message: Message,
  origin: Origin,
  capabilities: JsonObject,
  sealer: Sealer,
  now: Clock,
): Promise<Posed | undefined> {
  const idSpan = message.spans.get('id')
  if (idSpan === undefined || message.id === undefined || message.id.length > MAX_ID) return undefined
  if (!mayAsk(message.method, message.params, capabilities)) return undefined
  const token = tokenSpan(message)
  if (token === null || (token !== undefined && token.end - token.start > MAX_ID)) return undefined
  const id = JSON.stringify(await sealQuestion({ ...origin, id: message.id }, sealer, now))
  const edits: Edit[] = [{ ...idSpan, text: id }]
  if (token !== undefined) {
    const sealed = await sealQuestion({ ...origin, token: slice(message.text, token) }, sealer, now)
    edits.push({ ...token, text: JSON.stringify(sealed) })
  }
  return { text: edit(message.text, edits), id }
}

export async function sealQuestion(question: Omit<Question, 'expires'>, sealer: Sealer, now: Clock): Promise<string> {
  return sealer.seal('request', { ...question, expires: now() + TTL_MS } satisfies Question)
}

/** What is behind the id or token of a question to this session; undefined for anything else. */
export async function openQuestion(
  sealed: unknown,
  session: string,
  sealer: Sealer,
  now: Clock,
): Promise<Question | undefined> {
  if (typeof sealed !== 'string') return undefined
  const question = (await sealer.open('request', sealed)) as Question | undefined
  return question?.session === session && question.expires > now() ? question : undefined
}

/** The questions of one call that may still be open, so that the server can take them back. */
export class Questions {
  readonly #posed = new Map<string, string>()
  #count = 0

  /** Whether one more may be asked. */
  get room(): boolean {
    return this.#count < MAX_QUESTIONS
  }

  /** `id` and `posed` are JSON texts of the server's id and of the client's. */
  add(id: string, posed: string): void {
    this.#count += 1
    this.#posed.set(JSON.stringify(JSON.parse(id)), posed)
  }

  /** The server's `notifications/cancelled` for one of its questions, as the client shall read it. */
  takeBack(message: Message): string | undefined {
    const key = JSON.stringify(message.params['requestId'])
    const posed = this.#posed.get(key)
    if (posed === undefined) return undefined
    this.#posed.delete(key)
    const { reason } = message.params
    return takenBack(posed, typeof reason === 'string' ? reason.slice(0, MAX_ID) : undefined)
  }

  /** `notifications/cancelled` for all that may be open, once nobody waits for their answers any more. */
  *abandon(): Generator<string, void, void> {
    for (const posed of this.#posed.values()) yield takenBack(posed)
    this.#posed.clear()
  }
}

/** Tells the client that nobody waits for its answer any more; `id` is JSON text. */
export const takenBack = (id: string, reason = 'The call has ended.'): string =>
  `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":${JSON.stringify(reason)}}}`

/** Where the progress token of a request stands; null when two readers could differ on that, or on anything it asks. */
function tokenSpan(message: Message): Span | undefined | null {
  const params = message.spans.get('params')
  if (params === undefined) return undefined
  try {
    const meta = distinctMembers(message.text, params.start).get('_meta')
    if (meta === undefined || !isObject(message.params['_meta'])) return undefined
    return distinctMembers(message.text, meta.start).get('progressToken')
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}
