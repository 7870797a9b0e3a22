// One type of objects as a healthy API server serves it: paged lists, watches from a version, streamed first states.
// Tests change it while it is watched, and put faults before it.

import type { KubeObject } from '../../agent/kube/object.ts'
import type { Asked, Reply } from './server.ts'

export class Collection {
  readonly #objects = new Map<string, KubeObject>()
  readonly #history: { readonly version: number; readonly type: string; readonly object: KubeObject }[] = []
  readonly #watches = new Set<Reply>()
  #version = 100
  /** Watches from before this version get 410. */
  oldest = 0
  pageSize = Number.POSITIVE_INFINITY

  /** Creates or changes. */
  put(name: string, value: string, namespace = 'n'): void {
    this.#version += 1
    const old = this.#objects.get(name)
    const metadata = {
      name,
      namespace,
      uid: old?.metadata.uid ?? `uid-${this.#version}`,
      resourceVersion: `${this.#version}`,
      managedFields: [{ manager: 'm' }],
    }
    const object: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value } }
    this.#objects.set(name, object)
    this.#tell(old === undefined ? 'ADDED' : 'MODIFIED', object)
  }

  delete(name: string): void {
    const old = this.#objects.get(name)
    if (old === undefined) return
    this.#version += 1
    this.#objects.delete(name)
    this.#tell('DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: `${this.#version}` } })
  }

  /** Forgets its past, as etcd does when it compacts: watches from before end with 410. */
  compact(): void {
    this.oldest = this.#version
  }

  /** Name and value of all there is. */
  get state(): string[] {
    return [...this.#objects.values()].map(line).sort()
  }

  /** Ends every watch that is open. */
  hangUp(how: (reply: Reply) => void): void {
    for (const reply of this.#watches) how(reply)
    this.#watches.clear()
  }

  get watchers(): number {
    return this.#watches.size
  }

  serve(asked: Asked, reply: Reply): void {
    if (asked.query.get('watch') !== 'true') this.#list(asked, reply)
    else if (asked.query.get('sendInitialEvents') === 'true') this.stream(reply)
    else this.#watch(asked, reply)
  }

  /** A first state as a stream, with its bookmark, and then what happens. */
  stream(reply: Reply): void {
    reply.stream()
    for (const object of this.#objects.values()) reply.event('ADDED', object)
    reply.event('BOOKMARK', this.bookmark({ 'k8s.io/initial-events-end': 'true' }))
    this.#watches.add(reply)
  }

  bookmark(annotations?: Record<string, string>): object {
    return { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: `${this.#version}`, annotations } }
  }

  #list(asked: Asked, reply: Reply): void {
    const all = [...this.#objects.values()]
    const from = Number(asked.query.get('continue') ?? 0)
    const size = Math.min(Number(asked.query.get('limit') ?? 500), this.pageSize)
    const items = all.slice(from, from + size).map(({ metadata, data }) => ({ metadata, data }))
    const next = from + size < all.length ? `${from + size}` : ''
    reply.json(200, { kind: 'ConfigMapList', metadata: { resourceVersion: `${this.#version}`, continue: next }, items })
  }

  #watch(asked: Asked, reply: Reply): void {
    const from = Number(asked.query.get('resourceVersion'))
    if (from < this.oldest) return reply.refuse(410, 'Expired')
    reply.stream()
    for (const { version, type, object } of this.#history) if (version > from) reply.event(type, object)
    this.#watches.add(reply)
  }

  #tell(type: string, object: KubeObject): void {
    this.#history.push({ version: this.#version, type, object })
    for (const reply of this.#watches) reply.event(type, object)
  }
}

export function line(object: KubeObject): string {
  return `${object.metadata.name}=${object.data?.['value'] ?? ''}`
}
