// All applied resources as one document, so that an apply of many manifests is one atomic write.
// `revision` only grows: it is the source of resource versions, which therefore never repeat.

import type { Resource } from '../../crds/manifest.ts'
import { resourceKey } from '../../plan/resources.ts'
import type { Store } from '../../gateway/ports.ts'
import { changeDocument, readDocument } from './document.ts'
import type { Change, Codec, Read } from './document.ts'

/** Metadata that only the edge sets. */
export interface ServerMetadata {
  readonly uid: string
  /** Grows with every change of the resource. Opaque to clients. */
  readonly resourceVersion: string
  /** Counts the changes of `spec`, from 1. */
  readonly generation: number
  /** RFC 3339, UTC, whole seconds. */
  readonly creationTimestamp: string
}

export type StoredResource = Resource & { readonly metadata: ServerMetadata }

/** `Kind/namespace/name` → resource. */
export type StoredResources = ReadonlyMap<string, StoredResource>

export interface ResourceDocument {
  readonly revision: number
  readonly resources: StoredResources
}

export const resourceCodec: Codec<ResourceDocument> = {
  key: 'resources',
  empty: { revision: 0, resources: new Map() },
  parse(json) {
    const stored = json as { format: number; revision: number; items: StoredResource[] }
    if (stored.format !== 1) throw new Error(`unknown format ${String(stored.format)}`)
    const entries = stored.items.map(
      (item) => [resourceKey(item.kind, item.metadata.namespace, item.metadata.name), item] as const,
    )
    return { revision: stored.revision, resources: new Map(entries) }
  },
  print: ({ revision, resources }) => ({ format: 1, revision, items: [...resources.values()] }),
}

/** Every applied resource, and the store's version of the document (null: nothing was ever applied). */
export async function readResources(store: Store): Promise<{ resources: StoredResources; version: string | null }> {
  const { value, version }: Read<ResourceDocument> = await readDocument(store, resourceCodec)
  return { resources: value.resources, version }
}

/** Changes the document as `change` decides, which may run several times. Throws as `changeDocument`. */
export function changeResources<R>(
  store: Store,
  change: (current: ResourceDocument) => Change<ResourceDocument, R>,
): Promise<R> {
  return changeDocument(store, resourceCodec, change)
}
