// One YAML or JSON file as its resources, each of which knows at which line its fields stand.
// Aliases are expanded within a bound, and a file is read whole: what cannot be parsed applies nothing.

import { type Document, LineCounter, type Node, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import { isTree } from './plain.ts'

const MAX_PROBLEMS = 20
const MAX_MESSAGE = 2000
const MAX_ALIASES = 100

export interface Source {
  readonly file: string
  readonly value: unknown
  /** The line, from 1, of a field such as `spec.backends[0].name`, or of what comes nearest above it. */
  line(path: string): number
}

export type Reading =
  | { readonly ok: true; readonly sources: readonly Source[] }
  /** One line each, safe to print: the file, the line where one can be told, and what is wrong there. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** The resources of a file, which `problems` call `file`: its documents, and the items of its lists. */
export function readSources(file: string, text: string): Reading {
  const counter = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: counter, merge: true, prettyErrors: false })
  if ('empty' in documents) return { ok: true, sources: [] }
  const wrong = documents.flatMap(({ errors }) => errors)
  if (wrong.length > 0) {
    const problems = wrong.slice(0, MAX_PROBLEMS).map(({ pos, message }) => {
      return `${file}:${counter.linePos(pos[0]).line}: ${printable(message)}`
    })
    return { ok: false, problems }
  }
  const sources: Source[] = []
  for (const document of documents) {
    let value: unknown
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES })
    } catch (error) {
      const why = printable(error instanceof Error ? error.message : String(error))
      return { ok: false, problems: [`${file}: its aliases cannot be expanded (${why}); write the values out`] }
    }
    sources.push(...resources(file, value, document, counter))
  }
  return { ok: true, sources }
}

function resources(file: string, value: unknown, document: Document.Parsed, counter: LineCounter): Source[] {
  if (value === null || value === undefined) return []
  const source = (root: unknown, value: unknown): Source => ({
    file,
    value,
    line: (path) => counter.linePos(offset(document, root, path)).line,
  })
  if (isTree(value) && value['kind'] === 'List' && Array.isArray(value['items'])) {
    const items = child(document, document.contents, 'items')?.node
    return value['items'].map((item: unknown, index) => source(child(document, items, index)?.node, item))
  }
  return [source(document.contents, value)]
}

/** Messages quote the file: without what could steer a terminal, on one line. */
function printable(message: string): string {
  return message.replace(/[\p{C}\p{Z}]+/gu, ' ').slice(0, MAX_MESSAGE)
}

/** Where a path leads, or where its last existing parent stands. */
function offset(document: Document.Parsed, root: unknown, path: string): number {
  let node: unknown = root
  let found = start(node) ?? 0
  for (const key of keys(path)) {
    const next = child(document, node, key)
    if (next === undefined) break
    found = next.offset ?? found
    node = next.node
  }
  return found
}

/** A field with where its key stands, or an item with where it starts. */
function child(
  document: Document.Parsed,
  node: unknown,
  key: string | number,
): { node: unknown; offset?: number } | undefined {
  const parent = isAlias(node) ? node.resolve(document) : node
  if (isMap(parent)) {
    const pair = parent.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key))
    if (pair === undefined) return undefined
    const offset = start(pair.key)
    return { node: pair.value, ...(offset !== undefined && { offset }) }
  }
  if (isSeq(parent) && typeof key === 'number' && key < parent.items.length) {
    const offset = start(parent.items[key])
    return { node: parent.items[key], ...(offset !== undefined && { offset }) }
  }
  return undefined
}

function start(node: unknown): number | undefined {
  const range = typeof node === 'object' && node !== null && 'range' in node ? (node as Node).range : undefined
  return range?.[0]
}

/** `metadata.annotations["a.b/c"]`, `spec.backends[0].name` → keys and indexes. */
function keys(path: string): (string | number)[] {
  const found: (string | number)[] = []
  for (const [, name, index, quoted] of path.matchAll(/([^.[\]"]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g)) {
    if (quoted !== undefined) found.push(String(JSON.parse(quoted)))
    else if (index !== undefined) found.push(Number(index))
    else if (name !== undefined) found.push(name)
  }
  return found
}
