// The calls of a hub as HTTP exchanges: requests in, answers out, and between them the machine that says what goes over which link.
// What is read of a body was given credit for, so a reader that is slow holds up its own call and no memory.

import { EMPTY } from '../../protocol/flow.ts'
import { encode } from '../../protocol/frame.ts'
import { ACK_MS, CALL_HEADERS, type CallTarget, type LinkFault } from '../../protocol/link.ts'
import { HubCalls, type HubEffect, type UplinkCallFrame } from './calls.ts'
import { AnswerBody } from './answer-body.ts'
import { faulty } from './fault.ts'

/** A body of a known length up to this is sent with the call. */
const SHORT = 64 * 1024
/** Bytes of all answers together that may wait to be read. */
const MAX_HELD = 32 * 1024 * 1024
const MAX_DEADLINE_MS = 3_600_000
/** Weight of the newest call in the latency of a link. */
const NEWEST = 0.1

/** Response headers that say something of the answer rather than of its way here. */
const RESPONSE_HEADERS: ReadonlySet<string> = new Set(['content-type', 'retry-after'])
/** Statuses of answers that have no body. */
const BARE: ReadonlySet<number> = new Set([204, 205, 304])
const isMcp = (name: string): boolean => name.startsWith('mcp-')

export interface Wires {
  send(connection: string, bytes: Uint8Array): void
  /** The machine has given this connection up. */
  close(connection: string, code: number, reason: string): void
  /** A call got no word within its time: the link may be dead. */
  doubt(connection: string): void
}

export interface Tally {
  calls: number
  faults: Partial<Record<LinkFault['reason'], number>>
}

interface Exchange {
  readonly connection: string | undefined
  readonly started: number
  readonly answer: (response: Response) => void
  request: ReadableStreamDefaultReader<Uint8Array> | undefined
  body: AnswerBody | undefined
}

export class Exchanges {
  readonly #wires: Wires
  readonly #machine: HubCalls
  readonly #exchanges = new Map<string, Exchange>()
  /** Answers of which something waits to be read, and whose they are; also of calls that are over. */
  readonly #unread = new Map<AnswerBody, string>()
  #held = 0
  readonly #latency = new Map<string, number>()
  readonly #tally: Tally = { calls: 0, faults: {} }
  #timer: ReturnType<typeof setTimeout> | undefined
  #rings = Number.POSITIVE_INFINITY

  constructor(wires: Wires) {
    this.#wires = wires
    this.#machine = new HubCalls(crypto.randomUUID().replaceAll('-', ''))
  }

  /** Since the hub woke up. */
  get tally(): Readonly<Tally> {
    return this.#tally
  }

  /** Calls under way, of one connection or of all. */
  count(connection?: string): number {
    return this.#machine.count(connection)
  }

  /** Milliseconds until calls on this link were answered lately; undefined before the first. */
  latency(connection: string): number | undefined {
    return this.#latency.get(connection)
  }

  opened(connection: string): void {
    this.#machine.opened(connection)
  }

  drain(connection: string): void {
    this.#machine.drain(connection)
  }

  /** When a link was heard last, in milliseconds since the epoch, and whether that is long ago. */
  seen(connection: string, at: number, isSilent: boolean): void {
    this.#machine.seen(connection, at, isSilent)
  }

  closed(connection: string): void {
    this.#latency.delete(connection)
    this.#do(this.#machine.closed(connection))
  }

  frame(connection: string, frame: UplinkCallFrame, payload: Uint8Array): void {
    this.#do(this.#machine.frame(connection, frame, payload))
  }

