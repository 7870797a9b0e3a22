// What users may write besides the fields of a schema: older and friendlier spellings that `normalise` turns into today's fields. A
// cluster has no webhook, so an API server has to let them through; whoever reads a resource never sees them.
import * as z from 'zod'
import { Anything } from './bound.ts'
import { type Cel, rule } from './rule.ts'

type Shape = Readonly<Record<string, z.ZodType>>

interface Spelling {
  /** Fields to add, or to put in the place of those of the same name. */
  readonly fields: Shape
  /** What holds only of the written form. */
  readonly rules: (schema: z.ZodType) => z.ZodType
}

const spellings = new WeakMap<z.core.$ZodType, Spelling>()

/** `schema`, which users may also write with `fields`. */
export function spelt<S extends z.ZodType>(
  schema: S,
  fields: Shape,
  rules: (schema: z.ZodType) => z.ZodType = (each) => each,
): S {
  const copy = schema.clone(undefined, { parent: true })
  spellings.set(copy, { fields, rules })
  return copy
}

/** A field that is an older spelling of `present`. */
export function old(schema: z.ZodType, present: string): z.ZodType {
  return schema.optional().meta({ deprecated: true, description: `Old spelling of ${present}.` })
}

/** As `old`, for a field whose value is looked into only in its present place. */
export function moved(present: string): z.ZodType {
  return old(Anything, present)
}

/** A field of earlier releases that can not be acted on; `instead` says what to write. */
export function gone(schema: z.ZodType, instead: string): z.ZodType {
  return schema.optional().meta({ deprecated: true, description: `No longer exists; ${instead}.` })
}

/** A reference that users also write as a bare name. */
export const LooseNameRef = Anything.optional().describe('An MCPGroup: {name}.')

/** The rule that one of several spellings of a required field is there. `names` begins with the present one. */
export function requireOne(schema: z.ZodType, ...names: readonly [string, ...string[]]): z.ZodType {
  const twin: Cel = {
    rule: names.map((name) => `has(self.${name})`).join(' || '),
    message: `${names[0]} is required`,
  }
  return rule(
    schema,
    (fields, refuse) => {
      if (names.every((name) => fields[name] === undefined)) refuse([names[0]], 'is required')
    },
    twin,
  )
}

/**
 * The written form of `schema`: with all spellings, and without values that stand in for absent objects, which an API server would
 * write into every resource.
 */
export function written(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) return writtenObject(schema)
  if (schema instanceof z.ZodArray) return cloned(schema, { element: written(schema.element as z.ZodType) })
  if (schema instanceof z.ZodRecord) return cloned(schema, { valueType: written(schema.valueType as z.ZodType) })
  if (schema instanceof z.ZodPrefault)
    return written(schema.unwrap() as z.ZodType)
      .optional()
      .meta(schema.meta() ?? {})
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return cloned(schema, { innerType: written(schema.unwrap() as z.ZodType) })
  }
  return schema
}

function writtenObject(schema: z.ZodObject): z.ZodType {
  const spelling = spellingOf(schema)
  const shape: Record<string, z.ZodType> = {}
  for (const [name, field] of Object.entries({ ...schema.shape, ...spelling?.fields })) {
    shape[name] = written(field as z.ZodType)
  }
  const object = cloned(schema, { shape })
  return spelling === undefined ? object : spelling.rules(object)
}

/** Rules and descriptions make new schemas out of older ones; the spelling belongs to all of them. */
function spellingOf(schema: z.core.$ZodType | undefined): Spelling | undefined {
  return schema === undefined ? undefined : (spellings.get(schema) ?? spellingOf(schema._zod.parent))
}

function cloned(schema: z.ZodType, changes: Readonly<Record<string, unknown>>): z.ZodType {
  return schema.clone({ ...schema._zod.def, ...changes }, { parent: true })
}
