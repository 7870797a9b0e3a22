// A catalog on its way from a proxy to those that aggregate it, virtual servers and the edge: what the proxy's clients may see, under
// the names that they use. Whoever reads it judges every item again, as if the server itself had sent it.

import { isObject, type Json } from '../../protocol/envelope.ts'
import { members } from '../../protocol/text.ts'
import { boundedCapabilities } from '../backend/handshake.ts'
import type { Catalog } from './catalog.ts'
import { present } from './present.ts'
import { LISTS, readItems, SECTIONS, type Item, type Problem, type Section, type ServerCatalog } from './server.ts'

const MAX_INSTRUCTIONS = 16_384
const MAX_ITEMS = 10_000
const MIN_TTL_MS = 5_000

/** The catalog of the one server behind an endpoint, as text; undefined while the server has not been seen. */
export function publish(catalog: Catalog): string | undefined {
  const [server] = catalog.servers.values()
  if (server === undefined) return undefined
  const { era, revision, capabilities, instructions, ttlMs } = server
  const lists = SECTIONS.map((section) => {
    // A legacy server's results are wrapped on their way through the proxy, so its schemas are too.
    const texts = catalog.entries[section].map((entry) => present(entry, catalog, era))
    return `${JSON.stringify(LISTS[section].member)}:[${texts.join(',')}]`
  })
  const rest = JSON.stringify({ era, revision, capabilities, instructions, ttlMs })
  return `{${lists.join(',')},${rest.slice(1)}`
}

/** The catalog that a proxy published. Throws an Error that says what is wrong with it. */
export function readPublished(text: string): ServerCatalog {
  const value = JSON.parse(text) as Json
  if (!isObject(value)) throw new Error('is not an object')
  const { era, revision, capabilities, instructions, ttlMs } = value
  if ((era !== 'legacy' && era !== 'modern') || typeof revision !== 'string') throw new Error('names no era')
  const spans = members(text)
  const sections: Record<Section, readonly Item[]> = { tools: [], prompts: [], resources: [], templates: [] }
  const problems: Problem[] = []
  for (const section of SECTIONS) {
    const { member } = LISTS[section]
    const span = spans.get(member)
    const list = value[member]
    if (span === undefined || !Array.isArray(list)) throw new Error(`has no list "${member}"`)
    const read = readItems(section, list.slice(0, MAX_ITEMS), text, span.start)
    sections[section] = read.items
    problems.push(...read.problems)
  }
  return {
    era,
    revision,
    capabilities: boundedCapabilities(capabilities),
    ...(typeof instructions === 'string' && { instructions: instructions.slice(0, MAX_INSTRUCTIONS) }),
    ttlMs: typeof ttlMs === 'number' ? Math.max(MIN_TTL_MS, ttlMs) : MIN_TTL_MS,
    sections,
    problems,
  }
}
