// The texts of ConfigMaps that resources name. The informer keeps texts of these alone, so that ConfigMaps which are none of the
// operator's business cost it a name each; one that is named after the informer has seen it is read once more, before anybody plans.

import type { KubeObject } from '../kube/object.ts'
import { objectKey } from '../kube/object.ts'

/** `undefined`: it is not there any more. */
export type ReadConfigMap = (namespace: string, name: string) => Promise<KubeObject | undefined>

const AT_ONCE = 16

export class Texts {
  readonly #read = new Map<string, KubeObject>()
  readonly #missing = new Map<string, { readonly namespace: string; readonly name: string }>()
  #reading: Promise<void> | undefined

  /** A ConfigMap is named; `seen` is what the informer keeps of it. */
  want(namespace: string, name: string, seen: KubeObject | undefined): void {
    const key = objectKey(namespace, name)
    if (seen !== undefined && seen.data === undefined && this.complete(seen) === seen)
      this.#missing.set(key, { namespace, name })
  }

  /** Nobody names it any more. */
  forget(namespace: string, name: string): void {
    const key = objectKey(namespace, name)
    this.#read.delete(key)
    this.#missing.delete(key)
  }

  /** What the informer keeps, with the text that was read for it. */
  complete(seen: KubeObject): KubeObject {
    if (seen.data !== undefined) return seen
    const read = this.#read.get(objectKey(seen.metadata.namespace, seen.metadata.name))
    const { uid, resourceVersion } = seen.metadata
    const isSame = read?.metadata.uid === uid && read?.metadata.resourceVersion === resourceVersion
    return read !== undefined && isSame ? read : seen
  }

  /** Reads what is missing. Rejects with what `read` throws; what could not be read is still missing then. */
  async fill(read: ReadConfigMap): Promise<void> {
    while (this.#missing.size > 0) {
      this.#reading ??= this.#batch(read).finally(() => (this.#reading = undefined))
      await this.#reading
    }
    // Others may still be at it.
    await this.#reading
  }

  async #batch(read: ReadConfigMap): Promise<void> {
    const batch = [...this.#missing].slice(0, AT_ONCE)
    await Promise.all(
      batch.map(async ([key, place]) => {
        const found = await read(place.namespace, place.name)
        if (this.#missing.get(key) !== place) return
        this.#missing.delete(key)
        if (found !== undefined) this.#read.set(key, found)
      }),
    )
  }
}
