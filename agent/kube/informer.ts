// A live, indexed copy of one type: cluster-wide by one watch, or of some namespaces by a watch each.
// What handlers throw is reported and stops nothing; objects are shared, so nobody may change them.

import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import type { KubeObject, ResourceType } from './object.ts'
import { typeName } from './object.ts'
import { Reflector } from './reflector.ts'
import type { ChangeHandler, Index } from './store.ts'
import { Store } from './store.ts'

export type { ChangeHandler, Index } from './store.ts'

export interface InformerOptions {
  /** One watch each; undefined: cluster-wide. */
  readonly namespaces?: readonly string[] | undefined
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly metadataOnly?: boolean
  readonly indexes?: Readonly<Record<string, Index>>
  /** Reduces what is kept, after managedFields are gone. It must keep name, namespace, uid, resourceVersion and what `mark` reads. */
  readonly transform?: (object: KubeObject) => KubeObject
  readonly clock?: Clock
  readonly random?: () => number
  readonly metrics?: InformerMetrics
  /** Told of failed lists and watches, and of what handlers throw. */
  readonly onError?: (error: unknown) => void
}

export interface InformerMetrics {
  reflector(type: string, what: 'list' | 'watch' | 'expired' | 'error'): void
}

export class Informer {
  readonly type: ResourceType
  readonly #client: KubeClient
  readonly #options: InformerOptions
  readonly #store: Store
  readonly #handlers: ChangeHandler[] = []
  readonly #reflectors: Reflector[] = []
  readonly #synced = Promise.withResolvers<void>()
  #unsynced = 0
  #lastError: unknown
  #started = false

  constructor(client: KubeClient, type: ResourceType, options: InformerOptions = {}) {
    this.#client = client
    this.type = type
    this.#options = options
    this.#store = new Store(options.indexes ?? {}, (old, next) => {
      for (const handler of this.#handlers) this.#tell(handler, old, next)
    })
    this.#synced.promise.catch(() => undefined)
  }

  /** Whether it holds everything of its type and namespaces: no selector leaves anything out. */
  get complete(): boolean {
    return this.#options.labelSelector === undefined && this.#options.fieldSelector === undefined
  }

  get size(): number {
    return this.#store.size
  }

  /** Begins to list and watch, once, until the signal aborts. */
  start(signal: AbortSignal): void {
    if (this.#started) throw new TypeError(`the informer of ${typeName(this.type)} is started already`)
    this.#started = true
    const namespaces = this.type.namespaced ? this.#options.namespaces : undefined
    const scopes = namespaces === undefined ? [undefined] : [...new Set(namespaces)]
    this.#unsynced = scopes.length
    if (scopes.length === 0) this.#synced.resolve()
    for (const namespace of scopes) this.#reflect(namespace, signal)
    signal.addEventListener('abort', () => this.#synced.reject(signal.reason), { once: true })
  }

  /** Resolves when the first state of every namespace is here. Rejects when the start's signal aborts before. */
  synced(): Promise<void> {
    return this.#synced.promise
  }

  get isSynced(): boolean {
    return this.#started && this.#unsynced === 0
  }

  /** Why it is not synced, or what failed last; undefined when nothing ever did. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** Milliseconds since its laziest watch tried or heard anything. */
  idleMs(): number {
    return Math.max(0, ...this.#reflectors.map((reflector) => reflector.idleMs()))
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#store.get(this.type.namespaced ? namespace : undefined, name)
  }

  list(namespace?: string): KubeObject[] {
    return this.#store.list(namespace)
  }

  byIndex(index: string, key: string): KubeObject[] {
    return this.#store.byIndex(index, key)
  }

  /** Calls the handler for every change, and at once for what is there already. */
  onChange(handler: ChangeHandler): void {
    this.#handlers.push(handler)
    for (const object of this.#store.list()) this.#tell(handler, undefined, object)
  }

  /** What the informer would keep of an object that a write returned. */
  reduce(object: KubeObject): KubeObject {
    delete object.metadata['managedFields']
    const { transform } = this.#options
    return transform === undefined ? object : transform(object)
  }

  #reflect(namespace: string | undefined, signal: AbortSignal): void {
    let first = true
    const sink = {
      replace: (items: readonly KubeObject[]): void => {
        this.#store.replace(items, namespace)
        if (!first) return
        first = false
        this.#unsynced -= 1
        if (this.#unsynced === 0) this.#synced.resolve()
      },
      upsert: (object: KubeObject): void => this.#store.upsert(object),
      remove: (object: KubeObject): void => this.#store.remove(object),
    }
    const { labelSelector, fieldSelector, metadataOnly, clock, random, metrics, onError } = this.#options
    const reflector = new Reflector(this.#client, this.type, sink, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      transform: (object) => this.reduce(object),
      clock: clock ?? systemClock,
      random: random ?? Math.random,
      note: (what, error) => {
        metrics?.reflector(typeName(this.type), what)
        if (error === undefined) return
        this.#lastError = error
        onError?.(error)
      },
    })
    this.#reflectors.push(reflector)
    void reflector.run(signal)
  }

  #tell(handler: ChangeHandler, old: KubeObject | undefined, next: KubeObject | undefined): void {
    try {
      handler(old, next)
    } catch (error) {
      this.#options.onError?.(error)
    }
  }
}
