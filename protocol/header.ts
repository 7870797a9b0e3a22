// Values that MCP 2026-07-28 mirrors from the body into HTTP headers (SEP-2243), and the sentinel encoding for those that
// plain field values cannot carry.

import { distinctMembers, isObject, type Json, type JsonObject } from './envelope.ts'
import { slice, type Span } from './text.ts'

/** An argument that its tool wants mirrored: `Mcp-Param-<header>` carries the value at `path` below `arguments`. */
export interface MirroredParam {
  readonly header: string
  readonly path: readonly string[]
}

/** Headers that one call may be made to carry. */
const MAX_MIRRORED = 32
const SENTINEL = /^=\?base64\?(.*)\?=$/su
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/u
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/u

/** The field value for a text: itself where visible ASCII suffices, else `=?base64?…?=`. */
export function encodeHeader(value: string): string {
  if (PLAIN.test(value) && !SENTINEL.test(value)) return value
  let binary = ''
  for (const byte of new TextEncoder().encode(value)) binary += String.fromCharCode(byte)
  return `=?base64?${btoa(binary)}?=`
}

/** The text behind a field value, or undefined when its base64 or UTF-8 is broken. */
export function decodeHeader(value: string): string | undefined {
  const match = SENTINEL.exec(value)
  if (match === null) return value
  if (!BASE64.test(match[1] ?? '')) return undefined
  try {
    const bytes = Uint8Array.from(atob(match[1] ?? ''), (char) => char.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * The `x-mcp-header` declarations of an input schema. Returns a text when the schema breaks SEP-2243's rules (a client must
 * then drop the tool): not a token, twice the same name, a type that is not string, integer or boolean, or a place
 * that is not reachable by `properties` alone.
 */
export function mirroredParams(schema: JsonObject): MirroredParam[] | string {
  const found: MirroredParam[] = []
  const names = new Set<string>()
  let problem: string | undefined
  const visit = (node: Json, path: string[], chain: boolean, depth: number): void => {
    if (problem !== undefined || depth > 64) return
    if (Array.isArray(node)) {
      for (const child of node) visit(child, path, false, depth + 1)
      return
    }
    if (!isObject(node)) return
    const declared = node['x-mcp-header']
    if (declared !== undefined) {
      const label = `x-mcp-header at ${path.join('.') || 'the root'}`
      if (typeof declared !== 'string' || !TOKEN.test(declared)) problem = `${label} is not a header name`
      else if (!chain || path.length === 0) problem = `${label} is not reachable by properties alone`
      else if (names.has(declared.toLowerCase())) problem = `${label} repeats the name ${declared}`
      else if (!['string', 'integer', 'boolean'].some((type) => type === node['type']))
        problem = `${label} needs type string, integer or boolean`
      else {
        names.add(declared.toLowerCase())
        found.push({ header: declared, path })
      }
    }
    for (const [key, child] of Object.entries(node)) {
      if (key === 'properties' && isObject(child)) {
        for (const [name, property] of Object.entries(child)) visit(property, [...path, name], chain, depth + 1)
      } else if (key !== 'default' && key !== 'const' && key !== 'enum' && key !== 'examples') {
        visit(child, path, false, depth + 1)
      }
    }
  }
  visit(schema, [], true, 0)
  if (found.length > MAX_MIRRORED) return `declares more than ${MAX_MIRRORED} x-mcp-header parameters`
  return problem ?? found
}

/**
 * The values that `Mcp-Param-*` must carry, from the JSON text of `arguments` (which starts at `at`): strings decoded, numbers
 * and booleans as they are spelled, since a parsed number may have lost digits. Undefined where an argument is absent,
 * null or neither. Every object on the way is read once, however many paths lead through it.
 */
export function mirroredValues(text: string, at: number, params: readonly MirroredParam[]): (string | undefined)[] {
  const read = new Map<number, ReadonlyMap<string, Span>>()
  const membersAt = (start: number) => {
    const known = read.get(start) ?? distinctMembers(text, start)
    read.set(start, known)
    return known
  }
  return params.map(({ path }) => {
    let span: Span | undefined = { start: at, end: text.length }
    for (const key of path) {
      if (span === undefined || text.charAt(span.start) !== '{') return undefined
      span = membersAt(span.start).get(key)
    }
    const value = span === undefined ? '' : slice(text, span)
    if (value.startsWith('"')) return JSON.parse(value) as string
    return /^[-0-9tf]/u.test(value) ? value : undefined
  })
}
