// Rules that span several fields of a schema. They run even when single fields are wrong, so that all problems of a manifest are
// reported at once; a rule therefore sees unknown values and never trusts their types.
import type * as z from 'zod'

export type Refuse = (path: readonly (string | number)[], message: string) => void
export type Fields = Readonly<Record<string, unknown>>

/** `schema` with a rule that calls `refuse` with a path below it for everything that does not fit together. */
export function rule<S extends z.ZodType>(schema: S, check: (fields: Fields, refuse: Refuse) => void): S {
  return schema.superRefine(
    (value, context) => {
      if (isFields(value))
        check(value, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
    },
    { when: () => true },
  )
}

/** `value` as fields to look into, when it is an object or a list. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** A list of objects where no two may have the same key, as Kubernetes' `listType: map`. `field` is blamed for a second one. */
export function unique<S extends z.ZodType>(schema: S, field: string, key: (item: Fields) => string): S {
  return rule(schema, (items, refuse) => {
    if (!Array.isArray(items)) return
    const seen = new Set<string>()
    for (const [index, item] of items.entries()) {
      if (!isFields(item)) continue
      const found = key(item)
      if (seen.has(found)) refuse([index, field], `is the same as that of an earlier item; remove one`)
      seen.add(found)
    }
  })
}

/** A field as text for comparisons; empty for everything that is no string. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/**
 * The rule of a tagged object: the part that belongs to the tag's value must be there and the parts of other values must not.
 * `parts` maps each value of the field `tag` to the name of its part, or to null when it has none.
 */
export function oneOf(tag: string, parts: Readonly<Record<string, string | null>>) {
  return (fields: Fields, refuse: Refuse): void => {
    const chosen = fields[tag]
    if (typeof chosen !== 'string' || !Object.hasOwn(parts, chosen)) return
    const wanted = parts[chosen]
    if (typeof wanted === 'string' && fields[wanted] === undefined) {
      refuse([wanted], `is required when ${tag} is ${chosen}`)
    }
    for (const part of Object.values(parts)) {
      if (part !== null && part !== wanted && fields[part] !== undefined) {
        refuse([part], `does not go with ${tag}: ${chosen}; remove it or change ${tag}`)
      }
    }
  }
}
