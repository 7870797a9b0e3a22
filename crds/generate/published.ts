// What a kind publishes to clusters and readers besides its names.
import type * as z from 'zod'
import { schemas, statuses } from '../cluster.ts'
import { type Column, columns, selectable } from '../column.ts'
import { allKinds, type Kind, kinds } from '../kinds.ts'
import { written } from '../spelling.ts'

export interface Published {
  readonly summary: string
  readonly versions: readonly {
    readonly name: string
    readonly storage?: boolean | undefined
    readonly deprecated?: string | undefined
  }[]
  /** The spec as users may write it, old spellings included. */
  readonly written: z.ZodType
  readonly status: z.ZodType
  readonly columns: readonly Column[]
  readonly selectable: readonly string[]
}

export const publishedKinds: readonly Kind[] = allKinds

/** What `kind` publishes. */
export function published(kind: Kind): Published {
  const known = made.get(kind)
  if (known !== undefined) return known
  const result = {
    summary: kinds[kind].summary,
    versions: versions(kind),
    written: written(schemas[kind].shape.spec),
    status: statuses[kind],
    columns: columns[kind],
    selectable: selectable[kind] ?? [],
  }
  made.set(kind, result)
  return result
}

const made = new Map<Kind, Published>()

/** What was v1alpha1 before is served as such too; nothing else has an older version. */
function versions(kind: Kind): Published['versions'] {
  const [group = '', version = ''] = kinds[kind].apiVersion.split('/')
  if (version !== 'v1beta1') return [{ name: version, storage: true }]
  const gone =
    kind === 'MCPRegistry' ? 'MCPRegistry is deprecated; run a registry server of its own instead' : undefined
  return [
    { name: version, storage: true, deprecated: gone },
    { name: 'v1alpha1', deprecated: gone ?? `${group}/v1alpha1 is deprecated; use v1beta1` },
  ]
}
