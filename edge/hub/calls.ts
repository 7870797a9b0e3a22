// The calls of one hub over the links of its cluster: which link a call takes, what is sent, and when it is given up. Without I/O:
// every input returns what its driver is to do, in order. A call ends exactly once: with its last piece, a fault, or `cancel`.

import { EMPTY, Inflow, Outflow } from '../../protocol/flow.ts'
import { PROTOCOL_ERROR } from '../../protocol/frame.ts'
import {
  ACK_MS,
  MAX_CALLS,
  type CallTarget,
  type EdgeFrame,
  type LinkFault,
  type UplinkFrame,
} from '../../protocol/link.ts'
import { choose, connected, type Connection } from './connection.ts'

/** Frames of an uplink that are for this machine; all others are its driver's. */
export type UplinkCallFrame = Extract<UplinkFrame, { readonly call: string } | { readonly kind: 'goaway' }>

/** A call to make. `body` is what is known of its body already; `last`: that is all of it. */
export interface HubCall {
  readonly target: CallTarget
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly deadlineMs: number
  readonly body: Uint8Array
  readonly last: boolean
}

export type HubEffect =
  | { readonly kind: 'send'; readonly connection: string; readonly frame: EdgeFrame; readonly payload: Uint8Array }
  /** The answer begins; `bytes` is the first piece of its body. */
  | {
      readonly kind: 'head'
      readonly call: string
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly bytes: Uint8Array
      readonly last: boolean
    }
  | { readonly kind: 'piece'; readonly call: string; readonly bytes: Uint8Array; readonly last: boolean }
  | { readonly kind: 'fault'; readonly call: string; readonly fault: LinkFault }
  /** Read one piece of the request's body, and give it to `piece`. */
  | { readonly kind: 'read'; readonly call: string }
  /** This connection broke the protocol; its calls have been given up. */
  | { readonly kind: 'close'; readonly connection: string; readonly code: number; readonly reason: string }

interface Call {
  readonly id: string
  readonly connection: Connection<Call>
  readonly out: Outflow
  readonly in: Inflow
  ackBy: number
  /** It has had more time to be acknowledged, once. */
  isSpared: boolean
  readonly headBy: number
  isHeard: boolean
  isBegun: boolean
}

/** A deadline that is looked at so late says nothing of the other side. */
const STOOD_STILL_MS = 100

const UNREACHABLE: LinkFault = { reason: 'unreachable', message: 'No link to the cluster is open.', unsent: true }
const OVERLOADED: LinkFault = {
  reason: 'overloaded',
  message: 'Too many calls on the links to the cluster.',
  unsent: true,
}
const LOST: LinkFault = { reason: 'lost', message: 'The link broke while the call was under way.', unsent: false }
const BROKEN: LinkFault = {
  reason: 'protocol',
  message: 'The link was closed: its frames made no sense.',
  unsent: false,
}
const SILENT: LinkFault = { reason: 'lost', message: 'The cluster did not say that the call arrived.', unsent: false }
const TIMEOUT: LinkFault = { reason: 'timeout', message: 'The server did not begin to answer in time.', unsent: false }

export class HubCalls {
  readonly #base: string
  readonly #calls = new Map<string, Call>()
  readonly #connections = new Map<string, Connection<Call>>()
  #count = 0
  #opened = 0
  #due = Infinity

  /** `base`: at least 64 random bits as letters and digits, new whenever the hub's memory is. */
  constructor(base: string) {
    this.#base = base
  }

  /** When `tick` is to be called next, in milliseconds; undefined while nothing has a deadline. Look after every input. */
  get due(): number | undefined {
    return this.#due === Infinity ? undefined : this.#due
  }

  /** Calls under way, of one connection or of all. */
  count(connection?: string): number {
    return connection === undefined ? this.#calls.size : (this.#connections.get(connection)?.calls.size ?? 0)
  }

  /** A link is there; or was when this hub woke up. The later of two is the newer one. */
  opened(connection: string): void {
    this.#opened += 1
    this.#connections.set(connection, connected(connection, this.#opened))
  }

