// One thing wrong, at random: what a hurried author, a wrong template or an old example makes of a sound value.
import type { Json, Tree } from '../../../crds/plain.ts'
import { isTree } from '../../../crds/plain.ts'
import type { Node } from './sound.ts'

/** A source of whole numbers below `bound`. */
export type Chance = (bound: number) => number

interface Place {
  readonly holder: Tree | Json[]
  readonly key: string | number
  readonly node: Node | undefined
}

/** Changes one place of `value`, which has the schema `node`. */
export function damage(value: Json, node: Node, chance: Chance): Json {
  const root: Tree = { value }
  const places = [...walk(root, 'value', node)]
  const place = places[chance(places.length)]
  if (place === undefined) return value
  const old = at(place)
  if (old === undefined) return value
  const ways = [
    remove,
    wrongType,
    ...(isTree(old) ? [unknownField, unknownField] : []),
    ...(Array.isArray(old) ? [twice, none, tooMany] : []),
  ]
  if (typeof old === 'string') ways.push(odd, odd, long, otherCase)
  if (typeof old === 'number') ways.push(outside, outside)
  ways[chance(ways.length)]?.(place, old, chance)
  return root['value'] ?? {}
}

type Way = (place: Place, old: Json, chance: Chance) => void

const remove: Way = ({ holder, key }) => {
  if (Array.isArray(holder)) holder.splice(Number(key), 1)
  else delete holder[key]
}

const wrongType: Way = (place, old, chance) => {
  const others: Json[] = ['text', 7, true, {}, [], ['a'], { a: 'b' }, '', 0.5]
  const different = others.filter((other) => typeof other !== typeof old || Array.isArray(other) !== Array.isArray(old))
  put(place, different[chance(different.length)] ?? 7)
}

const unknownField: Way = (_place, old, chance) => {
  if (isTree(old)) old[['unknown', 'nam', 'URL', 'x y'][chance(4)] ?? 'unknown'] = 'x'
}

const twice: Way = (_place, old, chance) => {
  if (!Array.isArray(old)) return
  const item = old[chance(Math.max(old.length, 1))]
  if (item !== undefined) old.push(structuredClone(item))
}

const none: Way = (place) => {
  put(place, [])
}

const tooMany: Way = ({ node }, old) => {
  const most = node?.['maxItems']
  if (!Array.isArray(old) || old[0] === undefined || typeof most !== 'number' || most > 300) return
  const [first] = old
  while (old.length <= most) old.push(structuredClone(first))
}

const odd: Way = (place, old, chance) => {
  const values = [
    '',
    ' ',
    `${String(old)} `,
    `${String(old)}\n`,
    `-${String(old)}`,
    `${String(old)}.`,
    'UPPER_case',
    'ü',
    'a\u0001b',
    'a/b',
    '*',
  ]
  put(place, values[chance(values.length)] ?? '')
}

const long: Way = (place, old) => {
  const most = place.node?.['maxLength']
  if (typeof most === 'number') put(place, String(old).padEnd(most + 1, 'a'))
}

const otherCase: Way = (place, old) => {
  put(place, String(old) === String(old).toLowerCase() ? String(old).toUpperCase() : String(old).toLowerCase())
}

const outside: Way = (place, _old, chance) => {
  const { minimum = 0, maximum = 2 ** 31 } = (place.node ?? {}) as { minimum?: number; maximum?: number }
  put(place, [minimum - 1, maximum + 1, minimum, maximum, -1, 0.5, 1e12][chance(7)] ?? -1)
}

function put({ holder, key }: Place, value: Json): void {
  if (Array.isArray(holder)) holder[Number(key)] = value
  else holder[String(key)] = value
}

function at({ holder, key }: Place): Json | undefined {
  return Array.isArray(holder) ? holder[Number(key)] : holder[String(key)]
}

/** Every place of a value, with the schema that rules there; undefined below what the schema does not look into. */
function* walk(holder: Tree | Json[], key: string | number, node: Node | undefined): Generator<Place> {
  const place = { holder, key, node }
  yield place
  const value = at(place)
  if (Array.isArray(value)) {
    for (const index of value.keys()) yield* walk(value, index, node?.['items'] as Node | undefined)
  } else if (isTree(value)) {
    for (const name of Object.keys(value)) yield* walk(value, name, child(node, name))
  }
}

/** The schema of a field or of a map's value. */
export function child(node: Node | undefined, name: string): Node | undefined {
  const properties = node?.['properties'] as Readonly<Record<string, Node>> | undefined
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name]
  const values = node?.['additionalProperties']
  return typeof values === 'object' && values !== null ? (values as Node) : undefined
}
