// The cluster entries as one isolate has them: read whole, and again only when the store says that they changed.

import type { Clock, Store } from '../../gateway/ports.ts'
import { type Cluster, clusterCodec, type Clusters } from '../documents/clusters.ts'
import { readDocument } from '../documents/document.ts'

export class ClusterBook {
  readonly #store: Store
  readonly #now: Clock
  #clusters: Clusters = clusterCodec.empty
  /** Undefined: nothing was read yet. */
  #version: string | null | undefined
  #checkedAt = Number.NEGATIVE_INFINITY

  constructor(store: Store, now: Clock) {
    this.#store = store
    this.#now = now
  }

  /** The entry as it was at most `maxAgeMs` ago; 0: as it is now. Throws `Fault` store_unavailable. */
  async find(id: string, maxAgeMs: number): Promise<Cluster | undefined> {
    const asked = this.#now()
    if (this.#version === undefined || asked - this.#checkedAt >= maxAgeMs) await this.#check(asked)
    return this.#clusters.get(id)
  }

  async #check(asked: number): Promise<void> {
    const [version = null] = await this.#store.peek([clusterCodec.key])
    if (version !== this.#version) {
      const read = await readDocument(this.#store, clusterCodec)
      this.#clusters = read.value
      this.#version = read.version
    }
    this.#checkedAt = Math.max(this.#checkedAt, asked)
  }
}