  /** No new calls on this link. */
  drain(connection: string): void {
    const found = this.#connections.get(connection)
    if (found !== undefined) found.isDraining = true
  }

  /** When a link was heard last, by frames or pings, and whether that is long ago. */
  seen(connection: string, at: number, isSilent: boolean): void {
    const found = this.#connections.get(connection)
    if (found === undefined) return
    found.isSilent = isSilent
    if (found.suspectAt !== undefined && at > found.suspectAt) found.suspectAt = undefined
  }

  closed(connection: string): HubEffect[] {
    return this.#drop(connection, LOST)
  }

  /** Makes a call. Its faults come as effects, at once where no link can take it. */
  open(wanted: HubCall, now: number): { readonly call: string; readonly effects: HubEffect[] } {
    this.#count += 1
    const id = `${this.#base}-${this.#count}`
    const effects: HubEffect[] = []
    const connection = choose(this.#connections.values())
    if (connection === undefined) {
      const isFull = [...this.#connections.values()].some((one) => one.calls.size >= MAX_CALLS)
      return { call: id, effects: [{ kind: 'fault', call: id, fault: isFull ? OVERLOADED : UNREACHABLE }] }
    }
    const { target, method, headers, deadlineMs, body } = wanted
    const call: Call = {
      id,
      connection,
      out: new Outflow(),
      in: new Inflow(),
      ackBy: now + ACK_MS,
      isSpared: false,
      headBy: now + deadlineMs,
      isHeard: false,
      isBegun: false,
    }
    connection.calls.add(call)
    connection.unheard += 1
    this.#calls.set(id, call)
    this.#due = Math.min(this.#due, call.ackBy, call.headBy)
    call.out.put(body, wanted.last)
    const { bytes, last } = call.out.next() ?? { bytes: EMPTY, last: false }
    const frame: EdgeFrame = { kind: 'open', call: id, target, method, headers, deadlineMs, last }
    effects.push({ kind: 'send', connection: connection.id, frame, payload: bytes })
    flow(call, effects)
    return { call: id, effects }
  }

  /** A piece of the request's body, after `read` asked for it. */
  piece(id: string, bytes: Uint8Array, last: boolean): HubEffect[] {
    const call = this.#calls.get(id)
    const effects: HubEffect[] = []
    if (call === undefined) return effects
    call.out.put(bytes, last)
    flow(call, effects)
    return effects
  }

  /** The answer's reader took so many bytes of what `head` and `piece` brought. */
  took(id: string, bytes: number): HubEffect[] {
    const call = this.#calls.get(id)
    const credit = call?.in.took(bytes) ?? 0
    return call === undefined || credit === 0 ? [] : [send(call, { kind: 'credit', call: id, bytes: credit })]
  }

  /** Nobody waits for this call any more. */
  cancel(id: string): HubEffect[] {
    const call = this.#calls.get(id)
    if (call === undefined) return []
    this.#end(call)
    return [send(call, { kind: 'cancel', call: id })]
  }

  frame(connection: string, frame: UplinkCallFrame, payload: Uint8Array): HubEffect[] {
    const from = this.#connections.get(connection)
    if (from === undefined) return []
    from.suspectAt = undefined
    from.isSilent = false
    if (frame.kind === 'goaway') {
      from.isDraining = true
      return []
    }
    const call = this.#calls.get(frame.call)
    if (call === undefined) return this.#unknown(from, frame)
    if (call.connection !== from) return this.#refuse(from, 'a frame for a call of another connection')
    this.#hear(call)
    switch (frame.kind) {
      case 'ack':
        return []
      case 'head': {
        const { status, headers, last } = frame
        if (call.isBegun) return this.#refuse(from, 'a second head for one call')
        if (!call.in.receive(payload.length, last)) return this.#refuse(from, 'more bytes than there was credit for')
        call.isBegun = true
        if (last) this.#end(call)
        return [{ kind: 'head', call: call.id, status, headers, bytes: payload, last }]
      }
      case 'data': {
        if (!call.isBegun) return this.#refuse(from, 'a body before its head')
        if (!call.in.receive(payload.length, frame.last)) {
          return this.#refuse(from, 'more bytes than there was credit for')
        }
        if (payload.length === 0 && !frame.last) return []
        if (frame.last) this.#end(call)
        return [{ kind: 'piece', call: call.id, bytes: payload, last: frame.last }]
      }
      case 'credit': {
        if (!call.out.grant(frame.bytes)) return this.#refuse(from, 'credit for more bytes than were sent')
        const effects: HubEffect[] = []
        flow(call, effects)
        return effects
      }
      case 'fault': {
        const { reason, message, unsent } = frame
        this.#end(call)
        return [{ kind: 'fault', call: call.id, fault: { reason, message, unsent } }]
      }
    }
  }

  /** Gives up whatever has waited too long. */
  tick(now: number): HubEffect[] {
    const effects: HubEffect[] = []
    this.#due = Infinity
    for (const call of this.#calls.values()) {
      if (call.isBegun) continue
      // Whoever looks so late stood still, and has yet to read what came meanwhile: as long again.
      if (!call.isHeard && !call.isSpared && now - call.ackBy >= STOOD_STILL_MS) {
        call.ackBy = now + ACK_MS
        call.isSpared = true
      }
      const isLost = !call.isHeard && now >= call.ackBy
      if (isLost || now >= call.headBy) {
        if (isLost) call.connection.suspectAt = now
        this.#end(call)
        effects.push(send(call, { kind: 'cancel', call: call.id }))
        effects.push({ kind: 'fault', call: call.id, fault: isLost ? SILENT : TIMEOUT })
      } else {
        this.#due = Math.min(this.#due, call.headBy, call.isHeard ? Infinity : call.ackBy)
      }
    }
    return effects
  }

  #hear(call: Call): void {
    if (call.isHeard) return
    call.isHeard = true
    call.connection.unheard -= 1
  }

  #end(call: Call): void {
    this.#hear(call)
    call.connection.calls.delete(call)
    this.#calls.delete(call.id)
  }

