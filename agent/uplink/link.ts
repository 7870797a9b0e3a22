// One connection to the edge: a WebSocket that this end opened. It carries calls, and the publisher's frames; it notices when nobody is
// there any more, and it ends once: `ended` resolves then, whatever happened.

import { WebSocket, type RawData } from 'ws'
import { EMPTY } from '../../protocol/flow.ts'
import { decodeEdge, encode, PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { PING, PING_MS, PONG, type CallTarget, type EdgeFrame, type UplinkFrame } from '../../protocol/link.ts'
import { Carrier, type CallOutcome } from './carrier.ts'
import type { Door } from './door.ts'

/** A peer that left this many pings unanswered is not there. */
const UNANSWERED = 2
/** Bytes that may wait for the network before more are asked for. */
const HIGH_WATER = 1024 * 1024
const CLOSE_MS = 2_000

/** Frames that are no call's. */
export type Notice = Exclude<EdgeFrame, { readonly call: string }>

export interface LinkHost {
  readonly door: (target: CallTarget) => Door | undefined
  readonly observe: (call: CallOutcome) => void
  /** Seconds between a ping and its answer. */
  readonly latency: (seconds: number) => void
  readonly heard: (link: Link, notice: Notice) => void
}

/** For tests: chance, and time between two pings. */
export interface Pacing {
  readonly random?: () => number
  readonly pingMs?: number
}

export interface Ended {
  readonly code: number
  readonly reason: string
}

export class Link {
  /** When it ended, and how. Never rejects. */
  readonly ended: Promise<Ended>
  readonly #socket: WebSocket
  readonly #host: LinkHost
  readonly #carrier: Carrier
  readonly #random: () => number
  readonly #pingMs: number
  readonly #waiting = new Set<() => void>()
  #unanswered = 0
  #pingedAt = 0
  #pings: NodeJS.Timeout | undefined
  #leaving: Promise<void> | undefined

  /** `socket` is open; nothing of it has been read yet. */
  constructor(socket: WebSocket, host: LinkHost, { random = Math.random, pingMs = PING_MS }: Pacing = {}) {
    this.#socket = socket
    this.#host = host
    this.#random = random
    this.#pingMs = pingMs
    this.#carrier = new Carrier({
      door: host.door,
      observe: host.observe,
      send: (frame, payload) => this.#send(frame, payload),
      drained: () => (socket.bufferedAmount < HIGH_WATER ? undefined : this.#flushed()),
      close: (code, reason) => this.#close(code, reason),
    })
    const { promise, resolve } = Promise.withResolvers<Ended>()
    this.ended = promise
    socket.on('message', (data, isBinary) => this.#message(data, isBinary))
    // What an error was about is told by the close that follows.
    socket.on('error', () => undefined)
    socket.once('close', (code, reason) => {
      clearTimeout(this.#pings)
      this.#carrier.closed()
      this.#wake()
      resolve({ code, reason: reason.toString().slice(0, 200) })
    })
    this.#schedulePing()
  }

  /** Calls under way. */
  get calls(): number {
    return this.#carrier.count
  }

  /** Sends a frame. Resolves when it has left. Rejects when the connection has ended. */
  push(frame: UplinkFrame, payload: Uint8Array = EMPTY): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(encode(frame, payload), { binary: true }, (error) => {
        this.#wake()
        if (error === undefined || error === null) resolve()
        else reject(error)
      })
    })
  }

  /** Sends a frame, if it still can. */
  say(frame: UplinkFrame): void {
    this.#send(frame, EMPTY)
  }

  /** Says goodbye: calls under way are answered within this time, new ones are not taken. Resolves when it has ended. */
  async leave(withinMs: number): Promise<void> {
    this.#leaving ??= this.#leave(withinMs)
    return this.#leaving
  }

  /** Ends at once. */
  kill(): void {
    this.#socket.terminate()
  }

  async #leave(withinMs: number): Promise<void> {
    this.#send({ kind: 'goaway' }, EMPTY)
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, withinMs)
    await Promise.race([this.#carrier.drain(), late.promise, this.ended])
    clearTimeout(timer)
    this.#close(1000, 'leaving')
    await this.ended
  }

  #send(frame: UplinkFrame, payload: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return
    this.#socket.send(encode(frame, payload), { binary: true }, () => this.#wake())
  }

  /** Resolves when the network has taken enough of what waits for it, or takes nothing any more. */
  async #flushed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    await promise
  }

  #wake(): void {
    if (this.#socket.readyState === WebSocket.OPEN && this.#socket.bufferedAmount >= HIGH_WATER) return
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** A peer that does not answer is not waited for. */
  #close(code: number, reason: string): void {
    this.#socket.close(code, reason.slice(0, 120))
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref()
  }

  #message(data: RawData, isBinary: boolean): void {
    this.#unanswered = 0
    if (!isBinary) {
      if (rawText(data) === PONG) this.#host.latency((performance.now() - this.#pingedAt) / 1000)
      else this.#close(PROTOCOL_ERROR, 'a text that is no pong')
      return
    }
    // One buffer for each message: what a Node server's client receives when it asks for nothing else.
    const decoded = decodeEdge(data as Buffer)
    if (decoded.kind === 'malformed') return this.#close(PROTOCOL_ERROR, decoded.message)
    if (decoded.kind === 'unknown') return
    const { frame, payload } = decoded
    if ('call' in frame) return this.#carrier.frame(frame, payload)
    if (frame.kind === 'welcome') this.#carrier.forget()
    this.#host.heard(this, frame)
  }

  #schedulePing(): void {
    this.#pings = setTimeout(
      () => {
        if (this.#unanswered >= UNANSWERED) return this.kill()
        this.#unanswered += 1
        this.#pingedAt = performance.now()
        this.#socket.send(PING, { binary: false })
        this.#schedulePing()
      },
      this.#pingMs * (0.8 + 0.4 * this.#random()),
    )
  }
}

function rawText(data: RawData): string {
  return Array.isArray(data) || data instanceof ArrayBuffer ? '' : data.toString()
}
