// Between a modern server that asks by `input_required` (MCP 2026-07-28, MRTR) and a legacy client that is asked by requests
// on its response stream. Pure: what the server wants, how a client of some revision reads it, how the call is sent again.
// The server's request state passes through here and never reaches the client.

import { errorText, isObject, parseMessage, resultText, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { DuplicateKey, edit, members, rewrite, slice } from '../protocol/text.ts'
import { mayAsk } from './ask.ts'
import { fingerprint } from './catalog/hash.ts'
import type { Outbound } from './translate.ts'

/** Rounds that one call may take. */
export const MAX_ROUNDS = 8
const MAX_REQUESTS = 16
const MAX_SHOWN = 500
const MAX_URL = 2048
/** The first legacy revision that knows modes of elicitation and error -32042. */
const MODES_SINCE = '2025-11-25'

/** One thing that a server wants of the client. */
export interface Wanted {
  /** JSON text of the name under which the server expects the answer. */
  readonly key: string
  readonly method: string
  readonly params: JsonObject
  /** JSON text of `params`; undefined when there are none. */
  readonly text: string | undefined
}

export interface InputRequired {
  readonly requests: readonly Wanted[]
  /** JSON text of the server's request state. */
  readonly state: string | undefined
}

/** Whether a response asks for input instead of answering. */
export const wantsInput = ({ result }: Message): boolean =>
  isObject(result) && result['resultType'] === 'input_required'

/** What the server wants. Throws `Fault` `backend_protocol` when that cannot be told. */
export function readInput(message: Message, server: string): InputRequired {
  const bad = (what: string): Fault =>
    new Fault('backend_protocol', `Server ${server} asks for input, but ${what}.`, { data: { server } })
  try {
    return read(message, bad)
  } catch (error) {
    throw error instanceof DuplicateKey ? bad('says something twice') : error
  }
}

function read(message: Message, bad: (what: string) => Fault): InputRequired {
  const at = message.spans.get('result')
  if (at === undefined || !isObject(message.result)) throw bad('in no way that can be read')
  const { inputRequests = {} } = message.result
  if (!isObject(inputRequests)) throw bad('"inputRequests" is not an object')
  const entries = Object.entries(inputRequests)
  if (entries.length > MAX_REQUESTS) throw bad(`wants more than ${MAX_REQUESTS} things at once`)
  const result = members(message.text, at.start)
  const state = result.get('requestState')
  const requestsSpan = result.get('inputRequests')
  if (entries.length === 0 && state === undefined) throw bad('does not say for what')
  const spans = requestsSpan === undefined ? undefined : members(message.text, requestsSpan.start)
  const requests = entries.map(([name, request]): Wanted => {
    const span = spans?.get(name)
    if (!isObject(request) || typeof request['method'] !== 'string' || span === undefined)
      throw bad('one of its requests has no method')
    const { method, params = {} } = request
    if (!isObject(params)) throw bad('the parameters of a request are not an object')
    const paramsSpan = members(message.text, span.start).get('params')
    // Two readers of a member that occurs twice could be asked two different things.
    if (paramsSpan !== undefined) members(message.text, paramsSpan.start)
    const text = paramsSpan === undefined ? undefined : slice(message.text, paramsSpan)
    return { key: JSON.stringify(name), method, params, text }
  })
  return { requests, state: state === undefined ? undefined : slice(message.text, state) }
}

/** What to tell a modern server that this client declared (its own words, less what its revision does not know). */
export function declared(capabilities: JsonObject, revision: string): JsonObject {
  const { elicitation, sampling, roots } = capabilities
  const knowsModes = revision >= MODES_SINCE
  return {
    ...(isObject(elicitation) && { elicitation: knowsModes ? elicitation : {} }),
    ...(isObject(sampling) && { sampling: knowsModes ? sampling : {} }),
    ...(isObject(roots) && { roots: {} }),
  }
}

/** Whether the client can be asked all of it. */
export const answerable = (input: InputRequired, capabilities: JsonObject): boolean =>
  input.requests.every(({ method, params }) => mayAsk(method, params, capabilities))

/** A request to the client; `id` is the sealed id. */
export function questionText(
  { key, method, params, text }: Wanted,
  id: string,
  revision: string,
  server: string,
): string {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)}`
  if (text === undefined) return `${head}}`
  if (method !== 'elicitation/create') return `${head},"params":${text}}`
  const isUrl = params['mode'] === 'url'
  const drop = (name: string): boolean => name === 'mode' && !isUrl && revision < MODES_SINCE
  const id_ = isUrl && params['elicitationId'] === undefined ? elicitationId(server, key, params) : undefined
  const set = id_ === undefined ? {} : { elicitationId: JSON.stringify(id_) }
  return `${head},"params":${rewrite(text, 0, drop, set)}}`
}

/** The same for the same question, so that a client recognises one it has met before. */
const elicitationId = (server: string, key: string, { url }: JsonObject): string =>
  `${fingerprint(`${server}\n${key}`)}${fingerprint(String(url))}`

/** The client's answer as the retry carries it. Throws `Fault` `cancelled` when the client did not give what was asked. */
export function answerText(text: string, server: string): string {
  const message = parseMessage(text)
  const span = message.spans.get('result')
  if (span === undefined || !isObject(message.result)) {
    const code = message.error?.['code']
    const why = typeof code === 'number' ? ` (error ${code})` : ''
    throw new Fault('cancelled', `This client did not answer what server ${server} asked${why}.`, { data: { server } })
  }
  return slice(text, span)
}

/** The call again, with the answers; `answers` are JSON texts in the order of the requests. */
export function retry(sent: Outbound, id: string, input: InputRequired, answers: readonly string[]): Outbound {
  const top = members(sent.text)
  const idSpan = top.get('id')
  const params = top.get('params')
  if (idSpan === undefined || params === undefined) throw new Fault('internal', 'Internal error.')
  const responses = input.requests.map(({ key }, index) => `${key}:${answers[index] ?? 'null'}`)
  const set = {
    ...(responses.length > 0 && { inputResponses: `{${responses.join(',')}}` }),
    ...(input.state !== undefined && { requestState: input.state }),
  }
  const stale = (name: string): boolean => name === 'inputResponses' || name === 'requestState'
  const text = edit(sent.text, [
    { ...idSpan, text: id },
    { ...params, text: rewrite(sent.text, params.start, stale, set) },
  ])
  return { ...sent, text, id }
}

/**
 * The response for a client that cannot be asked: where its revision has it the error that says "open this URL first"
 * (-32042, MCP 2025-11-25, client/elicitation), else words that help whoever reads them.
 */
export function unanswerable(input: InputRequired, asked: Message, revision: string, server: string): string {
  const urls = input.requests.filter(({ params }) => params['mode'] === 'url' && link(params) !== undefined)
  if (urls.length > 0 && revision >= MODES_SINCE) {
    const elicitations = urls.map(({ key, params }) => ({
      mode: 'url',
      message: shown(params['message']),
      url: link(params),
      elicitationId:
        typeof params['elicitationId'] === 'string'
          ? params['elicitationId'].slice(0, MAX_SHOWN)
          : elicitationId(server, key, params),
    }))
    return errorText(asked.id, -32042, `Server ${server} needs a visit to a web page first.`, { elicitations })
  }
  const wishes = input.requests.map(({ method, params }) => wish(method, params))
  const text =
    wishes.length === 0
      ? `Server ${server} needs to be asked again, which this client's protocol version cannot do.`
      : `Server ${server} needs something that this client cannot be asked for:\n${wishes.join('\n')}`
  return inWords(text, asked, server)
}

