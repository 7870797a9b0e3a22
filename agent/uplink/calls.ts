// The calls of one link, at the uplink's end: what has arrived, what is answered, and what is called off. Without I/O: every input
// returns what its driver is to do, in order. Ids of calls rise, so that no call is ever made twice.

import { EMPTY, Inflow, Outflow } from '../../protocol/flow.ts'
import { PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { MAX_CALLS, type EdgeFrame, type LinkFault, type UplinkFrame } from '../../protocol/link.ts'

/** Frames of the edge that are for this machine; all others are its driver's. */
export type EdgeCallFrame = Extract<EdgeFrame, { readonly call: string }>

export type UplinkEffect =
  | { readonly kind: 'send'; readonly frame: UplinkFrame; readonly payload: Uint8Array }
  /** A call to make; `bytes` is the first piece of its body. */
  | (Extract<EdgeFrame, { readonly kind: 'open' }> & { readonly bytes: Uint8Array })
  /** The next piece of the request's body. */
  | { readonly kind: 'piece'; readonly call: string; readonly bytes: Uint8Array; readonly last: boolean }
  /** Read one piece of the answer's body, and give it to `piece`. */
  | { readonly kind: 'read'; readonly call: string }
  /** Nobody waits for this call any more: give it up, silently. */
  | { readonly kind: 'abort'; readonly call: string }
  /** The edge broke the protocol; all calls have been aborted. */
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }

/** A call of which nothing has been said for this long is acknowledged, in milliseconds. */
const ACK_AFTER_MS = 250

interface Call {
  readonly id: string
  readonly out: Outflow
  readonly in: Inflow
  readonly ackAt: number
  readonly headBy: number
  isAcknowledged: boolean
  isBegun: boolean
}

export class UplinkCalls {
  readonly #calls = new Map<string, Call>()
  /** Of the newest call: all of one memory of the hub have the same base, and count upwards. */
  #base = ''
  #last = 0
  #due = Infinity
  #isDraining = false
  #isClosed = false

  /** When `tick` is to be called next, in milliseconds; undefined while nothing has a deadline. Look after every input. */
  get due(): number | undefined {
    return this.#due === Infinity ? undefined : this.#due
  }

  /** Calls under way. */
  get count(): number {
    return this.#calls.size
  }

  /** New calls are refused from now on, unmade; those under way go on. */
  drain(): void {
    this.#isDraining = true
  }

  closed(): UplinkEffect[] {
    this.#isClosed = true
    return this.forget()
  }

