// The fleet of a Kubernetes cluster: its resources, as informers show them, with the catalogs of their proxies. A call finds its server
// here by name, and only while it is offered; where that is follows from the resource.

import { kinds } from '../../crds/kinds.ts'
import { catalogUrl, endpointUrl } from '../../plan/address.ts'
import { identity } from '../../plan/site.ts'
import type { CallTarget } from '../../protocol/link.ts'
import { itemKey, SNAPSHOT_KINDS, type SnapshotKind } from '../../protocol/snapshot.ts'
import type { KubeClient } from '../kube/client.ts'
import { Informer, type InformerMetrics } from '../kube/informer.ts'
import type { KubeObject, ResourceType } from '../kube/object.ts'
import { Catalogs, type CatalogsHost } from './catalogs.ts'
import type { Door, HttpDoors } from './door.ts'
import { shutTargets, withheld, type Seen } from './offers.ts'
import { see } from './seen.ts'
import type { Offer } from './snapshot.ts'
import type { Fleet } from './uplink.ts'

export interface ClusterHost {
  readonly client: KubeClient
  /** Of this cluster, at the edge. */
  readonly cluster: string
  readonly namespaces: readonly string[] | undefined
  readonly doors: HttpDoors
  readonly assertion: CatalogsHost['assertion']
  /** What is offered may be different. */
  readonly changed: () => void
  /** A resource, by `itemKey`, or what is to be said of it, is different. */
  readonly touched: (key: string) => void
  readonly metrics?: InformerMetrics
  readonly onError?: (error: unknown) => void
}

interface Entry {
  readonly raw: KubeObject
  readonly seen: Seen
  /** Made anew when something of it changes. */
  offer: Offer | undefined
}

export const resourceTypes: ReadonlyMap<SnapshotKind, ResourceType> = new Map(
  SNAPSHOT_KINDS.map((kind) => {
    const { apiVersion, plural } = kinds[kind]
    return [kind, { apiVersion, kind, plural, namespaced: true }]
  }),
)

export class Cluster implements Fleet {
  readonly informers: ReadonlyMap<SnapshotKind, Informer>
  readonly catalogs: Catalogs
  readonly #host: ClusterHost
  readonly #entries = new Map<string, Entry>()
  #shut: ReadonlySet<string> | undefined

  constructor(host: ClusterHost) {
    this.#host = host
    const { client, namespaces, metrics, onError } = host
    this.catalogs = new Catalogs({
      assertion: host.assertion,
      changed: (key) => {
        const entry = this.#entries.get(key.slice(0, key.lastIndexOf('@')))
        if (entry !== undefined) entry.offer = undefined
        host.changed()
      },
    })
    this.informers = new Map(
      [...resourceTypes].map(([kind, type]) => {
        const informer = new Informer(client, type, {
          namespaces,
          transform: lean,
          ...(metrics !== undefined && { metrics }),
          ...(onError !== undefined && { onError }),
        })
        informer.onChange((old, next) => this.#change(kind, old, next))
        return [kind, informer]
      }),
    )
  }

  /** Begins to watch. Resolves when everything has been read once; rejects when the signal aborts before. */
  async watch(signal: AbortSignal): Promise<void> {
    const all = [...this.informers.values()]
    for (const informer of all) informer.start(signal)
    await Promise.all(all.map((informer) => informer.synced()))
  }

  /** By `itemKey`. */
  entries(): Iterable<readonly [string, { readonly raw: KubeObject; readonly seen: Seen }]> {
    return this.#entries
  }
  entry(key: string): { readonly raw: KubeObject; readonly seen: Seen } | undefined {
    return this.#entries.get(key)
  }

  /** Why the edge is not told of a resource; undefined when it is. */
  withheld(seen: Seen): string | undefined {
    this.#shut ??= shutTargets([...this.#entries.values()].map((entry) => entry.seen))
    return withheld(seen, this.#shut)
  }

  readonly offers = (): Iterable<Offer> => {
    const found: Offer[] = []
    for (const entry of this.#entries.values()) {
      const { seen, raw } = entry
      if (seen.resource === undefined || raw.metadata.deletionTimestamp !== undefined) continue
      if (this.withheld(seen) !== undefined) continue
      entry.offer ??= { resource: seen.resource, uid: seen.uid, catalog: this.catalogs.text(followKey(seen)) }
      found.push(entry.offer)
    }
    return found
  }

  /** Servers only: what a virtual server offers, the edge puts together itself. */
  readonly door = (target: CallTarget): Door | undefined => {
    const seen = this.#entries.get(`${target.kind}/${target.namespace}/${target.name}`)?.seen
    const { resource } = seen ?? {}
    if (seen === undefined || (resource?.kind !== 'MCPServer' && resource?.kind !== 'MCPRemoteProxy')) return undefined
    return this.withheld(seen) === undefined ? this.#host.doors.door(endpointUrl(resource)) : undefined
  }

  close(): void {
    this.catalogs.close()
  }

  #change(kind: SnapshotKind, old: KubeObject | undefined, next: KubeObject | undefined): void {
    const { namespace = '', name } = (next ?? old)?.metadata ?? { name: '' }
    const key = itemKey({ kind, namespace, name })
    const before = this.#entries.get(key)
    if (next === undefined) {
      if (before !== undefined) this.catalogs.leave(followKey(before.seen))
      this.#entries.delete(key)
    } else {
      const seen = see(kind, next, before)
      const isSame = before?.seen === seen
      if (before !== undefined && before.seen.uid !== seen.uid) this.catalogs.leave(followKey(before.seen))
      this.#entries.set(key, { raw: next, seen, offer: isSame ? before.offer : undefined })
      const isEnding = next.metadata.deletionTimestamp !== before?.raw.metadata.deletionTimestamp
      if (isSame && !isEnding) return this.#host.touched(key)
    }
    this.#shut = undefined
    // Whether anything is told of a policy's target depends on the policy.
    for (const one of new Set([key, before?.seen.target, this.#entries.get(key)?.seen.target])) {
      if (one === undefined) continue
      this.#follow(one)
      this.#host.touched(one)
    }
    this.#host.changed()
  }

  #follow(key: string): void {
    const seen = this.#entries.get(key)?.seen
    const { resource } = seen ?? {}
    if (seen === undefined || (resource?.kind !== 'MCPServer' && resource?.kind !== 'MCPRemoteProxy')) return
    const { namespace, name, kind } = seen
    if (this.withheld(seen) !== undefined) return this.catalogs.leave(followKey(seen))
    const { cluster } = this.#host
    this.catalogs.follow({
      key: followKey(seen),
      server: `${namespace}/${name}`,
      url: catalogUrl(resource),
      audience: identity({ cluster, kind, namespace, name }),
    })
  }
}

function followKey(seen: Seen): string {
  return `${itemKey(seen)}@${seen.uid}`
}

/** Without what kubectl keeps in it for itself. */
function lean(object: KubeObject): KubeObject {
  delete object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration']
  return object
}
