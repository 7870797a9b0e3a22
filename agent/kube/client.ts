// The client of the API server: raw JSON, one method a verb. How often and how long one is tried is its requester's.

import type { Access } from './access.ts'
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
  RequestOptions,
  WatchOptions,
  WriteOptions,
} from './request.ts'
import { Requester, type ClientOptions } from './requester.ts'
import type { Answer, Attempt } from './transport.ts'

const JSON_TYPE = 'application/json'
/** Server-side apply reads YAML, and JSON is YAML. */
const APPLY_TYPE = 'application/apply-patch+yaml'

export class KubeClient {
  readonly #requester: Requester

  /** `options` count where there is no requester yet. */
  constructor(to: Access | Requester, options: ClientOptions = {}) {
    this.#requester = to instanceof Requester ? to : Requester.to(to, options)
  }

  /** The same client, whose every write passes the fence first. */
  fenced(fence: Fence): KubeClient {
    return new KubeClient(this.#requester.fenced(fence))
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
    const accept = options.metadataOnly === true ? partial('PartialObjectMetadata') : JSON_TYPE
    const opened = await this.#requester.open(collectionPath(type, namespace), query, accept, signal)
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
    return this.#requester.send(method, path, options)
  }

  async close(): Promise<void> {
    await this.#requester.close()
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
