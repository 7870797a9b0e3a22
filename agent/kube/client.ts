// The client of the API server: raw JSON, one method a verb, every request bounded in time and rate.
// Tried again: 429, 503 and broken connections, and only where doing it twice is doing it once.

import type { Access } from './access.ts'
import { Bucket } from './bucket.ts'
import type { Clock } from './clock.ts'
import { sleep, systemClock } from './clock.ts'
import { KubeError, statusError } from './error.ts'
import type { Fence } from './fence.ts'
import { readLines } from './lines.ts'
import type { KubeObject, Reference, ResourceType, WatchEvent } from './object.ts'
import { collectionPath, objectPath } from './object.ts'
import type {
  ApplyOptions,
  DeleteOptions,
  ListOptions,
  ListResult,
  Query,
  RequestOptions,
  WatchOptions,
  WriteOptions,
} from './request.ts'
import type { Answer, Attempt } from './transport.ts'
import { Transport } from './transport.ts'

const ATTEMPTS = 4
const BACKOFF_MS = 100
/** Longer waits are the caller's: it has a queue for them. */
const MAX_RETRY_WAIT_MS = 5_000
const JSON_TYPE = 'application/json'
/** Server-side apply reads YAML, and JSON is YAML. */
const APPLY_TYPE = 'application/apply-patch+yaml'

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

export class KubeClient {
  readonly #transport: Transport
  readonly #bucket: Bucket
  readonly #options: ClientOptions
  readonly #clock: Clock
  readonly #fence: Fence | undefined
  readonly #access: Access

  constructor(
    access: Access,
    options: ClientOptions = {},
    shared?: { transport: Transport; bucket: Bucket; fence: Fence },
  ) {
    const { perSecond, burst } = options.rate ?? { perSecond: 300, burst: 300 }
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#transport = shared?.transport ?? new Transport(access, options.connections ?? 8)
    this.#bucket = shared?.bucket ?? new Bucket(perSecond, burst, this.#clock)
    this.#fence = shared?.fence
    this.#access = access
  }

  /** The same client, whose every write passes the fence first. */
  fenced(fence: Fence): KubeClient {
    return new KubeClient(this.#access, this.#options, { transport: this.#transport, bucket: this.#bucket, fence })
  }

  async get(
    reference: Reference,
    options: { signal?: AbortSignal | undefined; metadataOnly?: boolean } = {},
  ): Promise<KubeObject> {
    const accept = options.metadataOnly === true ? partial('PartialObjectMetadata') : JSON_TYPE
    const object = await this.#object('GET', objectPath(reference), { accept, signal: options.signal })
    return typed(object, reference.type)
  }

  /** All pages. A list whose continuation expired is started again by the caller (`isExpired`). */
  async list(type: ResourceType, options: ListOptions = {}): Promise<ListResult> {
    const items: KubeObject[] = []
    let next: string | undefined
    let resourceVersion = ''
    do {
      const page = await this.#page(type, options, next)
      for (const item of page.items ?? []) {
        const object = typed(item, type)
        items.push(options.transform === undefined ? object : options.transform(object))
      }
      next = page.metadata?.continue === '' ? undefined : page.metadata?.continue
      resourceVersion = page.metadata?.resourceVersion ?? resourceVersion
    } while (next !== undefined)
    return { items, resourceVersion }
  }

  async #page(type: ResourceType, options: ListOptions, next: string | undefined): Promise<Page> {
    const body = await this.request('GET', collectionPath(type, options.namespace), {
      query: {
        limit: options.limit ?? 500,
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
        continue: next,
      },
      accept: options.metadataOnly === true ? partial('PartialObjectMetadataList') : JSON_TYPE,
      signal: options.signal,
    })
    return body as Page
  }

  /** Server-side apply: creates or changes, and owns exactly the fields given. Unknown fields are refused. */
  async apply(object: KubeObject, type: ResourceType, options: ApplyOptions): Promise<KubeObject> {
    return this.#apply(object, type, options)
  }

  /** As `apply`, for the status subresource. */
  async applyStatus(object: KubeObject, type: ResourceType, options: ApplyOptions): Promise<KubeObject> {
    return this.#apply(object, type, options, 'status')
  }

