// Keeps a sink equal to what the API server holds of one type, for ever: a first state by streaming or by paged list,
// then a watch from there. No failure ends it; each costs one wait, and only an expired version costs a new list.

import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { sleep } from './clock.ts'
import { isExpired, KubeError } from './error.ts'
import type { KubeObject, ResourceType } from './object.ts'
import { keyOf } from './object.ts'

/** Longer than the minute between two bookmarks of a quiet watch. */
const SILENCE_MS = 90_000
/** Before the first state is complete: an API server that has just got a new kind may stream nothing for a minute. */
const FIRST_SILENCE_MS = 10_000
const FIRST_WAIT_MS = 800
const MAX_WAIT_MS = 30_000
/** A watch that the server ends sooner, without a word, is a failure; one that lasts longer than the other was none. */
const SHORT_MS = 1_000
const LASTING_MS = 10_000
/** So many refusals of one version, and it is taken to be wrong: an etcd that was restored from a backup is behind it. */
const MAX_REFUSALS = 3
/** Objects a page: 50 of the largest that etcd takes are 75 MB. */
const PAGE = 50
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

/** What a reflector writes to. */
export interface Sink {
  /** All there is: what is not among the items is gone. */
  replace(items: readonly KubeObject[]): void
  upsert(object: KubeObject): void
  remove(object: KubeObject): void
}

export interface Scope {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly metadataOnly?: boolean | undefined
}

export interface ReflectorOptions extends Scope {
  readonly transform: (object: KubeObject) => KubeObject
  readonly clock: Clock
  readonly random: () => number
  /** Told of every list, watch, expiry and failure. */
  readonly note?: (what: 'list' | 'watch' | 'expired' | 'error', error?: unknown) => void
}

export class Reflector {
  readonly #client: KubeClient
  readonly #type: ResourceType
  readonly #sink: Sink
  readonly #options: ReflectorOptions
  readonly #clock: Clock
  /** From where to watch; undefined: everything must be read anew. */
  #version: string | undefined
  /** Whether this server streams first states; it says so by refusing. */
  #streams = true
  #listNext = false
  #activeAt: number
  #progress = false

  constructor(client: KubeClient, type: ResourceType, sink: Sink, options: ReflectorOptions) {
    this.#client = client
    this.#type = type
    this.#sink = sink
    this.#options = options
    this.#clock = options.clock
    this.#activeAt = options.clock.monotonic()
  }

  /** Milliseconds since it last tried or heard anything. More than a few minutes: it is stuck, wherever the server is. */
  idleMs(): number {
    return this.#clock.monotonic() - this.#activeAt
  }

