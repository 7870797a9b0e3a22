// A private, mutable copy of untrusted input as plain JSON, with bounds on depth, size and keys, so that every later step may
// recurse. As in a Kubernetes API server, a field whose value is null counts as absent.
import { formatPath, type Problem } from './problem.ts'

export type Json = null | boolean | number | string | Json[] | Tree
export interface Tree {
  [key: string]: Json
}

const maxDepth = 64
const maxNodes = 50_000
const maxCharacters = 1_048_576

/** Tells a JSON object from the other JSON values. */
export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Copies `input`, or says why it is not JSON of bearable size (depth ≤ 64, values ≤ 50,000, characters ≤ 1 MiB). */
export function plain(input: unknown): { ok: true; value: Json } | { ok: false; problem: Problem } {
  const budget = { nodes: maxNodes, characters: maxCharacters }
  const path: PropertyKey[] = []
  let problem: Problem | undefined

  function refuse(message: string): null {
    problem ??= { path: formatPath(path), message }
    return null
  }

  function copy(value: unknown): Json {
    if (problem !== undefined) return null
    if (--budget.nodes < 0) return refuse(`the manifest holds more than ${maxNodes} values; split it`)
    if (path.length > maxDepth) return refuse(`is nested more than ${maxDepth} levels deep`)
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : refuse('must be a finite number')
    if (typeof value === 'string') {
      budget.characters -= value.length
      return budget.characters < 0 ? refuse(`the manifest is longer than ${maxCharacters} characters; split it`) : value
    }
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => within(index, item))
    }
    if (typeof value !== 'object' || !isLiteral(value))
      return refuse('must be JSON: no dates, functions or other objects')
    const tree: Tree = {}
    for (const [key, item] of Object.entries(value)) {
      budget.characters -= key.length
      if (key === '__proto__') return refuse('must not have a field named __proto__; remove it')
      if (item !== null && item !== undefined) tree[key] = within(key, item)
    }
    return tree
  }

  function within(part: PropertyKey, value: unknown): Json {
    path.push(part)
    const copied = copy(value)
    path.pop()
    return copied
  }

  const value = copy(input)
  return problem === undefined ? { ok: true, value } : { ok: false, problem }
}

function isLiteral(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null)
}
