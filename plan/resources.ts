// Resources by key, as every host holds them.

import type { Resource } from '../crds/manifest.ts'

/** `Kind/namespace/name` → resource. */
export type Resources = ReadonlyMap<string, Resource>

/** The key of a resource in `Resources`. */
export function resourceKey(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`
}