  /** One exchange with a proxy. Never rejects: what goes wrong is a response with a `LinkFault`. */
  async call(target: CallTarget, request: Request, deadlineMs: number): Promise<Response> {
    const method = request.method
    if (method !== 'POST' && method !== 'GET' && method !== 'DELETE')
      return faulty({ reason: 'refused', message: `method ${method.slice(0, 16)}`, unsent: true })
    let body = EMPTY
    let last = true
    if (request.body !== null) {
      last = Number(request.headers.get('content-length') ?? Number.NaN) <= SHORT
      if (last) {
        try {
          body = new Uint8Array(await request.arrayBuffer())
        } catch {
          return faulty({ reason: 'cancelled', message: 'the request broke off', unsent: true })
        }
      }
    }
    const { signal } = request
    if (signal.aborted) return faulty({ reason: 'cancelled', message: 'the caller left', unsent: true })
    const deadline = Math.min(Math.max(1, Math.trunc(deadlineMs)), MAX_DEADLINE_MS)
    const now = Date.now()
    const wanted = {
      target,
      method,
      headers: requestHeaders(request.headers),
      deadlineMs: deadline,
      body,
      last,
    } as const
    const { call, effects } = this.#machine.open(wanted, now)
    this.#tally.calls += 1
    const { promise, resolve } = Promise.withResolvers<Response>()
    const first = effects.find((effect) => effect.kind === 'send')
    this.#exchanges.set(call, {
      connection: first?.connection,
      started: now,
      answer: resolve,
      request: last || request.body === null ? undefined : request.body.getReader(),
      body: undefined,
    })
    this.#do(effects)
    // The signal of a response that streams is its body's `cancel`.
    signal.addEventListener('abort', () => this.#leave(call), { once: true })
    return promise
  }

  #leave(call: string): void {
    const exchange = this.#exchanges.get(call)
    if (exchange === undefined) return
    this.#end(call, exchange)
    this.#do(this.#machine.cancel(call))
    exchange.body?.fail('the caller left')
    exchange.answer(faulty({ reason: 'cancelled', message: 'the caller left', unsent: false }))
  }

  #do(effects: readonly HubEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#wires.send(effect.connection, encode(effect.frame, effect.payload))
          break
        case 'close':
          this.#wires.close(effect.connection, effect.code, effect.reason)
          break
        case 'read':
          void this.#read(effect.call)
          break
        case 'head':
          this.#head(effect)
          break
        case 'piece': {
          const exchange = this.#exchanges.get(effect.call)
          if (exchange === undefined) break
          if (effect.last) this.#end(effect.call, exchange)
          exchange.body?.put(effect.bytes, effect.last)
          break
        }
        case 'fault':
          this.#fault(effect.call, effect.fault)
          break
      }
    }
    this.#wind()
  }

  #head({ call, status, headers, bytes, last }: Extract<HubEffect, { kind: 'head' }>): void {
    const exchange = this.#exchanges.get(call)
    if (exchange === undefined) return
    const { connection } = exchange
    if (connection !== undefined) {
      const took = Date.now() - exchange.started
      const before = this.#latency.get(connection)
      this.#latency.set(connection, before === undefined ? took : before + (took - before) * NEWEST)
    }
    const init = { status, headers: responseHeaders(headers) }
    const isBare = BARE.has(status)
    if (last || isBare) {
      this.#end(call, exchange)
      const hasBody = !isBare && bytes.length > 0
      // Whoever knows the length of an answer reads it at once.
      if (hasBody) init.headers['content-length'] = String(bytes.length)
      exchange.answer(new Response(hasBody ? bytes : null, init))
      if (!last) this.#do(this.#machine.cancel(call))
      return
    }
    const body = new AnswerBody(
      (taken) => this.#do(this.#machine.took(call, taken)),
      () => this.#leave(call),
      (of, more) => this.#hold(of, call, more),
    )
    exchange.body = body
    body.put(bytes, false)
    exchange.answer(new Response(body.stream, init))
  }

  /** Each answer has its window, but many readers that stop at once would fill the memory that all calls share. */
  #hold(body: AnswerBody, call: string, more: number): void {
    this.#held += more
    if (body.waiting === 0) this.#unread.delete(body)
    else this.#unread.set(body, call)
    if (more <= 0 || this.#held <= MAX_HELD) return
    const [largest, whose] = [...this.#unread].reduce((most, one) => (one[0].waiting > most[0].waiting ? one : most))
    largest.discard('too much waits to be read')
    this.#leave(whose)
  }

  #fault(call: string, fault: LinkFault): void {
    const { faults } = this.#tally
    faults[fault.reason] = (faults[fault.reason] ?? 0) + 1
    const exchange = this.#exchanges.get(call)
    if (exchange === undefined) return
    this.#end(call, exchange)
    if (exchange.body === undefined) exchange.answer(faulty(fault))
    else exchange.body.fail(fault.message)
    // An uplink says whatever it says of a call within moments.
    const isSilent = fault.reason === 'lost' && exchange.connection !== undefined
    if (isSilent) this.#wires.doubt(exchange.connection)
  }

  /** The request's body, a piece at a time and only when the other end has room for it. */
  async #read(call: string): Promise<void> {
    const reader = this.#exchanges.get(call)?.request
    if (reader === undefined) return
    try {
      const { done, value } = await reader.read()
      this.#do(this.#machine.piece(call, done ? EMPTY : value, done))
    } catch {
      this.#leave(call)
    }
  }

  #end(call: string, exchange: Exchange): void {
    this.#exchanges.delete(call)
    exchange.request?.cancel().catch(() => undefined)
    exchange.request = undefined
  }

  /** One timer, set while a call has a deadline: with any timer a hub cannot sleep. */
  #wind(): void {
    const { due } = this.#machine
    if (due === undefined || this.#exchanges.size === 0) {
      // Calls come and go faster than timers are worth setting: one that rings soon anyway may.
      if (this.#timer === undefined || this.#rings - Date.now() <= ACK_MS) return
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#rings = Number.POSITIVE_INFINITY
      return
    }
    if (this.#rings <= due) return
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#rings = due
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#rings = Number.POSITIVE_INFINITY
        this.#do(this.#machine.tick(Date.now()))
      },
      Math.max(0, due - Date.now()),
    )
  }
}

function requestHeaders(given: Headers): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of given) if (CALL_HEADERS.has(name) || isMcp(name)) headers[name] = value
  return headers
}

function responseHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given))
    if (RESPONSE_HEADERS.has(name) || isMcp(name)) headers[name] = value
  return headers
}
