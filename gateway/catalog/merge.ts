// Members' catalogs → one catalog: overrides, filters, conflict strategies with ToolHive's keys, then names that fit.
// Where two items want one name and no rule says whose it is, none keeps it: a name must never change hands silently.

import { glob, type Access, type Rule } from '../policy.ts'
import { Catalog, type CatalogEntry, type MergeProblem, type Override } from './catalog.ts'
import type { Fleet } from './fleet.ts'
import { exposed, fit, marked, original } from './names.ts'
import { SECTIONS, type Item, type Section, type ServerCatalog } from './server.ts'

/** One server of an endpoint, with what the endpoint says about its tools. */
export interface Member {
  /** `<namespace>/<name>` */
  readonly server: string
  /** What `{workload}` stands for: the server's name. */
  readonly workload: string
  /** Undefined while the server has not been seen yet. */
  readonly catalog: ServerCatalog | undefined
  readonly excludeAll?: boolean | undefined
  /** Allow-list of names after overrides; undefined: all. */
  readonly filter?: readonly string[] | undefined
  readonly overrides?: Readonly<Record<string, Override>> | undefined
  readonly rules: readonly Rule[]
  /** The server's instances, where it is in clusters: then `catalog` and `rules` above are not used. */
  readonly fleet?: Fleet | undefined
}

export interface Aggregation {
  readonly strategy: 'prefix' | 'priority' | 'manual'
  /** `{workload}` is replaced, the rest is literal. */
  readonly prefixFormat: string
  readonly priorityOrder: readonly string[]
  readonly excludeAllTools: boolean
  /** `deny`: tools of a member without a filter stay hidden. */
  readonly defaultToolVisibility: 'allow' | 'deny'
}

export const DEFAULT_AGGREGATION: Aggregation = {
  strategy: 'prefix',
  prefixFormat: '{workload}_',
  priorityOrder: [],
  excludeAllTools: false,
  defaultToolVisibility: 'allow',
}

interface Candidate {
  readonly member: Member
  readonly section: Section
  readonly item: Item
  readonly override: Override | undefined
  /** Name after overrides, before conflict resolution. */
  readonly bare: string
  readonly identity: string
  wanted: string
}

/** `rules` are those of the endpoint itself; members bring those of their servers. */
export function merge(members: readonly Member[], aggregation: Aggregation, rules: readonly Rule[]): Catalog {
  const problems: MergeProblem[] = []
  const sorted = [...members].sort((a, b) => (a.server < b.server ? -1 : 1))
  const entries: CatalogEntry[] = []
  for (const section of SECTIONS) {
    const found = sorted.flatMap((member) => candidates(member, section, aggregation))
    const isUri = section === 'resources' || section === 'templates'
    const resolved = isUri ? found : resolve(found, aggregation, problems)
    for (const { candidate, name } of unique(resolved, isUri, problems)) {
      entries.push(entry(candidate, name, rules, aggregation))
    }
  }
  const servers = new Map(sorted.flatMap((m) => (m.catalog === undefined ? [] : [[m.server, m.catalog] as const])))
  for (const [server, catalog] of servers) problems.push(...catalog.problems.map((problem) => ({ ...problem, server })))
  return new Catalog(entries, servers, problems)
}

/**
 * Many endpoints → the catalog of everything: an item that several endpoints expose alike appears once, with one grant for each.
 * Names depend on the server and the name after overrides alone, so they are the same for every caller.
 */
export function unite(
  parts: readonly { readonly key: string; readonly catalog: Catalog; readonly access: Access }[],
): Catalog {
  const problems: MergeProblem[] = []
  const merged = new Map<string, CatalogEntry>()
  const servers = new Map<string, ServerCatalog>()
  for (const { key: via, catalog, access } of parts) {
    for (const [key, server] of catalog.servers) servers.set(key, server)
    for (const section of SECTIONS) {
      for (const part of catalog.entries[section]) {
        const key = `${section} ${identityOf(part)}`
        const grants = part.grants.map(({ rules }) => ({ via, access, rules }))
        const known = merged.get(key)
        if (known === undefined) merged.set(key, { ...part, grants })
        else merged.set(key, { ...known, grants: [...known.grants, ...grants] })
      }
    }
  }
  const entries: CatalogEntry[] = []
  for (const section of SECTIONS) {
    const isUri = section === 'resources' || section === 'templates'
    const found = [...merged.values()]
      .filter((one) => one.section === section)
      .map((part) => {
        const workload = part.server.slice(part.server.indexOf('/') + 1)
        const bare = part.override?.name ?? part.item.id
        return {
          part,
          server: part.server,
          section,
          bare: part.item.id,
          identity: identityOf(part),
          wanted: isUri ? part.item.id : `${workload}_${bare}`,
        }
      })
    for (const { candidate, name } of unique(found, isUri, problems))
      entries.push({ ...candidate.part, exposed: exposed(name) })
  }
  return new Catalog(entries, servers, problems)
}

/** What one endpoint overrides is no business of another's callers. */
function identityOf({ server, original: id, override }: CatalogEntry): string {
  return `${server} ${id}${override === undefined ? '' : ` ${JSON.stringify(override)}`}`
}