  /** The hub knows of no calls: it said `welcome`. */
  forget(): UplinkEffect[] {
    const effects: UplinkEffect[] = [...this.#calls.keys()].map((call) => ({ kind: 'abort', call }))
    this.#calls.clear()
    return effects
  }

  frame(frame: EdgeCallFrame, payload: Uint8Array, now: number): UplinkEffect[] {
    if (this.#isClosed) return []
    if (frame.kind === 'open') return this.#open(frame, payload, now)
    const call = this.#calls.get(frame.call)
    // It has been answered or called off meanwhile.
    if (call === undefined) return []
    switch (frame.kind) {
      case 'data':
        if (!call.in.receive(payload.length, frame.last)) return this.#refuse('a body beyond its credit or its end')
        if (payload.length === 0 && !frame.last) return []
        return [{ kind: 'piece', call: call.id, bytes: payload, last: frame.last }]
      case 'credit': {
        if (!call.out.grant(frame.bytes)) return this.#refuse('credit for more bytes than were sent')
        return this.#flow(call, [])
      }
      case 'cancel':
        this.#calls.delete(call.id)
        return [{ kind: 'abort', call: call.id }]
    }
  }

  /** The answer begins. `bytes` is what is known of its body already; `last`: that is all of it. */
  head(
    id: string,
    status: number,
    headers: Readonly<Record<string, string>>,
    bytes: Uint8Array,
    last: boolean,
  ): UplinkEffect[] {
    const call = this.#calls.get(id)
    if (call === undefined || call.isBegun) return []
    call.isBegun = true
    const hasBody = status !== 204 && status !== 205 && status !== 304
    call.out.put(hasBody ? bytes : EMPTY, last || !hasBody)
    const first = call.out.next() ?? { bytes: EMPTY, last: false }
    call.isAcknowledged = true
    if (first.last) this.#calls.delete(id)
    const frame: UplinkFrame = { kind: 'head', call: id, status, headers, last: first.last }
    return this.#flow(call, [{ kind: 'send', frame, payload: first.bytes }])
  }

  /** A piece of the answer's body, after `read` asked for it. */
  piece(id: string, bytes: Uint8Array, last: boolean): UplinkEffect[] {
    const call = this.#calls.get(id)
    if (call === undefined || !call.isBegun) return []
    call.out.put(bytes, last)
    return this.#flow(call, [])
  }

  /** The request's reader took so many bytes of what `open` and `piece` brought. */
  took(id: string, bytes: number): UplinkEffect[] {
    const call = this.#calls.get(id)
    const credit = call?.in.took(bytes) ?? 0
    if (call === undefined || credit === 0) return []
    call.isAcknowledged = true
    return [send({ kind: 'credit', call: id, bytes: credit })]
  }

  /** The call cannot be made, or its answer breaks off. */
  fail(id: string, { reason, message, unsent }: LinkFault): UplinkEffect[] {
    if (!this.#calls.delete(id)) return []
    return [send({ kind: 'fault', call: id, reason, message, unsent })]
  }

  /** Acknowledges what takes long, and gives up what takes too long. */
  tick(now: number): UplinkEffect[] {
    const effects: UplinkEffect[] = []
    this.#due = Infinity
    for (const call of this.#calls.values()) {
      if (call.isBegun) continue
      if (now >= call.headBy) {
        this.#calls.delete(call.id)
        effects.push({ kind: 'abort', call: call.id }, send({ kind: 'fault', call: call.id, ...TIMEOUT }))
        continue
      }
      if (!call.isAcknowledged && now >= call.ackAt) {
        call.isAcknowledged = true
        effects.push(send({ kind: 'ack', call: call.id }))
      }
      this.#due = Math.min(this.#due, call.headBy, call.isAcknowledged ? Infinity : call.ackAt)
    }
    return effects
  }

  #open(frame: EdgeCallFrame & { kind: 'open' }, payload: Uint8Array, now: number): UplinkEffect[] {
    const { call: id, target, method, headers, deadlineMs, last } = frame
    const dash = id.lastIndexOf('-')
    const base = id.slice(0, dash)
    const number = Number(id.slice(dash + 1))
    if (base === this.#base && number <= this.#last) return this.#refuse('a call whose id has been there before')
    const inflow = new Inflow()
    if (!inflow.receive(payload.length, last)) return this.#refuse('more bytes than there was credit for')
    // A hub with another base woke up without memory: nobody waits for the calls of before.
    const effects = base === this.#base ? [] : this.forget()
    this.#base = base
    this.#last = number
    const refusal = this.#isDraining ? ENDING : this.#calls.size >= MAX_CALLS ? OVERLOADED : undefined
    if (refusal !== undefined) return [...effects, send({ kind: 'fault', call: id, ...refusal })]
    const call: Call = {
      id,
      out: new Outflow(),
      in: inflow,
      ackAt: now + ACK_AFTER_MS,
      headBy: now + deadlineMs,
      isAcknowledged: false,
      isBegun: false,
    }
    this.#calls.set(id, call)
    this.#due = Math.min(this.#due, call.ackAt, call.headBy)
    effects.push({ kind: 'open', call: id, target, method, headers, deadlineMs, bytes: payload, last })
    return effects
  }

  /** Sends what may be sent of the answer's body, and asks for more of it. */
  #flow(call: Call, effects: UplinkEffect[]): UplinkEffect[] {
    for (let piece = call.out.next(); piece !== undefined; piece = call.out.next()) {
      if (piece.last) this.#calls.delete(call.id)
      effects.push(send({ kind: 'data', call: call.id, last: piece.last }, piece.bytes))
    }
    if (call.out.wants()) effects.push({ kind: 'read', call: call.id })
    return effects
  }

  #refuse(reason: string): UplinkEffect[] {
    const effects = this.closed()
    effects.push({ kind: 'close', code: PROTOCOL_ERROR, reason })
    return effects
  }
}

function send(frame: UplinkFrame, payload: Uint8Array = EMPTY): UplinkEffect {
  return { kind: 'send', frame, payload }
}

const ENDING: LinkFault = { reason: 'unreachable', message: 'This replica of the uplink ends.', unsent: true }
const OVERLOADED: LinkFault = { reason: 'overloaded', message: 'Too many calls on this link.', unsent: true }
const TIMEOUT: LinkFault = { reason: 'timeout', message: 'The server did not begin to answer in time.', unsent: false }
