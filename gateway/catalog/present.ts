// One catalog entry as its caller reads it: the server's own text with the exposed name, the overrides, mapped URIs and the choice
// of a cluster set in place. Everything else stays byte for byte.

import { isObject, type Json } from '../../protocol/envelope.ts'
import type { Era } from '../../protocol/revision.ts'
import { cut, edit, elements, members, rewrite, slice, type Edit } from '../../protocol/text.ts'
import type { Catalog, CatalogEntry, Override } from './catalog.ts'
import { LISTS } from './server.ts'
import { choices, EVERYWHERE, oldest, type Place } from './spread.ts'

/** `places`: those of an entry of a fleet that its caller may use, at least one. */
export function present(entry: CatalogEntry, catalog: Catalog, era: Era, places?: readonly Place[]): string {
  const { override, fleet } = entry
  const { item, server } = places === undefined ? entry : oldest(places)
  const spans = members(item.text)
  const edits: Edit[] = []
  const appended: Record<string, string> = {}
  const set = (key: string, value: string) => {
    const span = spans.get(key)
    if (span === undefined) appended[key] = value
    else edits.push({ start: span.start, end: span.end, text: value })
  }
  if ((entry.exposed as string) !== item.id) set(LISTS[entry.section].id, JSON.stringify(entry.exposed))
  if (override?.description !== undefined) set('description', JSON.stringify(override.description))
  const annotations = spans.get('annotations')
  if (override?.annotations !== undefined) {
    set('annotations', overridden(annotations === undefined ? '{}' : slice(item.text, annotations), override))
  }
  const renamed = catalog.renamed(server)
  const meta = spans.get('_meta')
  if (renamed !== undefined && meta !== undefined) {
    const text = mappedUi(slice(item.text, meta), renamed)
    if (text !== undefined) set('_meta', text)
  }
  const values = fleet === undefined || places === undefined ? [] : choices(fleet, places)
  const input = spans.get('inputSchema')
  if (fleet?.argument !== undefined && values.length > 0 && input !== undefined)
    set('inputSchema', withChoice(slice(item.text, input), fleet.argument, values))
  const output = spans.get('outputSchema')
  // What comes back from all clusters at once is no output of the tool's.
  if (output !== undefined && values.includes(EVERYWHERE)) edits.push({ ...cut(spans, 'outputSchema'), text: '' })
  else if (era === 'legacy' && item.wrap === true && output !== undefined) {
    set('outputSchema', wrapSchema(slice(item.text, output)))
  }
  const text = edit(item.text, edits)
  return Object.keys(appended).length === 0 ? text : rewrite(text, 0, () => false, appended)
}

function overridden(annotations: string, override: Override): string {
  const set = Object.entries(override.annotations ?? {}).filter(([, value]) => value !== undefined)
  const base = isObject(JSON.parse(annotations) as Json) ? annotations : '{}'
  return rewrite(base, 0, () => false, Object.fromEntries(set.map(([key, value]) => [key, JSON.stringify(value)])))
}

/** The input schema with an argument that must be one of `values`. */
function withChoice(schema: string, argument: string, values: readonly string[]): string {
  const spans = members(schema)
  const everywhere = values.includes(EVERYWHERE)
    ? ` "${EVERYWHERE}" calls all of them and returns a result of each.`
    : ''
  const choice = JSON.stringify({ type: 'string', enum: values, description: `The cluster to call.${everywhere}` })
  const properties = spans.get('properties')
  const required = spans.get('required')
  const names = required !== undefined && schema.charAt(required.start) === '[' ? slice(schema, required) : '[]'
  const separator = elements(names).length === 0 ? '' : ','
  return rewrite(schema, 0, () => false, {
    properties: rewrite(properties === undefined ? '{}' : slice(schema, properties), 0, () => false, {
      [argument]: choice,
    }),
    required: `${names.slice(0, -1)}${separator}${JSON.stringify(argument)}]`,
  })
}

/** `_meta.ui.resourceUri` (MCP Apps) names a resource: it must name it as the catalog does. */
function mappedUi(meta: string, renamed: ReadonlyMap<string, string>): string | undefined {
  const parsed = JSON.parse(meta) as Json
  const ui = isObject(parsed) ? parsed['ui'] : undefined
  const uri = isObject(ui) ? ui['resourceUri'] : undefined
  const target = typeof uri === 'string' ? renamed.get(uri) : undefined
  const span = target === undefined ? undefined : members(meta).get('ui')
  if (target === undefined || span === undefined) return undefined
  return rewrite(meta, 0, () => false, {
    ui: rewrite(meta, span.start, () => false, { resourceUri: JSON.stringify(target) }),
  })
}

/** Legacy clients need an object at the root (SEP-2106): the schema moves below `result`, its definitions stay reachable. */
function wrapSchema(schema: string): string {
  const spans = members(schema)
  const keep = ['$schema', '$defs', 'definitions'].flatMap((key) => {
    const span = spans.get(key)
    return span === undefined ? [] : [`${JSON.stringify(key)}:${slice(schema, span)}`]
  })
  const inner = rewrite(schema, 0, (key) => ['$schema', '$defs', 'definitions'].includes(key), {})
  return `{${[...keep, `"type":"object","properties":{"result":${inner}},"required":["result"]`].join(',')}}`
}
