// Values that fit a JSON Schema node, made at random: what a careful author might write, rules between fields aside.
import * as fc from 'fast-check'
import type { Json, Tree } from '../../../crds/plain.ts'

/** A node of the JSON Schema that zod writes of a spec. */
export type Node = Readonly<Record<string, unknown>>

/** Values of `node`. Optional fields are there in a third of all cases, so that most objects stay small. */
export function sound(node: Node): fc.Arbitrary<Json> {
  const given = node['enum'] ?? (node['const'] === undefined ? undefined : [node['const']])
  if (Array.isArray(given)) return fc.constantFrom(...(given as Json[]))
  if (node['x-kubernetes-int-or-string'] === true) return fc.constantFrom<Json>(1, 8080, '100m', '25%', 'http')
  if (node['x-kubernetes-preserve-unknown-fields'] === true && node['properties'] === undefined) {
    return node['type'] === 'object' ? fc.dictionary(word, scalar, { maxKeys: 3 }) : scalar
  }
  switch (node['type']) {
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({
        min: number(node['minimum'], 0),
        max: Math.min(number(node['maximum'], 100_000), 2 ** 31 - 1),
      })
    case 'number':
      return fc.double({ min: number(node['minimum'], 0), max: number(node['maximum'], 1), noNaN: true })
    case 'string':
      return text(node)
    case 'array':
      return fc.array(sound(node['items'] as Node), {
        minLength: number(node['minItems'], 0),
        maxLength: Math.max(3, number(node['minItems'], 0)),
      })
    case 'object':
      return object(node)
    default:
      throw new Error(`no values for ${JSON.stringify(node).slice(0, 200)}`)
  }
}

const word = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9]{0,12}$/)
const scalar: fc.Arbitrary<Json> = fc.oneof(word, fc.integer(), fc.boolean(), fc.constantFrom<Json>({}, [1, 'a']))
const durations = ['500ms', '30s', '1m30s', '1.5h']
const addresses = ['https://mcp.example.com/mcp', 'http://a.test:8080', 'https://[::1]/x?y=z']

function text(node: Node): fc.Arbitrary<string> {
  const [min, max] = [number(node['minLength'], 0), number(node['maxLength'], 64)]
  const pattern = node['pattern']
  if (typeof pattern !== 'string')
    return fc
      .oneof(word, fc.string({ minLength: min, maxLength: Math.min(max, Math.max(min, 24)) }))
      .filter((value) => value.length >= min && value.length <= max)
  const expression = new RegExp(pattern)
  const common = [...durations, ...addresses, 'main', 'team-a'].filter(
    (value) => expression.test(value) && value.length <= max,
  )
  const odd = fc.constantFrom(...matching(expression).filter((value) => value.length >= min && value.length <= max))
  return common.length === 0
    ? odd
    : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...common) }, { weight: 1, arbitrary: odd })
}

const matches = new Map<string, string[]>()

/** Some values that match an expression. Made once, since making them is slow. */
function matching(expression: RegExp): string[] {
  const known = matches.get(expression.source)
  if (known !== undefined) return known
  const made = fc.sample(fc.stringMatching(expression, { maxLength: 40 }), { numRuns: 40, seed: 1 })
  matches.set(expression.source, made)
  return made
}

function object(node: Node): fc.Arbitrary<Tree> {
  const values = node['additionalProperties']
  if (node['properties'] === undefined) {
    return typeof values === 'object' && values !== null
      ? fc.dictionary(word, sound(values as Node), { maxKeys: 3 })
      : fc.constant({})
  }
  const required = (node['required'] as string[] | undefined) ?? []
  const fields = Object.entries(node['properties'] as Record<string, Node>)
  if (fields.length === 0) return fc.constant({})
  return fc
    .tuple(
      ...fields.map(([name, child]) =>
        required.includes(name)
          ? sound(child)
          : fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: sound(child) }),
      ),
    )
    .map((made) => {
      const tree: Tree = {}
      for (const [index, value] of made.entries()) if (value !== undefined) tree[fields[index]?.[0] ?? ''] = value
      return tree
    })
}

function number(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}
