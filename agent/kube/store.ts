// The objects of one type as last seen, by name and by index. Every change is told after it is made, as (old, new);
// an object that was deleted and made again under its name is told as two changes.

import type { KubeObject } from './object.ts'
import { keyOf, objectKey } from './object.ts'

/** The keys under which an object is found; none is fine. */
export type Index = (object: KubeObject) => readonly string[]

/** `old` is undefined for a new object, `next` for one that is gone. */
export type ChangeHandler = (old: KubeObject | undefined, next: KubeObject | undefined) => void

const NONE: ReadonlySet<string> = new Set()

export class Store {
  readonly #objects = new Map<string, KubeObject>()
  readonly #indexers: ReadonlyMap<string, Index>
  readonly #indexes = new Map<string, Map<string, Set<string>>>()
  readonly #changed: ChangeHandler

  constructor(indexes: Readonly<Record<string, Index>>, changed: ChangeHandler) {
    this.#indexers = new Map(Object.entries(indexes))
    for (const name of this.#indexers.keys()) this.#indexes.set(name, new Map())
    this.#changed = changed
  }

  get size(): number {
    return this.#objects.size
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(objectKey(namespace, name))
  }

  list(namespace?: string): KubeObject[] {
    if (namespace === undefined) return [...this.#objects.values()]
    return [...this.#objects.values()].filter((object) => object.metadata.namespace === namespace)
  }

  /** Throws for an index that was not declared: that is a mistake in the program. */
  byIndex(index: string, key: string): KubeObject[] {
    const entries = this.#indexes.get(index)
    if (entries === undefined) throw new TypeError(`index "${index}" is not declared`)
    return [...(entries.get(key) ?? NONE)].flatMap((found) => this.#objects.get(found) ?? [])
  }

  /** Makes the store hold exactly the items, within one namespace when given. */
  replace(items: readonly KubeObject[], namespace?: string): void {
    const kept = new Set(items.map(keyOf))
    for (const object of this.list(namespace)) if (!kept.has(keyOf(object))) this.remove(object)
    for (const item of items) this.upsert(item)
  }

  upsert(object: KubeObject): void {
    const key = keyOf(object)
    const old = this.#objects.get(key)
    if (old !== undefined && old.metadata.uid === object.metadata.uid) {
      if (old.metadata.resourceVersion === object.metadata.resourceVersion) return
      this.#set(key, old, object)
      return
    }
    if (old !== undefined) this.#set(key, old, undefined)
    this.#set(key, undefined, object)
  }

  remove(object: KubeObject): void {
    const key = keyOf(object)
    const old = this.#objects.get(key)
    if (old !== undefined) this.#set(key, old, undefined)
  }

  #set(key: string, old: KubeObject | undefined, next: KubeObject | undefined): void {
    if (next === undefined) this.#objects.delete(key)
    else this.#objects.set(key, next)
    for (const [name, index] of this.#indexers) {
      const entries = this.#indexes.get(name)
      if (entries === undefined) continue
      for (const entry of old === undefined ? [] : index(old)) {
        const found = entries.get(entry)
        found?.delete(key)
        if (found?.size === 0) entries.delete(entry)
      }
      for (const entry of next === undefined ? [] : index(next)) {
        const found = entries.get(entry)
        if (found === undefined) entries.set(entry, new Set([key]))
        else found.add(key)
      }
    }
    this.#changed(old, next)
  }
}
