// Strings, lists and maps of resources. Everything has a maximum: 2,048 characters, 256 items and 256 entries unless the field says
// otherwise, so that no manifest can make an edge hold more than it planned for.
import * as z from 'zod'
import { semantic } from './rule.ts'

/** A string of at most `max` characters, possibly empty. */
export function text(max = 2048) {
  return z.string().max(max)
}

/** A string of one to `max` characters. */
export function filled(max = 2048) {
  return z.string().min(1).max(max)
}

/** A list of at most `max` items. */
export function list<T extends z.ZodType>(item: T, max = 256) {
  return z.array(item).max(max)
}

/** A map of at most `max` entries whose keys have 1 to 253 characters, or match `key`; OpenAPI can not say anything about keys. */
export function map<V extends z.ZodType>(value: V, max = 256, key: z.ZodType<string, string> = filled(253)) {
  const entries = z
    .record(z.string(), value)
    .refine((fields) => Object.keys(fields).length <= max, { error: `must have at most ${max} entries` })
    .meta({ maxProperties: max })
  return semantic(entries, (fields, refuse) => {
    for (const name of Object.keys(fields)) {
      const wrong = key.safeParse(name).error?.issues[0]
      if (wrong !== undefined) refuse([name], keyMessage(wrong))
    }
  })
}

function keyMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small') return 'must not have an empty name'
  return issue.code === 'too_big' ? `must have a name of at most ${issue.maximum} characters` : issue.message
}

/** A TCP port. */
export const Port = z.int().min(1).max(65_535)

/**
 * A field that only clusters act on: its default is published in the CRD but not filled in here, so that a resource read back from an
 * edge has no fields that its author did not write.
 */
export function inCluster<T extends z.ZodType>(schema: T, value: z.output<T>) {
  return schema.optional().meta({ default: value })
}

/** A part of a resource that is accepted without looking into it. */
export const Opaque = z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true })

/** A value of any type: what has no type in OpenAPI. */
export const Anything = z.unknown().meta({ 'x-kubernetes-preserve-unknown-fields': true })

/** What Kubernetes calls int32, from `min` to `max`. */
export function whole(min: number, max = 2_147_483_647) {
  return z.int().min(min).max(max)
}
