// One server's catalog as it was fetched: every item as its original text, plus what routing needs to know about it.
// A malformed item is dropped alone and reported; it never takes its neighbours with it.

import { isObject, type Json, type JsonObject } from '../../protocol/envelope.ts'
import { mirroredParams, type MirroredParam } from '../../protocol/header.ts'
import type { Era } from '../../protocol/revision.ts'
import { DuplicateKey, elements, members, slice, type Span } from '../../protocol/text.ts'

export type Section = 'tools' | 'prompts' | 'resources' | 'templates'
export const SECTIONS: readonly Section[] = ['tools', 'prompts', 'resources', 'templates']

/** How a section is asked for and answered (MCP server/tools, prompts, resources). */
export const LISTS: Readonly<Record<Section, { method: string; member: string; id: 'name' | 'uri' | 'uriTemplate' }>> =
  {
    tools: { method: 'tools/list', member: 'tools', id: 'name' },
    prompts: { method: 'prompts/list', member: 'prompts', id: 'name' },
    resources: { method: 'resources/list', member: 'resources', id: 'uri' },
    templates: { method: 'resources/templates/list', member: 'resourceTemplates', id: 'uriTemplate' },
  }

export interface Item {
  /** Original name, URI or URI template. */
  readonly id: string
  /** The item's JSON as the server sent it. */
  readonly text: string
  /** Arguments that the tool wants mirrored into headers. */
  readonly params?: readonly MirroredParam[]
  /** The tool's output is not an object: legacy clients need it wrapped (SEP-2106). */
  readonly wrap?: true
}

export interface Problem {
  readonly section: Section
  readonly item: string
  readonly message: string
}

/** What is stored per server. Holds nothing that changes without the catalog changing, so equal text means no news. */
export interface ServerCatalog {
  readonly era: Era
  /** The revision spoken with this server. */
  readonly revision: string
  readonly capabilities: JsonObject
  readonly instructions?: string
  readonly ttlMs: number
  readonly sections: Readonly<Record<Section, readonly Item[]>>
  readonly problems: readonly Problem[]
}

export const MAX_ITEM = 256 * 1024
/** Values within values of an item; whoever walks through one later may do so without counting. */
const MAX_DEPTH = 128

/** Reads the items of one list result; `page` is the parsed result, `text` its text, `at` where the array starts. */
export function readItems(
  section: Section,
  page: readonly Json[],
  text: string,
  at: number,
): { items: Item[]; problems: Problem[] } {
  const items: Item[] = []
  const problems: Problem[] = []
  const spans = elements(text, at)
  for (const [index, value] of page.entries()) {
    const span = spans[index]
    if (span === undefined) break
    const item = readItem(section, value, slice(text, span))
    if (typeof item === 'string') problems.push({ section, item: label(section, value, index), message: item })
    else items.push(item)
  }
  return { items, problems }
}

/** The item, or what is wrong with it. */
function readItem(section: Section, value: Json, text: string): Item | string {
  if (!isObject(value)) return 'is not an object'
  if (text.length > MAX_ITEM) return `is larger than ${MAX_ITEM} characters`
  if (isDeeper(value, MAX_DEPTH)) return `is nested more than ${MAX_DEPTH} times`
  const id = value[LISTS[section].id]
  if (typeof id !== 'string' || id === '' || id.length > 2048) return `has no valid "${LISTS[section].id}"`
  const twice = repeated(text)
  if (twice !== undefined) return `has the member "${twice.slice(0, 64)}" twice`
  if (section !== 'tools') return { id, text }
  const schema = value['inputSchema']
  if (!isObject(schema) || schema['type'] !== 'object')
    return '"inputSchema" must be an object schema with "type": "object"'
  const params = mirroredParams(schema)
  if (typeof params === 'string') return params
  const output = value['outputSchema']
  if (output !== undefined && !isObject(output)) return '"outputSchema" must be an object'
  const wrap = isObject(output) && output['type'] !== 'object'
  return { id, text, ...(params.length > 0 && { params }), ...(wrap && { wrap: true as const }) }
}

function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1))
}

/** The key that occurs twice in the item or in a part of it that we may edit: such text has no certain meaning. */
function repeated(text: string): string | undefined {
  const within = (span: Span | undefined) =>
    span !== undefined && text.charAt(span.start) === '{' ? members(text, span.start) : undefined
  try {
    const spans = members(text)
    for (const key of ['annotations', 'outputSchema']) within(spans.get(key))
    within(within(spans.get('_meta'))?.get('ui'))
    return undefined
  } catch (error) {
    if (error instanceof DuplicateKey) return error.key
    throw error
  }
}

function label(section: Section, value: Json, index: number): string {
  const id = isObject(value) ? value[LISTS[section].id] : undefined
  return typeof id === 'string' && id !== '' ? id.slice(0, 128) : `#${index}`
}
