// What a kind publishes to clusters and readers besides its names.
import * as z from 'zod'
import { schemas, statuses } from '../cluster.ts'
import { allKinds, type Kind } from '../kinds.ts'

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
    versions: [{ name: 'v1beta1', storage: true }],
    written: schema.shape['spec'] as z.ZodType,
    status: status ?? z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true }),
    columns: [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
    selectable: [],
  }
}
