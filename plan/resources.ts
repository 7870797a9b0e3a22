// Resources by key, as every host holds them.

import type * as z from 'zod'
import type { schemas } from '../crds/cluster.ts'
import type { Kind } from '../crds/kinds.ts'

/** Any resource; an edge holds fewer kinds of them than a cluster. */
export type Resource = z.infer<(typeof schemas)[Kind]>

/** `Kind/namespace/name` → resource. */
export type Resources = ReadonlyMap<string, Resource>

/** The key of a resource in `Resources`. */
export function resourceKey(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`
}