  /** POST; a second attempt follows only a 429. */
  async create(
    object: KubeObject,
    type: ResourceType,
    options: WriteOptions & { manager?: string } = {},
  ): Promise<KubeObject> {
    return this.#object('POST', collectionPath(type, object.metadata.namespace), {
      query: { fieldValidation: 'Strict', fieldManager: options.manager, dryRun: dry(options) },
      body: object,
      signal: options.signal,
    })
  }

  /** PUT; `metadata.resourceVersion` makes it conditional. */
  async replace(
    object: KubeObject,
    type: ResourceType,
    options: WriteOptions & { manager?: string } = {},
  ): Promise<KubeObject> {
    return this.#object('PUT', objectPath({ type, ...object.metadata }), {
      query: { fieldValidation: 'Strict', fieldManager: options.manager, dryRun: dry(options) },
      body: object,
      signal: options.signal,
    })
  }

  /** A JSON merge patch (RFC 7386), or a JSON patch (RFC 6902) when given a list. */
  async patch(
    reference: Reference,
    patch: object | readonly object[],
    options: WriteOptions & { manager?: string; subresource?: string } = {},
  ): Promise<KubeObject> {
    return this.#object('PATCH', objectPath(reference, options.subresource), {
      query: { fieldValidation: 'Strict', fieldManager: options.manager, dryRun: dry(options) },
      body: patch,
      contentType: Array.isArray(patch) ? 'application/json-patch+json' : 'application/merge-patch+json',
      idempotent: !Array.isArray(patch),
      signal: options.signal,
    })
  }

  async delete(reference: Reference, options: DeleteOptions = {}): Promise<void> {
    await this.request('DELETE', objectPath(reference), {
      query: { dryRun: dry(options) },
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: options.propagation ?? 'Background',
        ...(options.preconditions !== undefined && { preconditions: options.preconditions }),
      },
      signal: options.signal,
    })
  }

  /** One watch, until the server ends it. Throws a KubeError for a refusal, an ERROR event, or a broken stream. */
  async *watch(type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent> {
    const { namespace, labelSelector, fieldSelector, signal } = options
    const query = { watch: true, allowWatchBookmarks: true, labelSelector, fieldSelector, ...options.query }
    await this.#bucket.take(signal)
    const opened = await this.#transport.open({
      method: 'GET',
      path: collectionPath(type, namespace) + search(query),
      accept: options.metadataOnly === true ? partial('PartialObjectMetadata') : JSON_TYPE,
      signal,
    })
    if (!('readable' in opened)) {
      this.#options.metrics?.request('WATCH', opened.status)
      throw refusal(opened)
    }
    this.#options.metrics?.request('WATCH', 200)
    for await (const event of readLines(opened, signal, options.alive)) {
      if (event.type === 'ERROR') throw statusError(0, event.object)
      if (event.type !== 'BOOKMARK') typed(event.object, type)
      yield event
    }
  }

  /** Any path: discovery, `/version`, subresources. Returns the parsed JSON. */
  async request(method: Attempt['method'], path: string, options: RequestOptions = {}): Promise<unknown> {
    const { text } = await this.raw(method, path, options)
    try {
      return JSON.parse(text)
    } catch (error) {
      throw new KubeError(
        { status: 0, reason: 'Malformed', message: `${method} ${path}: the answer is not JSON` },
        { cause: error },
      )
    }
  }

  /** As `request`, for what is not JSON, or whose warnings matter. */
  async raw(method: Attempt['method'], path: string, options: RequestOptions = {}): Promise<Answer> {
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

  async close(): Promise<void> {
    await this.#transport.close()
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
      await this.#bucket.take(cutOff.signal)
      fence?.check()
      cancel = this.#clock.after(timeoutMs, () => cutOff.abort(late))
      const answer = await this.#transport.send({
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

  async #object(method: Attempt['method'], path: string, options: RequestOptions): Promise<KubeObject> {
    return (await this.request(method, path, options)) as KubeObject
  }

  #apply(object: KubeObject, type: ResourceType, options: ApplyOptions, subresource?: string): Promise<KubeObject> {
    const { name, namespace } = object.metadata
    return this.#object('PATCH', objectPath({ type, name, namespace }, subresource), {
      query: {
        fieldManager: options.manager,
        force: options.force ?? true,
        fieldValidation: 'Strict',
        dryRun: dry(options),
      },
      body: object,
      contentType: APPLY_TYPE,
      signal: options.signal,
    })
  }
}

interface Page {
  items?: KubeObject[] | null
  metadata?: { continue?: string; resourceVersion?: string }
}

/** Items of a list come without apiVersion and kind, and partial objects with those of the wrapper. */
function typed(object: KubeObject, type: ResourceType): KubeObject {
  object.apiVersion = type.apiVersion
  object.kind = type.kind
  return object
}

function partial(kind: string): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1`
}

function dry(options: WriteOptions): string | undefined {
  return options.dryRun === true ? 'All' : undefined
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
