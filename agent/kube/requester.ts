// Requests to the API server: no more of them than its rate, each within its deadline, writes under the fence.
// Tried again: 429, 503 and broken connections, and only where doing it twice is doing it once.

import type { Readable } from 'node:stream'
import type { Access } from './access.ts'
import { Bucket } from './bucket.ts'
import { sleep, systemClock, type Clock } from './clock.ts'
import { KubeError, statusError } from './error.ts'
import type { Fence } from './fence.ts'
import type { Query, RequestOptions } from './request.ts'
import { Transport, type Answer, type Attempt } from './transport.ts'

const ATTEMPTS = 4
const BACKOFF_MS = 100
/** Longer waits are the caller's: it has a queue for them. */
const MAX_RETRY_WAIT_MS = 5_000
const JSON_TYPE = 'application/json'

export interface ClientOptions {
  /** Requests a second, and at once. Watches count as one request each. */
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  /** Kept connections for requests; 8 when not given. Watches come on top. */
  readonly connections?: number
  /** The whole of one attempt; 30 seconds when not given. */
  readonly timeoutMs?: number
  readonly clock?: Clock
  readonly random?: () => number
  readonly metrics?: ClientMetrics
}

/** Told of every answer; status 0 when there was none. */
export interface ClientMetrics {
  request(verb: string, status: number): void
}

interface Shared {
  readonly transport: Transport
  readonly bucket: Bucket
}

export class Requester {
  readonly #options: ClientOptions
  readonly #clock: Clock
  readonly #shared: Shared
  readonly #fence: Fence | undefined

  private constructor(options: ClientOptions, shared: Shared, fence?: Fence) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#shared = shared
    this.#fence = fence
  }

  static to(access: Access, options: ClientOptions): Requester {
    const { perSecond, burst } = options.rate ?? { perSecond: 300, burst: 300 }
    return new Requester(options, {
      transport: new Transport(access, options.connections ?? 8),
      bucket: new Bucket(perSecond, burst, options.clock ?? systemClock),
    })
  }

  /** The same connections and the same rate; every write passes the fence first. */
  fenced(fence: Fence): Requester {
    return new Requester(this.#options, this.#shared, fence)
  }

  /** Throws a KubeError for whatever is no success. */
  async send(method: Attempt['method'], path: string, options: RequestOptions = {}): Promise<Answer> {
    const idempotent = options.idempotent ?? method !== 'POST'
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    for (let attempt = 1; ; attempt++) {
      const failed = await this.#attempt(method, path, options, body)
      if (!(failed instanceof KubeError)) return failed
      const wait = failed.retryAfterMs ?? BACKOFF_MS * 2 ** attempt * (0.5 + (this.#options.random ?? Math.random)())
      const again = failed.status === 429 || (idempotent && (failed.status === 503 || failed.reason === 'Unreachable'))
      if (!again || attempt >= ATTEMPTS || wait > MAX_RETRY_WAIT_MS) throw failed
      await sleep(this.#clock, wait, options.signal)
      options.signal?.throwIfAborted()
    }
  }

  /** A GET whose answer is read as it comes. Throws a KubeError for a refusal, and when there is no answer. */
  async open(path: string, query: Query, accept: string, signal: AbortSignal): Promise<Readable> {
    await this.#shared.bucket.take(signal)
    const opened = await this.#shared.transport.open({ method: 'GET', path: path + search(query), accept, signal })
    const isOpen = 'readable' in opened
    this.#options.metrics?.request('WATCH', isOpen ? 200 : opened.status)
    if (isOpen) return opened
    throw refusal(opened)
  }

  async close(): Promise<void> {
    await this.#shared.transport.close()
  }

  async #attempt(
    method: Attempt['method'],
    path: string,
    options: RequestOptions,
    body: string | undefined,
  ): Promise<Answer | KubeError> {
    const fence = method === 'GET' ? undefined : this.#fence
    const cutOff = new AbortController()
    const abandon = (): void => cutOff.abort(options.signal?.reason ?? fence?.signal.reason)
    const sources = [options.signal, fence?.signal].filter((signal) => signal !== undefined)
    if (sources.some((signal) => signal.aborted)) abandon()
    for (const source of sources) source.addEventListener('abort', abandon, { once: true })
    const timeoutMs = this.#options.timeoutMs ?? 30_000
    const late = new KubeError({
      status: 0,
      reason: 'Timeout',
      message: `${method} ${path}: no answer within ${timeoutMs} ms`,
    })
    let cancel = (): void => undefined
    try {
      await this.#shared.bucket.take(cutOff.signal)
      fence?.check()
      cancel = this.#clock.after(timeoutMs, () => cutOff.abort(late))
      const answer = await this.#shared.transport.send({
        method,
        path: path + search(options.query),
        accept: options.accept ?? JSON_TYPE,
        ...(body !== undefined && { body, contentType: options.contentType ?? JSON_TYPE }),
        signal: cutOff.signal,
        fence,
      })
      this.#options.metrics?.request(method, answer.status)
      return answer.status < 300 ? answer : refusal(answer)
    } catch (error) {
      if (!(error instanceof KubeError)) throw error
      this.#options.metrics?.request(method, 0)
      return error
    } finally {
      cancel()
      for (const source of sources) source.removeEventListener('abort', abandon)
    }
  }
}

function search(query: Query | undefined): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, String(value))
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}

function refusal(answer: Answer): KubeError {
  let body: unknown
  try {
    body = JSON.parse(answer.text)
  } catch {
    body = undefined
  }
  return statusError(answer.status, body, answer.retryAfterMs)
}
