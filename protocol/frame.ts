// Frames as bytes: one line of JSON, a newline, and a payload that nobody reads. What is known is checked to the last member before
// anybody uses it; members and kinds that are not known are of a newer version, and are passed over.

import { EMPTY } from './flow.ts'
import {
  MAX_FRAME,
  WINDOW,
  type CallTarget,
  type Dropped,
  type EdgeFrame,
  type LinkFault,
  type UplinkFrame,
} from './link.ts'

/** WebSocket close code of a peer whose frames make no sense. */
export const PROTOCOL_ERROR = 4400
/** Longest first line of a frame, in bytes. The edge's may list the digests of a whole snapshot. */
export const MAX_UPLINK_HEADER = 64 * 1024
export const MAX_EDGE_HEADER = 512 * 1024

/** `payload` is part of the bytes that were decoded, not a copy. `unknown`: to be passed over. `malformed`: the connection is to be closed. */
export type Decoded<F> =
  | { readonly kind: 'frame'; readonly frame: F; readonly payload: Uint8Array }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed'; readonly message: string }

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const NEWLINE = 10

export function encode(frame: EdgeFrame | UplinkFrame, payload: Uint8Array = EMPTY): Uint8Array {
  const line = encoder.encode(`${JSON.stringify(frame)}\n`)
  if (payload.length === 0) return line
  const bytes = new Uint8Array(line.length + payload.length)
  bytes.set(line)
  bytes.set(payload, line.length)
  return bytes
}

/** What an uplink received. */
export function decodeEdge(data: ArrayBuffer | Uint8Array): Decoded<EdgeFrame> {
  return decode(data, MAX_EDGE_HEADER, edgeFrame)
}

/** What the edge received. */
export function decodeUplink(data: ArrayBuffer | Uint8Array): Decoded<UplinkFrame> {
  return decode(data, MAX_UPLINK_HEADER, uplinkFrame)
}

type Header = Readonly<Record<string, unknown>>

/** What is wrong with a member. */
class Malformed extends Error {}

function decode<F>(
  data: ArrayBuffer | Uint8Array,
  maxHeader: number,
  read: (header: Header) => F | undefined,
): Decoded<F> {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data)
  if (bytes.length > MAX_FRAME) return malformed(`the frame has more than ${MAX_FRAME} bytes`)
  const end = bytes.subarray(0, maxHeader + 1).indexOf(NEWLINE)
  if (end < 0) return malformed(`no newline within the first ${maxHeader} bytes`)
  let header: unknown
  try {
    header = JSON.parse(decoder.decode(bytes.subarray(0, end)))
  } catch {
    return malformed('the first line is not JSON')
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) return malformed('not an object')
  try {
    const frame = read(header as Header)
    return frame === undefined ? { kind: 'unknown' } : { kind: 'frame', frame, payload: bytes.subarray(end + 1) }
  } catch (error) {
    if (error instanceof Malformed) return malformed(error.message)
    throw error
  }
}

function malformed(message: string): { kind: 'malformed'; message: string } {
  return { kind: 'malformed', message }
}

function edgeFrame(header: Header): EdgeFrame | undefined {
  const { kind } = header
  switch (kind) {
    case 'open': {
      const { target, method } = header
      if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') throw new Malformed('method is none of a call')
      const deadlineMs = whole(header, 'deadlineMs')
      const last = flag(header, 'last')
      return { kind, call: id(header), target: place(target), method, headers: fields(header), deadlineMs, last }
    }
    case 'data':
      return { kind, call: id(header), last: flag(header, 'last') }
    case 'credit':
      return { kind, call: id(header), bytes: credit(header) }
    case 'cancel':
      return { kind, call: id(header) }
    case 'welcome':
      return { kind, connection: text(header, 'connection'), serverTime: whole(header, 'serverTime') }
    case 'lead':
    case 'fenced':
      return { kind, epoch: whole(header, 'epoch') }
    case 'want': {
      const digests = list(header, 'digests')
      if (!digests.every((one) => typeof one === 'string')) throw new Malformed('digests are not texts')
      return { kind, seq: whole(header, 'seq'), digests }
    }
    case 'registered':
      return { kind, seq: whole(header, 'seq'), dropped: list(header, 'dropped').map(droppedItem) }
    case 'goaway':
      return { kind, retryAfterMs: whole(header, 'retryAfterMs') }
    default:
      return unknown(kind)
  }
}

