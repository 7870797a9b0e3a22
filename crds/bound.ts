// Strings, lists and maps of resources. Everything has a maximum: 2,048 characters, 256 items and 256 entries unless the field says
// otherwise, so that no manifest can make an edge hold more than it planned for.
import * as z from 'zod'

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

/** A map of at most `max` entries whose keys have 1 to 253 characters, or match `key`. */
export function map<V extends z.ZodType>(value: V, max = 256, key: z.ZodType<string, string> = filled(253)) {
  return z
    .record(key, value)
    .refine((entries) => Object.keys(entries).length <= max, { error: `must have at most ${max} entries` })
    .meta({ maxProperties: max })
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

/** A part of a resource that the edge accepts but does not look into. */
export const Opaque = z.looseObject({}).meta({ 'x-kubernetes-preserve-unknown-fields': true })