/** The response in place of a modern server's -32021: its words are about our hop. */
export function incapable(message: Message, asked: Message, server: string): string {
  const data = message.error?.['data']
  const needed = isObject(data) && isObject(data['requiredCapabilities']) ? data['requiredCapabilities'] : {}
  const names = Object.entries(needed)
    .flatMap(([name, value]) => {
      const parts = isObject(value) ? Object.keys(value) : []
      return parts.length === 0 ? [name] : parts.map((part) => `${name}.${part}`)
    })
    .filter((name) => /^[\w./-]{1,64}$/u.test(name))
    .slice(0, MAX_REQUESTS)
  const what = names.length === 0 ? 'a capability' : `the capability ${names.join(', ')}`
  return inWords(`Server ${server} needs ${what}, which this client did not declare or cannot use here.`, asked, server)
}

/** A tool's failure is read by the model, which can pass the words on; other failures are errors. */
function inWords(text: string, asked: Message, server: string): string {
  if (asked.method !== 'tools/call') return errorText(asked.id, -32603, text, { server })
  return resultText(asked.id ?? 'null', JSON.stringify({ content: [{ type: 'text', text }], isError: true }))
}

function wish(method: string, params: JsonObject): string {
  const url = link(params)
  const message = shown(params['message'])
  if (method === 'elicitation/create' && params['mode'] === 'url') {
    return `- ${message}\n  ${url === undefined ? 'It names a link that is not safe to show.' : `Open this link, then try again: ${url}`}`
  }
  if (method === 'elicitation/create') return `- an answer to: ${message}`
  if (method === 'sampling/createMessage') return '- a completion by the client\'s model (capability "sampling")'
  if (method === 'roots/list') return '- the roots of the client (capability "roots")'
  return `- ${shown(method)}`
}

/** A link that is safe to show: a server must not slip in anything but a web page. */
function link({ url }: JsonObject): string | undefined {
  if (typeof url !== 'string' || url.length > MAX_URL || !URL.canParse(url)) return undefined
  const { protocol, href, username, password } = new URL(url)
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' ? href : undefined
}

/** A server's words, bounded and on one line. */
function shown(value: unknown): string {
  if (typeof value !== 'string') return ''
  const line = value.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line
}