function uplinkFrame(header: Header): UplinkFrame | undefined {
  const { kind } = header
  switch (kind) {
    case 'head': {
      const { status } = header
      if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
        throw new Malformed('status is none of an answer')
      }
      return { kind, call: id(header), status, headers: fields(header), last: flag(header, 'last') }
    }
    case 'data':
      return { kind, call: id(header), last: flag(header, 'last') }
    case 'credit':
      return { kind, call: id(header), bytes: credit(header) }
    case 'ack':
      return { kind, call: id(header) }
    case 'fault': {
      const message = text(header, 'message', 4096)
      return { kind, call: id(header), reason: faultReason(header), message, unsent: flag(header, 'unsent') }
    }
    case 'hello': {
      const isLeader = flag(header, 'isLeader')
      return { kind, replica: text(header, 'replica'), version: text(header, 'version'), isLeader }
    }
    case 'leading':
      return { kind, isLeader: flag(header, 'isLeader') }
    case 'snapshot':
      return { kind, epoch: whole(header, 'epoch'), seq: whole(header, 'seq'), last: flag(header, 'last') }
    case 'body':
      return { kind, epoch: whole(header, 'epoch'), digest: text(header, 'digest'), last: flag(header, 'last') }
    case 'goaway':
      return { kind }
    default:
      return unknown(kind)
  }
}

function unknown(kind: unknown): undefined {
  if (typeof kind !== 'string') throw new Malformed('kind is not a text')
}

const ID = /^[A-Za-z0-9]{1,64}-[1-9]\d{0,14}$/u
const FIELD_NAME = /^[a-z0-9-]{1,64}$/u
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/u

function id(header: Header): string {
  const { call } = header
  if (typeof call !== 'string' || !ID.test(call)) throw new Malformed('call is not the id of one')
  return call
}

/** HTTP fields as they may stand in a request or an answer: lower-case names, values without control characters. */
function fields(header: Header): Record<string, string> {
  const { headers } = header
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    throw new Malformed('headers are not an object')
  for (const [name, value] of Object.entries(headers)) {
    if (!FIELD_NAME.test(name) || typeof value !== 'string' || !FIELD_VALUE.test(value)) {
      throw new Malformed('headers hold what is no HTTP field')
    }
  }
  return headers as Record<string, string>
}

function place(target: unknown): CallTarget {
  if (typeof target !== 'object' || target === null) throw new Malformed('target is not an object')
  const header = target as Header
  return { kind: text(header, 'kind'), namespace: text(header, 'namespace'), name: text(header, 'name') }
}

function credit(header: Header): number {
  const bytes = whole(header, 'bytes')
  if (bytes === 0 || bytes > WINDOW) throw new Malformed('bytes is no credit that can be given')
  return bytes
}

const REASONS: ReadonlySet<unknown> = new Set<LinkFault['reason']>([
  'unreachable',
  'timeout',
  'unknown_target',
  'overloaded',
  'refused',
  'cancelled',
  'lost',
  'protocol',
])

/** A reason of a newer version says at least that the call is lost. */
function faultReason(header: Header): LinkFault['reason'] {
  const reason = text(header, 'reason')
  return REASONS.has(reason) ? (reason as LinkFault['reason']) : 'lost'
}

const DROPPED: ReadonlySet<unknown> = new Set<Dropped['reason']>([
  'not_allowed',
  'invalid',
  'too_many',
  'too_large',
  'shadowed',
  'conflict',
])

function droppedItem(item: unknown): Dropped {
  if (typeof item !== 'object' || item === null) throw new Malformed('dropped holds what is not an object')
  const header = item as Header
  const reason = text(header, 'reason')
  const known = DROPPED.has(reason) ? (reason as Dropped['reason']) : 'invalid'
  return { key: text(header, 'key', 1024), reason: known, message: text(header, 'message', 4096) }
}

function text(header: Header, name: string, longest = 253): string {
  const value = header[name]
  if (typeof value !== 'string' || value.length > longest) {
    throw new Malformed(`${name} is not a text of at most ${longest} characters`)
  }
  return value
}

function whole(header: Header, name: string): number {
  const value = header[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new Malformed(`${name} is not a whole number`)
  }
  return value
}

function flag(header: Header, name: string): boolean {
  const value = header[name]
  if (typeof value !== 'boolean') throw new Malformed(`${name} is not true or false`)
  return value
}

function list(header: Header, name: string): readonly unknown[] {
  const value = header[name]
  if (!Array.isArray(value)) throw new Malformed(`${name} is not a list`)
  return value
}
