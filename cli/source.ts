// One YAML or JSON file as its resources, each of which knows at which line its fields stand.
// Aliases are expanded within a bound, and a file is read whole: what cannot be parsed applies nothing.

import { type Document, LineCounter, type Node, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import { Failure } from './failure.ts'
import { printable } from './io.ts'

export interface Source {
  readonly file: string
  readonly value: unknown
  /** The line, from 1, of a field such as `spec.backends[0].name`, or of what comes nearest above it. */
  line(path: string): number
}

/** The resources of a file: its documents, and the items of its lists. Throws a `Failure` with file and line. */
export function readSources(file: string, text: string): Source[] {
  const counter = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: counter, merge: true, prettyErrors: false })
  if ('empty' in documents) return []
  const wrong = documents.flatMap(({ errors }) => errors)
  if (wrong.length > 0) {
    throw new Failure('the file cannot be read', 'correct it and try again', {
      lines: wrong.slice(0, 20).map((error) => {
        return `${file}:${counter.linePos(error.pos[0]).line}: ${printable(error.message)}`
      }),
    })
  }
  return documents.flatMap((document) => resources(file, document, counter))
}

function resources(file: string, document: Document.Parsed, counter: LineCounter): Source[] {
  const value = expand(file, document)
  if (value === null || value === undefined) return []
  const source = (root: unknown, value: unknown): Source => ({
    file,
    value,
    line: (path) => counter.linePos(offset(document, root, path)).line,
  })
  if (isRecord(value) && value['kind'] === 'List' && Array.isArray(value['items'])) {
    const items = child(document, document.contents, 'items')?.node
    return value['items'].map((item: unknown, index) => source(child(document, items, index)?.node, item))
  }
  return [source(document.contents, value)]
}

function expand(file: string, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch {
    throw new Failure(`${file}: its aliases expand to too much`, 'write the values out')
  }
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
