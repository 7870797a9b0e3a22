// The callers of a run: each has a proxy, a token and a user of its own and calls in a loop, one call after the other.

import { setTimeout as sleep } from 'node:timers/promises'
import type { BackendKind } from './life.ts'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './outcome.ts'
import type { Proxy } from './proxy.ts'
import { random } from './schedule.ts'
import { Sdk } from './sdk.ts'
import type { Library } from './sdk.ts'
import { Thin } from './thin.ts'
import type { Call, Era } from './thin.ts'
import type { Work } from './tool.ts'

/** Longer than any call may take: the server's silence is bounded by the virtual server's call-timeout. */
const DEADLINE_MS = 40_000
/** A library whose connection was cut waits until it gives up by itself, so it must do so soon to be seen again. */
const LIBRARY_DEADLINE_MS = 18_000
const MIN_PAUSE_MS = 20
const MAX_PAUSE_MS = 180
const AFTER_LOSS_MS = 200
/** How long a listener waits before it opens its stream again. */
const RECONNECT_MS = 300

export interface CallerPlan {
  readonly backend: BackendKind
  readonly via: Era | Library
}

/** `count` callers: one in eight uses a library, the others are thin; every kind of backend meets both eras. */
export function planCrew(count: number): CallerPlan[] {
  const backends: readonly BackendKind[] = ['modern', 'plain', 'asking', 'old']
  const libraries: readonly Library[] = ['v2 modern', 'v1', 'v2 legacy']
  const eras: readonly Era[] = ['legacy', 'modern', 'legacy']
  return Array.from({ length: count }, (_, index) => {
    const backend = backends[index % 4] ?? 'modern'
    const round = Math.floor(index / 4)
    const via = index % 8 === (round >> 1) % 8 ? libraries[(index >> 3) % 3] : eras[round % 3]
    return { backend, via: via ?? 'modern' }
  })
}

export interface CallerOptions extends CallerPlan {
  readonly index: number
  readonly proxy: Proxy
  /** The endpoint's URL as the edge knows it. */
  readonly url: string
  readonly token: string
  readonly ledger: Ledger
  readonly seed: number
}

/** A caller at work. */
export class Caller {
  readonly name: string
  readonly #options: CallerOptions
  readonly #next: () => number
  readonly #client: Thin | Sdk
  #calls = 0
  /** `performance.now()` of the last call that succeeded. */
  succeededAt = 0
  /** Changes it was told of. */
  heard = 0
  /** Streams of changes that it opened, whether one is open now, and how the last one ended. */
  readonly stream = { opened: 0, open: false, ended: '' }

  constructor(options: CallerOptions) {
    const { backend, via, index, proxy, url, token, ledger, seed } = options
    this.#options = options
    this.#next = random(seed * 1000 + index)
    this.name = `${via} × ${backend} ${index}`
    this.#client =
      via === 'modern' || via === 'legacy'
        ? new Thin({ port: proxy.port, url, era: via, token })
        : new Sdk({ library: via, url: url.replace(/:\d+\//, `:${proxy.port}/`), token, sent: ledger.send })
  }

  /** Streams that were taken up again after they broke. */
  get resumed(): number {
    return this.#client instanceof Thin ? this.#client.resumed : 0
  }

  /** Calls until the signal aborts; the last call is finished. */
  async work(signal: AbortSignal): Promise<void> {
    const { ledger, proxy } = this.#options
    const library = this.#client instanceof Sdk
    while (!signal.aborted) {
      const call = this.#plan()
      const from = performance.now()
      const outcome = await this.#client.call(call)
      const until = performance.now()
      if (outcome.kind === 'result' && !outcome.isError) this.succeededAt = until
      ledger.record(this.name, { key: call.work.key, tool: call.tool, from, until, outcome, library }, proxy.cuts)
      await sleep(outcome.kind === 'lost' ? AFTER_LOSS_MS : MIN_PAUSE_MS + this.#next() * (MAX_PAUSE_MS - MIN_PAUSE_MS))
    }
  }

  /** Holds the stream of changes, again and again, until the signal aborts. Libraries do so by themselves. */
  async listen(signal: AbortSignal): Promise<void> {
    if (!(this.#client instanceof Thin)) return
    while (!signal.aborted) {
      const { stream } = this
      const heard = (method: string): void => {
        if (method === 'notifications/tools/list_changed') this.heard += 1
      }
      const opened = (): void => {
        stream.opened += 1
        stream.open = true
      }
      stream.ended = await this.#client.listen(signal, opened, heard).catch((error: unknown) => describe(error))
      stream.open = false
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async leave(): Promise<void> {
    await this.#client.leave().catch(() => undefined)
  }

  /** A question of an old server belongs to no call and may go the way of one whose caller has left: nobody leaves there. */
  #plan(): Call {
    const { backend, index, via } = this.#options
    const key = `c${index}-${this.#calls++}`
    const roll = this.#next()
    const amount = this.#next()
    const thin = this.#client instanceof Thin
    const call = (tool: Call['tool'], work: Partial<Work>, more: Partial<Call> = {}): Call => ({
      tool,
      work: { key, ms: 0, steps: 0, size: 0, ...work },
      deadlineMs: thin ? DEADLINE_MS : LIBRARY_DEADLINE_MS,
      ...more,
    })
    if (roll < 0.12 && asks(via, backend)) return call('ask', {})
    if (roll < 0.3) return call('work', { ms: Math.round(200 + 1_300 * amount), steps: 4 })
    if (roll < 0.35) return call('work', { size: 300_000 }, thin ? { pauseMs: Math.round(1_500 * amount) } : {})
    if (roll < 0.4 && thin && backend !== 'old')
      return call('work', { ms: 1_000, steps: 4 }, { leaveMs: Math.round(50 + 900 * amount) })
    return call('work', { ms: Math.round(30 * amount), size: Math.round(500 * amount) })
  }
}

function describe(error: unknown): string {
  const { outcome, message } = error as { readonly outcome?: Outcome; readonly message?: string }
  return outcome === undefined ? String(message) : JSON.stringify(outcome)
}

/** Whether the backend may ask this caller: a legacy backend asks legacy clients only, a plain one nobody. */
function asks(via: CallerPlan['via'], backend: BackendKind): boolean {
  if (backend === 'modern') return true
  return backend !== 'plain' && via !== 'modern' && via !== 'v2 modern'
}
