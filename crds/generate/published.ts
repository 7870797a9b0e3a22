// What a kind publishes to clusters and readers besides its names.
import * as z from 'zod'
import { schemas, statuses } from '../cluster.ts'
import { allKinds, type Kind, kinds } from '../kinds.ts'

export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly jsonPath: string
  readonly priority?: number
  readonly description?: string
}

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

/** The kinds that have a schema. */
export const publishedKinds: readonly Kind[] = allKinds.filter((kind) => Object.hasOwn(schemas, kind))

/** What `kind` publishes. */
export function published(kind: Kind): Published {
  const schema: z.ZodType | undefined = (schemas as Partial<Record<Kind, z.ZodType>>)[kind]
  const status: z.ZodType | undefined = (statuses as Partial<Record<Kind, z.ZodType>>)[kind]
  if (!(schema instanceof z.ZodObject)) throw new Error(`${kind} has no schema`)
  return {
    summary: kind,
    versions: versions(kinds[kind].apiVersion),
    written: schema.shape['spec'] as z.ZodType,
    status: status ?? z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true }),
    columns: [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
    selectable: [],
  }
}

/** What was v1alpha1 before is served as such too; nothing else has an older version. */
function versions(apiVersion: string): Published['versions'] {
  const [group = '', version = ''] = apiVersion.split('/')
  if (version !== 'v1beta1') return [{ name: version, storage: true }]
  return [
    { name: version, storage: true },
    { name: 'v1alpha1', deprecated: `${group}/v1alpha1 is deprecated; use v1beta1` },
  ]
}
