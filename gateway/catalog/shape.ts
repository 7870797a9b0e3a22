// What callers notice of a tool or prompt besides its wording. Instances of a fleet whose items have one shape are one item to
// callers; whatever else differs is told apart, so that no call meets a tool that its caller has not been shown.

import { isObject, type Json, type JsonObject } from '../../protocol/envelope.ts'
import { DuplicateKey, members } from '../../protocol/text.ts'
import { fingerprint } from './hash.ts'
import type { Item } from './server.ts'

export interface Shape {
  /** Names of the arguments; undefined where the schema's text has no certain meaning, so that nothing can be added to it. */
  readonly properties: ReadonlySet<string> | undefined
  readonly annotations: JsonObject
}

const shapes = new WeakMap<Item, Shape>()

export function shapeOf(item: Item): Shape {
  const found = shapes.get(item) ?? readShape(item)
  shapes.set(item, found)
  return found
}

const digests = new WeakMap<Item, string>()

/** Whether callers cannot tell two items apart. */
export function isAlike(a: Item, b: Item): boolean {
  if (a.text === b.text) return true
  // A fingerprint tells what differs; that nothing does, which a server may have aimed at, it does not prove.
  return digestOf(a) === digestOf(b) && canonical(noticed(a)) === canonical(noticed(b))
}

function digestOf(item: Item): string {
  const found = digests.get(item) ?? fingerprint(canonical(noticed(item)))
  digests.set(item, found)
  return found
}

function readShape({ text }: Item): Shape {
  const value = JSON.parse(text) as Json
  const item = isObject(value) ? value : {}
  const annotations = isObject(item['annotations']) ? item['annotations'] : {}
  return { properties: properties(text, item['inputSchema']), annotations }
}

/** Members of an item that are words for people and models. */
const WORDING = new Set(['title', 'description', 'icons', '_meta'])

function noticed({ text }: Item): JsonObject {
  const value = JSON.parse(text) as Json
  const item = isObject(value) ? value : {}
  const annotations = isObject(item['annotations']) ? item['annotations'] : {}
  const { title: _title, ...hints } = annotations
  const meta = item['_meta']
  return {
    ...Object.fromEntries(Object.entries(item).filter(([key]) => !WORDING.has(key))),
    inputSchema: bare(item['inputSchema'] ?? null),
    outputSchema: bare(item['outputSchema'] ?? null),
    arguments: bare(item['arguments'] ?? null),
    annotations: hints,
    ui: (isObject(meta) ? meta['ui'] : undefined) ?? null,
  }
}

/** Members of a schema that are words, or that hold values rather than schemas, or schemas by name. */
const WORDS = new Set(['title', 'description', 'examples', '$comment'])
const VALUES = new Set(['default', 'const', 'enum'])
const NAMED = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

/** A schema without its wording. */
function bare(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(bare)
  if (!isObject(schema)) return schema
  const entries = Object.entries(schema).flatMap(([key, value]): [string, Json][] => {
    if (VALUES.has(key)) return [[key, value]]
    if (NAMED.has(key) && isObject(value))
      return [[key, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, bare(one)]))]]
    return WORDS.has(key) ? [] : [[key, bare(value)]]
  })
  return Object.fromEntries(entries)
}

/** JSON with the members of every object in one order. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`).join()}}`
}

function properties(text: string, schema: Json | undefined): Shape['properties'] {
  if (!isObject(schema)) return undefined
  try {
    const input = members(text).get('inputSchema')
    const inner = input === undefined ? undefined : members(text, input.start).get('properties')
    if (inner === undefined) return new Set()
    return isObject(schema['properties']) ? new Set(members(text, inner.start).keys()) : undefined
  } catch (error) {
    if (error instanceof DuplicateKey) return undefined
    throw error
  }
}
