// What joined clusters have registered: a small index, which every isolate compares, one document a cluster with its resources, and
// one body a catalog. Only the cluster's hub writes them, and it writes nothing while nothing changes.

import type { ServerCatalog } from '../../gateway/catalog/server.ts'
import type { Store } from '../../gateway/ports.ts'
import type { Resource } from '../../plan/resources.ts'
import type { SnapshotKind } from '../../protocol/snapshot.ts'
import { changeDocument, type Codec } from './document.ts'

/** A cluster as the index has it. */
export interface Presence {
  /** Changes whenever the cluster's document does. */
  readonly version: string
  /** Offline: calls would fail, lists still have it. Delisted: lists have it no more, what it registered is kept for its return. */
  readonly state: 'online' | 'offline' | 'delisted'
  /** Milliseconds since the epoch of the last change of `state`. */
  readonly since: number
  /** Its virtual servers by `namespace/name`, for whoever asks which cluster's counts. */
  readonly virtual: Readonly<Record<string, Claim>>
}

/** A virtual server as the index has it. */
export interface Claim {
  /** When the cluster registered it first, in milliseconds since the epoch. */
  readonly at: number
  /** Fingerprint of what it says: clusters that say the same do not contradict each other. */
  readonly settings: string
}

/** Cluster id → presence, of all clusters that have registered anything and were not forgotten. */
export type Registry = ReadonlyMap<string, Presence>

export const registryCodec: Codec<Registry> = {
  key: 'registry',
  empty: new Map(),
  parse(json) {
    const stored = json as { format: number; items: [string, Presence][] }
    if (stored.format !== 1) throw new Error(`unknown format ${String(stored.format)}`)
    return new Map(stored.items)
  },
  print: (registry) => ({ format: 1, items: [...registry] }),
}

export interface RegisteredItem {
  readonly kind: SnapshotKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Of the body it was read from. */
  readonly digest: string
  /** When this key was seen first, in milliseconds since the epoch by the edge's clock; kept while it stays. */
  readonly registeredAt: number
  /** The checked manifest. */
  readonly resource: Extract<Resource, { kind: SnapshotKind }>
  /** Digest of its catalog; undefined while the cluster knows none. */
  readonly catalog: string | undefined
  /** Characters of its catalog; absent: there is none. */
  readonly size?: number
}

export interface Registered {
  readonly epoch: number
  readonly seq: number
  readonly items: readonly RegisteredItem[]
}

/** Digests of the catalogs that a cluster's document names. */
export function catalogsOf(items: readonly RegisteredItem[]): ReadonlySet<string> {
  return new Set(items.flatMap(({ catalog }) => catalog ?? []))
}

/** The document of one cluster. */
export function registeredCodec(cluster: string): Codec<Registered> {
  return {
    key: `registry/${cluster}`,
    empty: { epoch: 0, seq: 0, items: [] },
    parse(json) {
      const { format, ...stored } = json as Registered & { format: number }
      if (format !== 1) throw new Error(`unknown format ${String(format)}`)
      return stored
    },
    print: (registered) => ({ format: 1, ...registered }),
  }
}

/** Key of a catalog's body: JSON `{digest, catalog: ServerCatalog}`, as those of the edge's own servers. */
export function registeredCatalogKey(cluster: string, digest: string): string {
  return `registered/${cluster}/${digest}`
}

export function catalogBody(digest: string, catalog: ServerCatalog): string {
  return JSON.stringify({ digest, catalog })
}

/** Says in the index how a cluster is now; undefined: it has registered nothing. Writes nothing when that is known. */
export async function setPresence(store: Store, cluster: string, presence: Presence | undefined): Promise<void> {
  await changeDocument(store, registryCodec, (registry) => {
    const known = registry.get(cluster)
    if (JSON.stringify(known) === JSON.stringify(presence)) return { result: undefined }
    const next = new Map(registry)
    if (presence === undefined) next.delete(cluster)
    else next.set(cluster, presence)
    return { next: new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1))), result: undefined }
  })
}

/** The cluster whose virtual server of this name counts, the one that registered it first, and what it says. */
export function ownerOf(registry: Registry, virtual: string): ({ readonly cluster: string } & Claim) | undefined {
  let owner: ({ readonly cluster: string } & Claim) | undefined
  for (const [cluster, presence] of registry) {
    const claim = Object.hasOwn(presence.virtual, virtual) ? presence.virtual[virtual] : undefined
    if (claim === undefined) continue
    const isFirst = owner === undefined || claim.at < owner.at || (claim.at === owner.at && cluster < owner.cluster)
    if (isFirst) owner = { cluster, ...claim }
  }
  return owner
}
