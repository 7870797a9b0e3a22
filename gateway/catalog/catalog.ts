// The merged catalog of an endpoint: every exposed entry, where it leads, and under which grants. Immutable; a change of any
// member makes a new one. Deterministic: the same members give the same names in the same order, whatever order they came in.

import { glob, type Grant } from '../policy.ts'
import type { FleetMode } from './fleet.ts'
import { fingerprint } from './hash.ts'
import type { ExposedName, OriginalName } from './names.ts'
import { oldest, spread, type Place, type Spread } from './spread.ts'
import { SECTIONS, type Item, type Problem, type Section, type ServerCatalog } from './server.ts'

/** What an override may change about a tool (ToolHive's keys). */
export interface Override {
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly annotations?: Readonly<Record<string, unknown>> | undefined
}

export interface CatalogEntry {
  readonly section: Section
  readonly exposed: ExposedName
  readonly original: OriginalName
  /** Key of the server it lives at: `<namespace>/<name>`; of a fleet that of its oldest instance. */
  readonly server: string
  readonly item: Item
  readonly override: Override | undefined
  /** All ways to it, those of every place. */
  readonly grants: readonly Grant[]
  /** Where it may be called, if its server is a fleet. */
  readonly fleet?: Spread
}

export interface MergeProblem extends Problem {
  readonly server: string
}

export class Catalog {
  /** Sorted by exposed name. */
  readonly entries: Readonly<Record<Section, readonly CatalogEntry[]>>
  /** By key of the server; an instance of a fleet by its own. */
  readonly servers: ReadonlyMap<string, ServerCatalog>
  readonly problems: readonly MergeProblem[]
  /** Some entry may be called in one of several places. */
  readonly hasFleets: boolean
  readonly #byName: Readonly<Record<Section, ReadonlyMap<string, CatalogEntry>>>
  readonly #templates: readonly { entry: CatalogEntry; matches: (uri: string) => boolean }[]
  readonly #renamed = new Map<string, Map<string, string>>()
  #version: string | undefined

  constructor(entries: readonly CatalogEntry[], servers: ReadonlyMap<string, ServerCatalog>, problems: MergeProblem[]) {
    const sections: Record<Section, CatalogEntry[]> = { tools: [], prompts: [], resources: [], templates: [] }
    for (const entry of entries) sections[entry.section].push(entry)
    for (const section of SECTIONS) sections[section].sort((a, b) => (a.exposed < b.exposed ? -1 : 1))
    const byName = (section: Section) => new Map<string, CatalogEntry>(sections[section].map((e) => [e.exposed, e]))
    this.entries = sections
    this.#byName = {
      tools: byName('tools'),
      prompts: byName('prompts'),
      resources: byName('resources'),
      templates: byName('templates'),
    }
    this.servers = servers
    this.hasFleets = entries.some(({ fleet }) => fleet !== undefined)
    this.problems = problems
    this.#templates = sections.templates
      .map((entry) => ({
        entry,
        literal: entry.exposed.replaceAll(/\{[^}]*\}/gu, ''),
        matches: template(entry.exposed),
      }))
      .sort((a, b) => b.literal.length - a.literal.length)
    for (const entry of entries) {
      const isUri = entry.section === 'resources' || entry.section === 'templates'
      if (!isUri || (entry.exposed as string) === (entry.original as string)) continue
      for (const { server } of entry.fleet?.places ?? [entry]) {
        const map = this.#renamed.get(server) ?? new Map<string, string>()
        this.#renamed.set(server, map.set(entry.original, entry.exposed))
      }
    }
  }

  /** Changes whenever anything in the catalog does. Worked out when it is asked for: most catalogs are parts of others, or fit on one page. */
  get version(): string {
    this.#version ??= versionOf(this)
    return this.#version
  }

  find(section: Section, name: string): CatalogEntry | undefined {
    return this.#byName[section].get(name)
  }

  /** The templates whose expansion the URI is, the most literal one first. */
  templates(uri: string): CatalogEntry[] {
    return this.#templates.filter(({ matches }) => matches(uri)).map(({ entry }) => entry)
  }

  /** Original URI → exposed URI, for a server some of whose URIs are mapped. */
  renamed(server: string): ReadonlyMap<string, string> | undefined {
    return this.#renamed.get(server)
  }
}

function versionOf({ entries, servers }: Catalog): string {
  const grants = new Map<Grant, number>()
  const nth = (grant: Grant): number => {
    const known = grants.get(grant) ?? grants.size
    grants.set(grant, known)
    return known
  }
  // One entry after the other: all texts together would be one very large text.
  const lines = SECTIONS.flatMap((section) =>
    entries[section].map((e) => {
      const rest = [section, e.exposed, e.server, e.override, e.grants.map(nth), places(e)]
      return fingerprint(e.item.text) + fingerprint(JSON.stringify(rest))
    }),
  )
  const speaks = [...servers].map(([key, { era, revision }]) => [key, era, revision])
  return fingerprint(JSON.stringify([lines, speaks, [...grants.keys()]]))
}

/** What an entry of a fleet says that its own members do not. */
function places({ fleet, item }: CatalogEntry): unknown {
  if (fleet === undefined) return undefined
  const { mode, scatters, repeats } = fleet
  const others = fleet.places.map((place) => [place.server, place.item.text === item.text ? '' : place.item.text])
  return [mode, scatters, repeats, others]
}

/** Matches URIs against an RFC 6570 template in linear time: an expression stands for any run of characters. */
function template(text: string): (uri: string) => boolean {
  return glob(text.replaceAll(/\*/gu, '%2A').replaceAll(/\{[^}]*\}/gu, '*'))
}

/** The ways to an entry that lead to this server; none where it is not there. */
export function grantsAt(entry: CatalogEntry, server: string): readonly Grant[] {
  if (entry.fleet === undefined) return entry.server === server ? entry.grants : []
  return entry.fleet.places.find((place) => place.server === server)?.grants ?? []
}

/** The entry that these places share. */
export function spreadEntry(
  known: Pick<CatalogEntry, 'section' | 'exposed' | 'original' | 'override'>,
  mode: FleetMode,
  places: readonly Place[],
): CatalogEntry {
  const { server, item } = oldest(places)
  const grants = places.flatMap((place) => place.grants)
  return { ...known, server, item, grants, fleet: spread(mode, known.section, places, known.override?.annotations) }
}
