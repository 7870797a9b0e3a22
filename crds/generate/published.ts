// What a kind publishes to clusters and readers besides its names.
import * as z from 'zod'
import { kinds, type Kind } from '../kinds.ts'

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

/** What `kind` publishes. */
export function published(kind: Kind): Published {
  const entry: { readonly schema: z.ZodObject; readonly apiVersion: string } & Partial<Published> = kinds[kind]
  return {
    summary: entry.summary ?? kind,
    versions: entry.versions ?? [{ name: 'v1beta1', storage: true }],
    written: entry.written ?? (entry.schema.shape['spec'] as z.ZodType),
    status: entry.status ?? z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true }),
    columns: entry.columns ?? [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
    selectable: entry.selectable ?? [],
  }
}