  /** Calls of this hub were given up, and the uplink knows; those of its memory before are not: it forgot them. */
  #unknown(from: Connection<Call>, frame: Exclude<UplinkCallFrame, { kind: 'goaway' }>): HubEffect[] {
    const isMine = frame.call.startsWith(`${this.#base}-`)
    const isOver = frame.kind === 'fault' || ((frame.kind === 'head' || frame.kind === 'data') && frame.last)
    if (isMine || isOver) return []
    return [{ kind: 'send', connection: from.id, frame: { kind: 'cancel', call: frame.call }, payload: EMPTY }]
  }

  #refuse(from: Connection<Call>, why: string): HubEffect[] {
    const effects = this.#drop(from.id, BROKEN)
    effects.push({ kind: 'close', connection: from.id, code: PROTOCOL_ERROR, reason: why })
    return effects
  }

  #drop(connection: string, fault: LinkFault): HubEffect[] {
    const found = this.#connections.get(connection)
    if (found === undefined) return []
    this.#connections.delete(connection)
    const effects: HubEffect[] = []
    for (const call of found.calls) {
      this.#end(call)
      effects.push({ kind: 'fault', call: call.id, fault })
    }
    return effects
  }
}

/** Sends what may be sent of the request's body, and asks for more of it. */
function flow(call: Call, effects: HubEffect[]): void {
  for (let piece = call.out.next(); piece !== undefined; piece = call.out.next()) {
    effects.push(send(call, { kind: 'data', call: call.id, last: piece.last }, piece.bytes))
  }
  if (call.out.wants()) effects.push({ kind: 'read', call: call.id })
}

function send(call: Call, frame: EdgeFrame, payload: Uint8Array = EMPTY): HubEffect {
  return { kind: 'send', connection: call.connection.id, frame, payload }
}
