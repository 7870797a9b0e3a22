// The calls of one link: turns what the state machine says into requests at proxies, and what they answer into frames. A call is for a
// resource of this cluster's snapshot, never for an address; whoever is slow holds up its own call only.

import { EMPTY } from '../../protocol/flow.ts'
import type { CallTarget, LinkFault, UplinkFrame } from '../../protocol/link.ts'
import { UplinkCalls, type EdgeCallFrame, type UplinkEffect } from './calls.ts'
import { inward, Unreached, type Door, type DoorAnswer } from './door.ts'
import { Feed } from './feed.ts'

/** An answer that is no stream and not larger goes in one frame, in bytes. */
const WHOLE = 64 * 1024

export interface CarrierHost {
  /** The door of a resource that is published now. */
  readonly door: (target: CallTarget) => Door | undefined
  readonly send: (frame: UplinkFrame, payload: Uint8Array) => void
  /** Resolves when what was sent has left, or soon. Undefined: it has. */
  readonly drained: () => Promise<void> | undefined
  /** The edge broke the protocol. */
  readonly close: (code: number, reason: string) => void
  readonly observe: (call: CallOutcome) => void
}

export interface CallOutcome {
  readonly result: 'answered' | 'aborted' | LinkFault['reason']
  /** Until the answer began, in seconds. */
  readonly seconds: number
}

interface Call {
  readonly stop: AbortController
  readonly feed: Feed | undefined
  readonly startedAt: number
  body: AsyncIterator<Uint8Array> | undefined
}

export class Carrier {
  readonly #host: CarrierHost
  readonly #machine = new UplinkCalls()
  readonly #calls = new Map<string, Call>()
  readonly #idle = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  constructor(host: CarrierHost) {
    this.#host = host
  }

  /** Calls under way. */
  get count(): number {
    return this.#machine.count
  }

  frame(frame: EdgeCallFrame, payload: Uint8Array): void {
    this.#do(this.#machine.frame(frame, payload, performance.now()))
  }

  /** New calls are refused; resolves when those under way have ended. */
  async drain(): Promise<void> {
    this.#machine.drain()
    while (this.#machine.count > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle.add(resolve)
      await promise
    }
  }

  /** The hub knows of no calls: nobody waits for those of before. */
  forget(): void {
    this.#do(this.#machine.forget())
  }

  /** The connection is gone: every call is given up. */
  closed(): void {
    this.#do(this.#machine.closed())
  }

  #do(effects: readonly UplinkEffect[]): void {
    for (const effect of effects) this.#act(effect)
    this.#schedule()
    if (this.#machine.count > 0 || this.#idle.size === 0) return
    for (const wake of this.#idle) wake()
    this.#idle.clear()
  }

  #act(effect: UplinkEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#sent(effect.frame)
        return this.#host.send(effect.frame, effect.payload)
      case 'open':
        return this.#open(effect)
      case 'piece':
        return this.#calls.get(effect.call)?.feed?.push(effect.bytes, effect.last)
      case 'read':
        return void this.#read(effect.call)
      case 'abort':
        return this.#end(effect.call, 'aborted')
      case 'close':
        return this.#host.close(effect.code, effect.reason)
    }
  }

  /** What was answered to its end, or broke off, needs nobody to read on. */
  #sent(frame: UplinkFrame): void {
    if (frame.kind === 'fault') this.#end(frame.call, frame.reason)
    else if (frame.kind === 'head') this.#observe(frame.call, 'answered')
    if ((frame.kind !== 'head' && frame.kind !== 'data') || !frame.last) return
    // Of an answer that may have no body nothing is read, and its connection is wanted back.
    this.#calls
      .get(frame.call)
      ?.body?.return?.()
      .catch(() => undefined)
    this.#calls.delete(frame.call)
  }

  #open(effect: UplinkEffect & { kind: 'open' }): void {
    const { call: id, target, method, last, bytes } = effect
    const feed = last ? undefined : new Feed((taken) => this.#do(this.#machine.took(id, taken)))
    feed?.push(bytes, false)
    const call: Call = { stop: new AbortController(), feed, startedAt: performance.now(), body: undefined }
    this.#calls.set(id, call)
    const door = this.#host.door(target)
    if (door === undefined) return this.#fail(id, UNKNOWN)
    const body = feed ?? (method === 'POST' ? bytes : undefined)
    const { signal } = call.stop
    door({ method, headers: inward(effect.headers), body, signal })
      .then((answer) => this.#answer(id, call, answer))
      .catch((error: unknown) => {
        if (!signal.aborted) this.#fail(id, error instanceof Unreached ? UNREACHED : BROKEN)
      })
  }

  async #answer(id: string, call: Call, { status, headers, body }: DoorAnswer): Promise<void> {
    const iterator = body[Symbol.asyncIterator]()
    if (this.#calls.get(id) !== call) return void iterator.return?.()
    call.body = iterator
    const pieces: Uint8Array[] = []
    let size = 0
    let last = false
    // What is no stream is there at once: in one frame it costs half.
    const wanted = headers['content-type']?.startsWith('text/event-stream') === true ? 0 : WHOLE
    while (!last && size < wanted) {
      const next = await iterator.next()
      if (next.done === true) last = true
      else {
        pieces.push(next.value)
        size += next.value.length
      }
    }
    if (this.#calls.get(id) !== call) return void iterator.return?.()
    const [first = EMPTY] = pieces
    this.#do(this.#machine.head(id, status, headers, pieces.length < 2 ? first : Buffer.concat(pieces), last))
  }

  async #read(id: string): Promise<void> {
    const call = this.#calls.get(id)
    if (call?.body === undefined) return
    await this.#host.drained()
    try {
      const next = await call.body.next()
      if (this.#calls.get(id) !== call) return
      this.#do(this.#machine.piece(id, next.done === true ? EMPTY : next.value, next.done === true))
    } catch {
      if (this.#calls.get(id) === call) this.#fail(id, BROKEN)
    }
  }

  #fail(id: string, fault: LinkFault): void {
    this.#do(this.#machine.fail(id, fault))
  }

  #end(id: string, result: CallOutcome['result']): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    if (call.body === undefined) this.#observe(id, result)
    this.#calls.delete(id)
    call.stop.abort()
    call.body?.return?.()?.catch(() => undefined)
  }

  #observe(id: string, result: CallOutcome['result']): void {
    const call = this.#calls.get(id)
    if (call !== undefined) this.#host.observe({ result, seconds: (performance.now() - call.startedAt) / 1000 })
  }

  /** One timer for whatever is due first. */
  #schedule(): void {
    const { due } = this.#machine
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (due === undefined) return
    this.#timer = setTimeout(
      () => this.#do(this.#machine.tick(performance.now())),
      Math.max(1, due - performance.now()),
    )
  }
}

const UNKNOWN: LinkFault = { reason: 'unknown_target', message: 'This cluster publishes no such server.', unsent: true }
const UNREACHED: LinkFault = {
  reason: 'unreachable',
  message: 'The proxy of the server cannot be reached.',
  unsent: true,
}
const BROKEN: LinkFault = { reason: 'lost', message: 'The connection to the proxy of the server broke.', unsent: false }
