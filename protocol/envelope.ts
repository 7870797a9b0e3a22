// The JSON-RPC 2.0 envelope as MCP uses it: requests have string or number ids, notifications none, no positional params.

import { Fault, publicData, wire, type FaultData } from './fault.ts'
import { DuplicateKey, exceeds, members, type Member } from './text.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** One message with its text and the spans of its top-level members, so that a relay can edit without re-encoding. */
export interface Message {
  readonly kind: 'request' | 'notification' | 'response'
  readonly text: string
  readonly spans: ReadonlyMap<string, Member>
  /** JSON text of the id as it came (`"a"`, `12345678901234567890`); undefined for notifications. */
  readonly id: string | undefined
  readonly method: string
  readonly params: JsonObject
  readonly result: Json | undefined
  readonly error: JsonObject | undefined
  /** Long strings that `text` and `result` have only names for. */
  readonly aside?: Aside
}

/** Strings that stand aside while the rest of their message is read. */
export interface Aside {
  /** How many characters the message has with them less those that it has without. */
  readonly length: number
  /** A text in which they may be missing, complete, in pieces. */
  write(text: string): Generator<string, void, void>
}

const none: JsonObject = {}
/** Values in one message: parsed, they must fit into an isolate many times. */
const MAX_VALUES = 250_000

/** Reads one message. Throws `Fault` with reason `invalid_json` or `invalid_request` that says what is wrong. */
export function parseMessage(text: string, values = MAX_VALUES): Message {
  return toMessage(parseJson(text, values), text)
}

export function parseJson(text: string, values = MAX_VALUES): Json {
  if (text.length > values && exceeds(text, values)) {
    throw new Fault('too_large', `A message must not have more than ${values} values.`)
  }
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new Fault('invalid_json', 'The body is not valid JSON.')
  }
}

/** As `parseMessage`, for a value that is parsed already. `text` must be its text. */
export function toMessage(value: Json, text: string): Message {
  if (!isObject(value)) throw invalid('A JSON-RPC message must be an object.')
  if (value['jsonrpc'] !== '2.0') throw invalid('"jsonrpc" must be "2.0".')
  const spans = distinctMembers(text, 0)
  const id = value['id']
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number' && id !== null) {
    throw invalid('"id" must be a string or a number.')
  }
  const idSpan = spans.get('id')
  const idText = idSpan === undefined ? undefined : text.slice(idSpan.start, idSpan.end)
  const method = value['method']
  if (method === undefined) {
    const error = value['error']
    if (value['result'] === undefined && !isObject(error)) throw invalid('"method", "result" or "error" is required.')
    return {
      kind: 'response',
      text,
      spans,
      id: idText,
      method: '',
      params: none,
      result: value['result'],
      error: isObject(error) ? error : undefined,
    }
  }
  if (typeof method !== 'string') throw invalid('"method" must be a string.')
  if (id === null) throw invalid('"id" must not be null.')
  const params = value['params'] ?? none
  // Some clients spell absent params `null`: to us they are absent, so nobody edits inside them.
  if (value['params'] === null) spans.delete('params')
  if (!isObject(params)) throw invalid('"params" must be an object.')
  return {
    kind: idText === undefined ? 'notification' : 'request',
    text,
    spans,
    id: idText,
    method,
    params,
    result: undefined,
    error: undefined,
  }
}

/** Members of an object that we act on: a key that occurs twice is refused, since two readers could disagree. */
export function distinctMembers(text: string, at: number): Map<string, Member> {
  try {
    const found = members(text, at)
    // Some readers match names without regard to case (Go's encoding/json): for them these are one.
    const folded = new Set([...found.keys()].map((key) => key.toUpperCase().toLowerCase()))
    if (folded.size !== found.size) throw invalid('Two members differ in case only.')
    return found
  } catch (error) {
    if (error instanceof DuplicateKey) throw invalid(`The member "${error.key.slice(0, 64)}" occurs twice.`)
    throw error
  }
}

/** Where the value of a member of `params` stands in the message's text. */
export function paramSpan(message: Message, key: string): Member | undefined {
  const params = message.spans.get('params')
  return params === undefined ? undefined : distinctMembers(message.text, params.start).get(key)
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A success response; `id` and `result` are JSON text. */
export const resultText = (id: string, result: string): string => `{"jsonrpc":"2.0","id":${id},"result":${result}}`

/** An error response; `id` is JSON text, `null` where the request's id is unknown. */
export function errorText(id: string | undefined, code: number, message: string, data?: FaultData): string {
  const error = data === undefined ? { code, message } : { code, message, data }
  return `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":${JSON.stringify(error)}}`
}

/** The error response that a fault becomes. `data.reason` is the tag, so that programs need not read the text. */
export function faultText(id: string | undefined, fault: Fault): string {
  return errorText(id, wire(fault.reason).code, fault.message, publicData(fault))
}

const invalid = (message: string): Fault => new Fault('invalid_request', message)
