// One stream from a server to a hub: what the server says outside of calls, for everybody who shares it. It lives as long
// as somebody does, comes back after it broke, and says so, since whatever happened in between is unknown.

import type { Message } from '../../protocol/envelope.ts'
import type { Backend, Owner, Unasked } from '../backend/upstream.ts'
import { Pace } from './pace.ts'

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
const SUBSCRIBE_MS = 10_000
/** How long the first call of a session waits for its server's stream: some servers answer a GET with their first event only. */
const ATTACH_MS = 100
/** A stream that lasted this long was a good one: the next failure is a first one. */
const GOOD_MS = 30_000

export interface WatchEnd {
  /** A message of the server. */
  heard(message: Message): void
  /** The stream is back after it was away: anything may have changed meanwhile. */
  missed(): void
}

export class Watch {
  readonly #backend: Backend
  readonly #owner: Owner
  readonly #legacy: boolean
  readonly #end: WatchEnd
  readonly #stop = new AbortController()
  #uris: readonly string[] = []
  #stream: AbortController | undefined
  #wake: (() => void) | undefined
  #poked = false
  /** The stream that is open now has been answered. */
  #heard = false
  #settled: (() => void) | undefined
  /** The stream that follows, answered already. */
  #next: { readonly messages: Unasked; readonly stream: AbortController } | undefined

  constructor(backend: Backend, owner: Owner, legacy: boolean, end: WatchEnd) {
    this.#backend = backend
    this.#owner = owner
    this.#legacy = legacy
    this.#end = end
  }

  /** Listens until `stop`; never throws. */
  async run(): Promise<void> {
    let failures = 0
    let before = false
    while (!this.#stop.signal.aborted) {
      const started = Date.now()
      this.#poked = false
      const outcome = await this.#listen(before)
      before ||= outcome === 'heard'
      if (this.#stop.signal.aborted) return
      if (this.#poked || this.#next !== undefined) continue
      failures = outcome === 'heard' && Date.now() - started > GOOD_MS ? 1 : failures + 1
      // A session that is not there yet says so when it comes; asking for it again and again would wake whoever knows.
      const nothing = outcome === 'nothing' && this.#uris.length === 0
      await this.#rest(nothing ? undefined : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10)))
    }
  }

  /** The resources to hear of, by the server's own URIs. */
  want(uris: readonly string[]): void {
    const before = new Set(this.#uris)
    const news = uris.filter((uri) => !before.has(uri))
    const same = news.length === 0 && uris.length === this.#uris.length
    this.#uris = uris
    if (same) return
    if (this.#legacy) void this.#subscribe(news)
    else if (this.#heard && uris.length > 0) void this.#turn()
    else this.poke()
  }

  /** To a stream about other resources: the next is there before the last ends, so that nothing is missed. Never throws. */
  async #turn(): Promise<void> {
    const wanted = this.#uris
    const stream = new AbortController()
    try {
      const messages = await this.#backend.listen(wanted, this.#owner, stream.signal)
      if (messages === undefined || this.#uris !== wanted || !this.#heard || this.#stop.signal.aborted) {
        stream.abort()
        if (messages === undefined) this.poke()
        return
      }
      this.#next?.stream.abort()
      this.#next = { messages, stream }
      this.#stream?.abort()
    } catch {
      this.poke()
    }
  }

  /** Something changed that makes it worth beginning anew. */
  poke(): void {
    this.#poked = true
    this.#stream?.abort()
    this.#wake?.()
  }

  /** The owner has a new session at the server. Resolves when that is listened to, soon in any case. */
  async attach(): Promise<void> {
    // While a stream is being opened it is this very watch that opened the session.
    if (this.#stream !== undefined && !this.#heard) {
      this.#poked = true
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ATTACH_MS)
    this.#settled = resolve
    this.poke()
    await promise
    clearTimeout(timer)
  }

  stop(): void {
    this.#stop.abort()
    this.#next?.stream.abort()
    this.#stream?.abort()
    this.#wake?.()
  }

  /** One stream from beginning to end; whether there was one to hear, none to be had, or a failure. */
  async #listen(again: boolean): Promise<'heard' | 'nothing' | 'failed'> {
    const next = this.#next
    this.#next = undefined
    const stream = next?.stream ?? new AbortController()
    this.#stream = stream
    let outcome: 'heard' | 'nothing' | 'failed' = 'failed'
    try {
      if (this.#legacy) await this.#subscribe(this.#uris)
      else if (this.#uris.length === 0) return 'nothing'
      const messages = next?.messages ?? (await this.#backend.listen(this.#uris, this.#owner, stream.signal))
      if (messages === undefined) return 'nothing'
      outcome = 'heard'
      this.#heard = true
      this.#settled?.()
      if (again && next === undefined) this.#end.missed()
      const pace = new Pace()
      for await (const message of messages) {
        if (stream.signal.aborted) break
        this.#end.heard(message)
        await pace.after(message.text.length, Date.now())
      }
    } catch {
      // It is tried again; calls meet the same trouble and say so.
    } finally {
      stream.abort()
      this.#stream = undefined
      this.#heard = false
      if (!this.#poked) this.#settled?.()
    }
    return outcome
  }

  /** Repeated for a session that may be a new one: subscribing twice is subscribing once. Never throws. */
  async #subscribe(uris: readonly string[]): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(SUBSCRIBE_MS)])
    for (const uri of uris) {
      const text = JSON.stringify({ jsonrpc: '2.0', id: 'subscribe', method: 'resources/subscribe', params: { uri } })
      try {
        const reply = await this.#backend.call(
          { text, id: '"subscribe"', headers: {}, signal, alone: true },
          this.#owner,
        )
        if (reply.kind === 'stream') for await (const message of reply.messages) if (message.kind === 'response') break
      } catch {
        return
      }
    }
  }

  /** Waits this long, or until somebody pokes. */
  async #rest(milliseconds: number | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    if (milliseconds === undefined) await promise
    else {
      const timer = setTimeout(resolve, milliseconds * (0.8 + Math.random() * 0.4))
      await promise
      clearTimeout(timer)
    }
    this.#wake = undefined
  }
}