  /** Returns when the signal aborts, and never throws. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0
    let refusals = 0
    while (!signal.aborted) {
      const startedAt = this.#clock.monotonic()
      this.#progress = false
      const error = await this.#turn(signal)
      if (signal.aborted) return
      const lasted = this.#clock.monotonic() - startedAt
      const fruitful = this.#progress || lasted >= LASTING_MS
      if (fruitful) failures = refusals = 0
      if (error === undefined && (fruitful || lasted >= SHORT_MS)) continue
      this.#options.note?.(isExpired(error) ? 'expired' : 'error', error)
      if (isExpired(error)) {
        this.#version = undefined
        if (failures++ === 0) continue
      } else {
        failures += 1
        if (error instanceof KubeError && error.status > 0 && ++refusals >= MAX_REFUSALS) this.#version = undefined
      }
      await sleep(this.#clock, this.#wait(failures, error), signal)
    }
  }

  /** Full jitter over a doubling span, and never before the server wants to hear of us again. */
  #wait(failures: number, error: unknown): number {
    const span = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10))
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0
    return Math.min(asked, MAX_WAIT_MS) + span * (0.1 + 0.9 * this.#options.random())
  }

  async #turn(signal: AbortSignal): Promise<unknown> {
    this.#activeAt = this.#clock.monotonic()
    const attempt = new AbortController()
    const stop = (): void => attempt.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      if (this.#version === undefined && (!this.#streams || this.#listNext)) await this.#list(signal)
      await this.#watch(attempt)
      return undefined
    } catch (error) {
      return error ?? new Error('ended')
    } finally {
      signal.removeEventListener('abort', stop)
      attempt.abort(new Error('the turn is over'))
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#options.note?.('list')
    const { transform, namespace, labelSelector, fieldSelector, metadataOnly } = this.#options
    const list = await this.#client.list(this.#type, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      transform,
      // A page is held as it comes: of the largest objects there are, it must stay small.
      limit: PAGE,
      signal,
    })
    this.#activeAt = this.#clock.monotonic()
    this.#sink.replace(list.items)
    this.#version = list.resourceVersion
    this.#listNext = false
  }

  async #watch(attempt: AbortController): Promise<void> {
    this.#options.note?.('watch')
    const first = this.#version === undefined ? new Map<string, KubeObject>() : undefined
    const { namespace, labelSelector, fieldSelector, metadataOnly, random } = this.#options
    const from =
      first === undefined
        ? { resourceVersion: this.#version }
        : { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', resourceVersion: '' }
    let pending = first
    const watchdog = this.#watchdog(attempt, () => (pending === undefined ? SILENCE_MS : FIRST_SILENCE_MS))
    try {
      const events = this.#client.watch(this.#type, {
        namespace,
        labelSelector,
        fieldSelector,
        metadataOnly,
        query: { ...from, timeoutSeconds: Math.floor(300 + 300 * random()) },
        signal: attempt.signal,
        alive: () => {
          this.#activeAt = this.#clock.monotonic()
        },
      })
      for await (const { type, object } of events) {
        if (pending === undefined) this.#take(type, object)
        else if (this.#collect(pending, type, object)) pending = undefined
      }
      // Ended by the server before all was told: that is no state, but neither is it a refusal.
      if (pending !== undefined) this.#listNext = true
    } catch (error) {
      if (pending !== undefined && !isExpired(error)) this.#fallBack(error)
      throw error
    } finally {
      watchdog()
    }
  }

  #take(type: string, object: KubeObject): void {
    this.#progress = true
    const version = object.metadata.resourceVersion
    if (type === 'DELETED') this.#sink.remove(this.#options.transform(object))
    else if (type !== 'BOOKMARK') this.#sink.upsert(this.#options.transform(object))
    if (version !== undefined) this.#version = version
  }

  /** Gathers a streamed first state; true when it is complete and handed over. */
  #collect(pending: Map<string, KubeObject>, type: string, object: KubeObject): boolean {
    if (type === 'DELETED') pending.delete(keyOf(object))
    else if (type !== 'BOOKMARK') pending.set(keyOf(object), this.#options.transform(object))
    if (type !== 'BOOKMARK' || object.metadata.annotations?.[INITIAL_EVENTS_END] !== 'true') return false
    this.#sink.replace([...pending.values()])
    this.#progress = true
    this.#version = object.metadata.resourceVersion
    return true
  }

  /** Streaming fails before its bookmark on servers without the feature, or with an old etcd: those are asked for lists. */
  #fallBack(error: unknown): void {
    this.#listNext = true
    if (!(error instanceof KubeError)) return
    const transient = error.status === 0 || error.status === 429 || error.status === 503 || error.status === 504
    if (!transient && error.status !== 401 && error.status !== 403 && error.status !== 404) this.#streams = false
  }

  #watchdog(attempt: AbortController, limitMs: () => number): () => void {
    let cancel = (): void => undefined
    const look = (): void => {
      const limit = limitMs()
      const left = limit - this.idleMs()
      if (left > 0) cancel = this.#clock.after(left, look)
      else
        attempt.abort(new KubeError({ status: 0, reason: 'Timeout', message: `the watch was silent for ${limit} ms` }))
    }
    cancel = this.#clock.after(limitMs(), look)
    return () => cancel()
  }
}
