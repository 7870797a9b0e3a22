// A peer → its catalog, within bounds. A section that fails is missing and reported; only when nothing can be listed at all
// has the fetch failed, and whoever holds an older catalog keeps it.

import { isObject, type Json } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { members } from '../../protocol/text.ts'
import {
  LISTS,
  SECTIONS,
  readItems,
  type Item,
  type Problem,
  type Section,
  type ServerCatalog,
} from '../catalog/server.ts'
import type { Peer } from './connect.ts'

const MAX_PAGES = 200
const MAX_ITEMS = 10_000
/** Of all items of a server: its catalog is held by every isolate that serves it. */
const MAX_CHARACTERS = 8 * 1024 * 1024
const MAX_PROBLEMS = 100
const MIN_TTL = 5_000
const MAX_TTL = 600_000
const DEFAULT_TTL = 60_000

interface Drained {
  readonly items: Item[]
  readonly problems: Problem[]
  readonly ttlMs: number
}

/** Lists everything that the server declares. `signal` bounds the whole. Throws the first `Fault` when no section answers. */
export async function drain(peer: Peer, signal: AbortSignal): Promise<ServerCatalog> {
  const sections: Record<Section, readonly Item[]> = { tools: [], prompts: [], resources: [], templates: [] }
  const problems: Problem[] = []
  let ttlMs = DEFAULT_TTL
  let failure: unknown
  let answered = 0
  let budget = MAX_CHARACTERS
  const declared = SECTIONS.filter(
    (section) => peer.capabilities[section === 'templates' ? 'resources' : section] !== undefined,
  )
  for (const section of declared) {
    try {
      const drained = await drainSection(peer, section, budget, signal)
      for (const item of drained.items) budget -= item.text.length
      sections[section] = drained.items
      problems.push(...drained.problems)
      ttlMs = Math.min(ttlMs, drained.ttlMs)
      answered += 1
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      failure ??= error
      problems.push({ section, item: '*', message: `cannot be listed: ${error.message}` })
    }
  }
  if (answered === 0 && failure !== undefined) throw failure
  return {
    era: peer.era,
    revision: peer.revision,
    capabilities: peer.capabilities,
    ...(peer.instructions !== undefined && { instructions: peer.instructions }),
    ttlMs,
    sections,
    problems: problems.slice(0, MAX_PROBLEMS),
  }
}

async function drainSection(peer: Peer, section: Section, budget: number, signal: AbortSignal): Promise<Drained> {
  const { method, member } = LISTS[section]
  const found = new Map<string, Item>()
  const problems: Problem[] = []
  let ttlMs = MAX_TTL
  let characters = 0
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const message = await peer.request(method, cursor === undefined ? {} : { cursor }, signal)
    if (message.error !== undefined) {
      if (message.error['code'] === -32601) return { items: [], problems, ttlMs: DEFAULT_TTL }
      throw new Fault('backend_protocol', `${method} answers error ${String(message.error['code'])}`)
    }
    const { result } = message
    const list: Json | undefined = isObject(result) ? result[member] : undefined
    const resultSpan = message.spans.get('result')
    if (!isObject(result) || !Array.isArray(list) || resultSpan === undefined) {
      throw new Fault('backend_protocol', `${method} answers no "${member}"`)
    }
    const at = members(message.text, resultSpan.start).get(member)?.start ?? 0
    const { items, problems: bad } = readItems(section, list.slice(0, MAX_ITEMS + 1), message.text, at)
    problems.push(...bad.slice(0, MAX_PROBLEMS - problems.length))
    for (const item of items) {
      characters += item.text.length
      if (found.has(item.id)) {
        if (problems.length < MAX_PROBLEMS)
          problems.push({ section, item: item.id.slice(0, 128), message: 'is listed twice' })
      } else if (found.size < MAX_ITEMS && characters < budget) found.set(item.id, item)
    }
    if (found.size >= MAX_ITEMS || characters >= budget) {
      problems.unshift({ section, item: '*', message: `lists more than is kept: ${found.size} items are used` })
      break
    }
    ttlMs = Math.min(ttlMs, ttl(result['ttlMs']))
    const next = result['nextCursor']
    if (typeof next !== 'string' || next === cursor) break
    cursor = next
    if (page === MAX_PAGES - 1) problems.unshift({ section, item: '*', message: `lists more than ${MAX_PAGES} pages` })
  }
  return { items: [...found.values()], problems, ttlMs }
}

function ttl(value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) return DEFAULT_TTL
  return Math.min(MAX_TTL, Math.max(MIN_TTL, Math.floor(value)))
}