function candidates(member: Member, section: Section, aggregation: Aggregation): Candidate[] {
  if (member.catalog === undefined) return []
  const items = member.catalog.sections[section]
  const candidate = (item: Item, override: Override | undefined): Candidate => {
    const bare = override?.name ?? item.id
    return { member, section, item, override, bare, wanted: bare, identity: `${member.server} ${item.id}` }
  }
  if (section !== 'tools') return items.map((item) => candidate(item, undefined))
  const hidden = member.excludeAll === true || aggregation.excludeAllTools
  if (hidden || (member.filter === undefined && aggregation.defaultToolVisibility === 'deny')) return []
  const overrides = member.overrides ?? {}
  return items
    .map((item) => candidate(item, Object.hasOwn(overrides, item.id) ? overrides[item.id] : undefined))
    .filter(({ bare }) => member.filter?.includes(bare) ?? true)
}

function prefixed({ member, bare }: Candidate, { prefixFormat }: Aggregation): string {
  return prefixFormat.replaceAll('{workload}', member.workload) + bare
}

/** Applies the conflict strategy: sets the wanted names and leaves out those that lose. */
function resolve(found: Candidate[], aggregation: Aggregation, problems: MergeProblem[]): Candidate[] {
  const prompts = found[0]?.section === 'prompts'
  // The strategy chooses for tools; a prompt keeps its bare name only where `priorityOrder` lists its server.
  if (aggregation.strategy === 'prefix' || (aggregation.strategy === 'manual' && prompts)) {
    for (const candidate of found) candidate.wanted = prefixed(candidate, aggregation)
    return found
  }
  const rank = (candidate: Candidate) => aggregation.priorityOrder.indexOf(candidate.member.workload)
  const kept: Candidate[] = []
  for (const rivals of groups(found, ({ bare }) => bare)) {
    const listed = rivals.filter((one) => rank(one) >= 0).sort((a, b) => rank(a) - rank(b))
    const [first] = listed
    if (aggregation.strategy === 'priority' && prompts) {
      for (const one of rivals) if (rank(one) < 0) one.wanted = prefixed(one, aggregation)
      kept.push(...rivals.filter((one) => one === first || rank(one) < 0))
    } else if (rivals.length === 1) kept.push(...rivals)
    else if (aggregation.strategy === 'priority' && first !== undefined) kept.push(first)
    else if (aggregation.strategy === 'priority') {
      for (const one of rivals) one.wanted = prefixed(one, aggregation)
      kept.push(...rivals)
    } else {
      for (const one of rivals) {
        const message = 'has the same name as a tool of another server; give it a name in "overrides"'
        problems.push({ server: one.member.server, section: one.section, item: one.bare, message })
      }
    }
  }
  return kept
}

interface Wish {
  readonly section: Section
  readonly bare: string
  readonly identity: string
  readonly wanted: string
  readonly member?: Member
  readonly server?: string
}

/** Fits every name; those that meet are all marked; those that meet even then are left out and reported. */
function unique<T extends Wish>(
  found: readonly T[],
  isUri: boolean,
  problems: MergeProblem[],
): { candidate: T; name: string }[] {
  const serverOf = (one: T) => one.member?.server ?? one.server ?? ''
  const first = groups(found, (one) => (isUri ? one.wanted : fit(one.wanted, one.identity)))
  const named = first.flatMap((rivals) =>
    rivals.map((candidate) => {
      if (isUri)
        return {
          candidate,
          name: rivals.length === 1 ? candidate.wanted : mapUri(candidate.wanted, serverOf(candidate)),
        }
      const name =
        rivals.length === 1 ? fit(candidate.wanted, candidate.identity) : marked(candidate.wanted, candidate.identity)
      return { candidate, name }
    }),
  )
  return groups(named, ({ name }) => name).flatMap((rivals) => {
    const distinct = new Set(rivals.map(({ candidate }) => candidate.identity)).size
    if (rivals.length === 1) return rivals
    for (const { candidate } of distinct === 1 ? rivals.slice(1) : rivals) {
      problems.push({
        server: serverOf(candidate),
        section: candidate.section,
        item: candidate.bare,
        message: 'is listed twice',
      })
    }
    return distinct === 1 ? rivals.slice(0, 1) : []
  })
}

/** A URI made unique by its server, in the place where its scheme stays what hosts look at (`ui://`). */
function mapUri(uri: string, server: string): string {
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*:(?:\/\/)?)(.*)$/su.exec(uri)
  const owner = server.replaceAll('/', '.')
  return match === null ? `${owner}!${uri}` : `${match[1] ?? ''}${owner}!${match[2] ?? ''}`
}

function entry(
  candidate: Candidate,
  name: string,
  endpointRules: readonly Rule[],
  aggregation: Aggregation,
): CatalogEntry {
  const { member, section, item, override } = candidate
  // A rule holds for every name that the item has or would have, so that no other server can move it out of reach.
  const names = [item.id, candidate.bare, prefixed(candidate, aggregation), candidate.wanted, name]
  const applies = (rule: Rule) => rule.tools.some((pattern) => names.some(glob(pattern)))
  const rules = section === 'tools' ? [...endpointRules, ...member.rules].filter(applies) : []
  return {
    section,
    exposed: exposed(name),
    original: original(item.id),
    server: member.server,
    item,
    override,
    grants: [{ access: undefined, rules }],
  }
}

function groups<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const found = new Map<string, T[]>()
  for (const item of items) {
    const name = key(item)
    const group = found.get(name)
    if (group === undefined) found.set(name, [item])
    else group.push(item)
  }
  return [...found.values()]
}
