// From a zod schema to a structural schema, the subset of OpenAPI v3 that a CustomResourceDefinition takes. Whatever the API server
// could not hold a manifest to, or could hold it to only at an unbounded cost, is an error here and not a surprise there.
import * as z from 'zod'
import type { Json } from '../plain.ts'

/** A CEL rule as CustomResourceDefinitions write it. */
export interface Validation {
  readonly rule: string
  readonly message?: string
  readonly messageExpression?: string
  readonly fieldPath?: string
  readonly reason?: string
  readonly optionalOldSelf?: boolean
}

/** One node of a structural schema. */
export interface Structural {
  type?: string
  format?: string
  description?: string
  default?: Json
  enum?: Json[]
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  minProperties?: number
  maxProperties?: number
  required?: string[]
  properties?: Record<string, Structural>
  items?: Structural
  additionalProperties?: Structural
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-list-type'?: string
  'x-kubernetes-map-type'?: string
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-validations'?: Validation[]
}

/** A node as zod writes it: JSON Schema, draft 7. */
type Node = Readonly<Record<string, unknown>>

const copied = [
  'type',
  'format',
  'description',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
] as const

/** Not for the API server: zod's own marks, and names of map keys, which OpenAPI knows nothing about. */
const dropped = ['$schema', 'deprecated', 'propertyNames']

/**
 * The structural schema of what `schema` accepts as input. `path` names it in errors. Throws where the API server could not check
 * the same: untagged unions, untyped values, patterns that RE2 does not know, and text, lists or maps without a maximum.
 */
export function structural(schema: z.ZodType, path: string): Structural {
  return convert(inputSchema(schema), path)
}

/** JSON Schema, draft 7, of what `schema` accepts as input. */
export function inputSchema(schema: z.ZodType): Node {
  return z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
    unrepresentable: 'throw',
  })
}

function convert(node: Node, path: string): Structural {
  const out: Record<string, unknown> = {}
  for (const keyword of copied) if (node[keyword] !== undefined) out[keyword] = node[keyword]
  for (const [keyword, value] of Object.entries(node)) {
    if (keyword in out || dropped.includes(keyword)) continue
    switch (keyword) {
      case 'const':
        out['enum'] = [value]
        break
      case 'properties':
        out['properties'] = Object.fromEntries(
          Object.entries(value as Node).map(([name, child]) => [name, convert(child as Node, `${path}.${name}`)]),
        )
        break
      case 'items':
        if (Array.isArray(value)) throw new Error(`${path}: a tuple is not structural`)
        out['items'] = convert(value as Node, `${path}[]`)
        break
      case 'additionalProperties':
        if (value !== false && node['x-kubernetes-preserve-unknown-fields'] !== true)
          out['additionalProperties'] = convert(value as Node, `${path}.*`)
        break
      case 'anyOf':
      case 'oneOf':
        if (node['x-kubernetes-int-or-string'] === true) break
        throw new Error(`${path}: a union is not structural; write optional fields and a rule`)
      default:
        throw new Error(`${path}: ${keyword} is not structural`)
    }
  }
  const found = out as Structural
  if (found['x-kubernetes-int-or-string'] === true) delete found.type
  else if (found.type === undefined && found['x-kubernetes-preserve-unknown-fields'] !== true)
    throw new Error(`${path}: has no type`)
  if (found.type === 'object' && found.properties !== undefined && Object.keys(found.properties).length === 0)
    delete found.properties
  if (found.type === 'integer') integer(found)
  check(found, path)
  return found
}

/** int32 where the bounds say so, as in Kubernetes' own types; the bounds of JavaScript's integers are nobody's business. */
function integer(node: Structural): void {
  if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum
  if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum
  node.format = node.maximum !== undefined && node.maximum <= 2_147_483_647 ? 'int32' : 'int64'
}

function check(node: Structural, path: string): void {
  if (node.pattern !== undefined && /\(\?(?!:)|\\[1-9kbB]/.test(node.pattern))
    throw new Error(`${path}: RE2 does not know this pattern: ${node.pattern}`)
  const { type, format } = node
  if (type === 'string' && node.maxLength === undefined && node.enum === undefined && format !== 'date-time')
    throw new Error(`${path}: text needs a maximum`)
  if (type === 'array' && node.maxItems === undefined) throw new Error(`${path}: a list needs a maximum`)
  if (node.additionalProperties !== undefined && node.maxProperties === undefined)
    throw new Error(`${path}: a map needs a maximum`)
}
