// The fields of a kind as a flat list, in the order of the schema: what its reference page and the compatibility page are made of.
import type { Kind } from '../kinds.ts'
import { published } from './published.ts'
import { inputSchema, type Validation } from './structural.ts'

export interface Field {
  /** `spec.env[].name`: `[]` stands for the items of a list, `.*` for the values of a map. */
  readonly path: string
  /** `string`, `list of object`, `map of string`, … */
  readonly type: string
  readonly required: boolean
  /** Default, allowed values and bounds, in words. */
  readonly bounds: readonly string[]
  readonly description: string
  /** An old spelling, which is read but should not be written any more. */
  readonly deprecated: boolean
}

export interface Rule {
  readonly path: string
  readonly message: string
}

type Node = Readonly<Record<string, unknown>>

/** All fields below the spec or the status of `kind`. */
export function fields(kind: Kind, part: 'spec' | 'status'): Field[] {
  return below(inputSchema(published(kind)[part === 'spec' ? 'written' : 'status']), part, false)
}

/** The messages of all CEL rules of `kind`'s spec, with the path of the object that each rule looks at. */
export function rules(kind: Kind): Rule[] {
  return rulesOf(inputSchema(published(kind).written), 'spec')
}

function below(node: Node, path: string, deprecated: boolean): Field[] {
  const inner = innerOf(node)
  if (inner !== undefined) return below(inner.node, path + inner.suffix, deprecated)
  const required = (node['required'] as string[] | undefined) ?? []
  return Object.entries(propertiesOf(node)).flatMap(([name, child]) => {
    const old = deprecated || child['deprecated'] === true
    const field: Field = {
      path: `${path}.${name}`,
      type: typeOf(child),
      required: required.includes(name),
      bounds: boundsOf(child),
      description: typeof child['description'] === 'string' ? child['description'] : '',
      deprecated: old,
    }
    return [field, ...below(child, field.path, old)]
  })
}

function rulesOf(node: Node, path: string): Rule[] {
  const own = (node['x-kubernetes-validations'] as Validation[] | undefined) ?? []
  const inner = innerOf(node)
  return [
    ...own.map(({ fieldPath = '', message, rule }) => ({ path: path + fieldPath, message: message ?? rule })),
    ...(inner === undefined ? [] : rulesOf(inner.node, path + inner.suffix)),
    ...Object.entries(propertiesOf(node)).flatMap(([name, child]) => rulesOf(child, `${path}.${name}`)),
  ]
}

/** The items of a list, the values of a map; undefined for everything else. */
function innerOf(node: Node): { node: Node; suffix: string } | undefined {
  const { items, additionalProperties } = node
  if (typeof items === 'object') return { node: items as Node, suffix: '[]' }
  if (typeof additionalProperties === 'object' && node['properties'] === undefined)
    return { node: additionalProperties as Node, suffix: '.*' }
  return undefined
}

function propertiesOf(node: Node): Readonly<Record<string, Node>> {
  return (node['properties'] as Record<string, Node> | undefined) ?? {}
}

function typeOf(node: Node): string {
  if (node['x-kubernetes-int-or-string'] === true) return 'integer or string'
  const inner = innerOf(node)
  if (inner !== undefined) return `${inner.suffix === '[]' ? 'list' : 'map'} of ${typeOf(inner.node)}`
  if (node['x-kubernetes-preserve-unknown-fields'] === true) return 'any object'
  return String(node['type'] ?? 'string')
}

function boundsOf(node: Node): string[] {
  const out: string[] = []
  if (node['default'] !== undefined) out.push(`default ${JSON.stringify(node['default'])}`)
  const inner = innerOf(node)
  const values = (inner?.node ?? node)['enum'] as unknown[] | undefined
  if (values !== undefined) out.push(`one of ${values.map((value) => JSON.stringify(value)).join(', ')}`)
  if (inner === undefined && node['const'] !== undefined) out.push(`always ${JSON.stringify(node['const'])}`)
  if (values === undefined) out.push(...range(node, 'minLength', 'maxLength', ' characters'))
  out.push(...range(node, 'minimum', 'maximum', ''))
  out.push(
    ...range(node, 'minItems', 'maxItems', ' items'),
    ...range(node, 'minProperties', 'maxProperties', ' entries'),
  )
  return out
}

function range(node: Node, least: string, most: string, unit: string): string[] {
  const from = node[least]
  const to = node[most]
  const [low, high] = [
    typeof from === 'number' && from > Number.MIN_SAFE_INTEGER ? from : undefined,
    typeof to === 'number' && to < Number.MAX_SAFE_INTEGER ? to : undefined,
  ]
  if (high === undefined) return low === undefined ? [] : [`at least ${low}${unit}`]
  return low === undefined ? [`at most ${high}${unit}`] : [`${low} to ${high}${unit}`]
}
