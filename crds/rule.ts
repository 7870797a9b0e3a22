// Rules that span several fields of a schema. They run even when single fields are wrong, so that all problems of a manifest are
// reported at once; a rule therefore sees unknown values and never trusts their types.
// `rule` has a twin in CEL, so that an API server gives the same verdict; `semantic` is what neither OpenAPI nor CEL can say: an API
// server stores such a resource, and whoever acts on it reports the problem.
import type * as z from 'zod'

export type Refuse = (path: readonly (string | number)[], message: string) => void
export type Fields = Readonly<Record<string, unknown>>

/** A rule for an API server: `rule` must be true of `self`, else the author reads `message`. */
export interface Cel {
  readonly rule: string
  readonly message: string
  /** The field to blame, such as `.remoteUrl`; without it the object that holds the rule. */
  readonly fieldPath?: string
}

const validations = 'x-kubernetes-validations'

/** `schema` with a rule that calls `refuse` with a path below it for everything that does not fit together, and the rule's twins. */
export function rule<S extends z.ZodType>(
  schema: S,
  check: (fields: Fields, refuse: Refuse) => void,
  ...twins: readonly Cel[]
): S {
  return withTwins(checked(schema, check, {}), twins)
}

/** `schema` with a check that only code can make. Its issues carry `params.semantic`. */
export function semantic<S extends z.ZodType>(schema: S, check: (fields: Fields, refuse: Refuse) => void): S {
  return checked(schema, check, { semantic: true })
}

/** The options of a zod `refine` that no API server makes: the message, and the mark that tells it from structural ones. */
export function semantically(error: string): { error: string; params: { semantic: true } } {
  return { error, params: { semantic: true } }
}

/** Whether an issue is one that an API server would report as well. */
export function isStructural(issue: z.core.$ZodIssue): boolean {
  return !(issue.code === 'custom' && issue.params?.['semantic'] === true)
}

/** `schema` with more rules for API servers, after those it has. */
export function withTwins<S extends z.ZodType>(schema: S, twins: readonly Cel[]): S {
  if (twins.length === 0) return schema
  const before = schema.meta()?.[validations]
  return schema.meta({ [validations]: [...(Array.isArray(before) ? (before as Cel[]) : []), ...twins] })
}

function checked<S extends z.ZodType>(
  schema: S,
  check: (fields: Fields, refuse: Refuse) => void,
  params: Record<string, unknown>,
): S {
  return schema.superRefine(
    (value, context) => {
      if (isFields(value))
        check(value, (path, message) => context.addIssue({ code: 'custom', path: [...path], message, params }))
    },
    { when: () => true },
  )
}

/** `value` as fields to look into, when it is an object or a list. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** A list of objects where no two may have the same values in `keys`, as Kubernetes' `listType: map`; the first key is blamed. */
export function keyed<S extends z.ZodType>(schema: S, ...keys: readonly [string, ...string[]]): S {
  return unique(schema, keys[0], (item) => keys.map((key) => textOf(item[key])).join('/')).meta({
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [...keys],
  })
}

/** A list of objects where no two may have the same key. `field` is blamed for a second one. */
export function unique<S extends z.ZodType>(
  schema: S,
  field: string,
  key: (item: Fields) => string,
  ...twins: readonly Cel[]
): S {
  return rule(schema, repeated(field, key), ...twins)
}

/** As `unique`, where only code can compare the keys. */
export function distinct<S extends z.ZodType>(schema: S, field: string, key: (item: Fields) => string): S {
  return semantic(schema, repeated(field, key))
}

function repeated(field: string, key: (item: Fields) => string) {
  return (items: Fields, refuse: Refuse): void => {
    if (!Array.isArray(items)) return
    const seen = new Set<string>()
    for (const [index, item] of items.entries()) {
      if (!isFields(item)) continue
      const found = key(item)
      if (seen.has(found)) refuse([index, field], `is the same as that of an earlier item; remove one`)
      seen.add(found)
    }
  }
}

/** A field as text for comparisons; empty for everything that is no string. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/**
 * `schema` with the rule of a tagged object: the part that belongs to the tag's value must be there and the parts of other values must
 * not. `parts` maps each value of the field `tag` to the name of its part, or to null when it has none.
 */
export function oneOf<S extends z.ZodType>(schema: S, tag: string, parts: Readonly<Record<string, string | null>>): S {
  const values = new Map<string, string[]>()
  for (const [value, part] of Object.entries(parts)) {
    if (part !== null) values.set(part, [...(values.get(part) ?? []), value])
  }
  const twins = [...values].flatMap(([part, those]): Cel[] => {
    const when = `self.${tag} in [${those.map((value) => `'${value}'`).join(', ')}]`
    const wanted = `${part} is required when ${tag} is ${those[0]}`
    const unwanted = `${part} goes only with ${tag}: ${those[0]}; remove it or change ${tag}`
    return [
      { rule: `!(${when}) || has(self.${part})`, message: wanted },
      { rule: `!has(self.${part}) || ${when}`, message: unwanted, fieldPath: `.${part}` },
    ]
  })
  return rule(
    schema,
    (fields, refuse) => {
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
    },
    ...twins,
  )
}

/** `schema` where `field` may not stand beside `other`. */
export function notBoth<S extends z.ZodType>(schema: S, field: string, other: string): S {
  return rule(
    schema,
    (fields, refuse) => {
      if (fields[field] !== undefined && fields[other] !== undefined) {
        refuse([field], `does not go with ${other}; keep one of the two`)
      }
    },
    {
      rule: `!has(self.${field}) || !has(self.${other})`,
      message: `${field} does not go with ${other}; keep one of the two`,
      fieldPath: `.${field}`,
    },
  )
}

/** `schema` where one of `names` must be given, and only one. */
export function exactlyOne<S extends z.ZodType>(schema: S, ...names: readonly [string, string]): S {
  const [first, second] = names
  const message = `give ${first} or ${second}, and not both`
  return rule(
    schema,
    (fields, refuse) => {
      if ((fields[first] === undefined) === (fields[second] === undefined)) refuse([], message)
    },
    { rule: `has(self.${first}) != has(self.${second})`, message },
  )
}
