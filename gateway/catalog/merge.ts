// Members' catalogs → one catalog: overrides, filters, conflict strategies with ToolHive's keys, then names that fit.

import { glob, type Grant, type Rule } from '../policy.ts'
import { Catalog, spreadEntry, type CatalogEntry, type MergeProblem, type Override } from './catalog.ts'
import { instanceKey, type Fleet, type Instance } from './fleet.ts'
import { exposed, mapUri, original } from './names.ts'
import { SECTIONS, type Item, type Section, type ServerCatalog } from './server.ts'
import { arrange, inAge, markName, oldest, type Mark, type Place } from './spread.ts'
import { groups, unique } from './unique.ts'

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
  /** How an item of a fleet tells its cluster, where the instances are told apart. */
  readonly mark: Mark | undefined
  /** Instances behind it; undefined where the server is in one place. */
  readonly spots: readonly Spot[] | undefined
  readonly server: string
  readonly identity: string
  wanted: string
}

interface Spot {
  readonly instance: Instance
  readonly cluster: string
  readonly since: number
  readonly item: Item
}

/** `rules` are those of the endpoint itself; members bring those of their servers, and instances of fleets bring both. */
export function merge(members: readonly Member[], aggregation: Aggregation, rules: readonly Rule[]): Catalog {
  const problems: MergeProblem[] = []
  const sorted = members
    .map((member) => ({ ...member, rules: [...rules, ...member.rules] }))
    .sort((a, b) => (a.server < b.server ? -1 : 1))
  const entries: CatalogEntry[] = []
  for (const section of SECTIONS) {
    const found = sorted.flatMap((member) => candidates(member, section, aggregation, problems))
    const isUri = section === 'resources' || section === 'templates'
    const resolved = isUri ? found : resolve(found, aggregation, problems)
    for (const { candidate, name } of unique(resolved, isUri, problems)) {
      entries.push(entry(candidate, name, aggregation))
    }
  }
  const seen = sorted.flatMap(
    (member): readonly Pick<Member, 'server' | 'catalog'>[] => member.fleet?.instances ?? [member],
  )
  const servers = new Map(
    seen.flatMap(({ server, catalog }) => (catalog === undefined ? [] : [[server, catalog] as const])),
  )
  for (const [server, catalog] of servers) problems.push(...catalog.problems.map((problem) => ({ ...problem, server })))
  return new Catalog(entries, servers, problems)
}

function candidates(member: Member, section: Section, aggregation: Aggregation, problems: MergeProblem[]): Candidate[] {
  const overrides = section === 'tools' ? (member.overrides ?? {}) : {}
  const hidden = member.excludeAll === true || aggregation.excludeAllTools
  const shut = hidden || (member.filter === undefined && aggregation.defaultToolVisibility === 'deny')
  if (section === 'tools' && shut) return []
  const found = variants(member, section, problems).map(({ item, mark, spots }): Candidate => {
    const override = Object.hasOwn(overrides, item.id) ? overrides[item.id] : undefined
    const bare = override?.name ?? item.id
    const isUri = section === 'resources' || section === 'templates'
    const server = mark === undefined ? member.server : instanceKey(member.server, mark.cluster)
    const wanted = isUri ? (mark === undefined ? bare : mapUri(bare, server)) : markName(bare, mark)
    return { member, section, item, override, bare, mark, spots, server, wanted, identity: `${server} ${item.id}` }
  })
  return section === 'tools' ? found.filter(({ bare }) => member.filter?.includes(bare) ?? true) : found
}

/** The items of a member, each once or, where instances of a fleet are told apart, once for each of them. */
function variants(
  { server, catalog, fleet }: Member,
  section: Section,
  problems: MergeProblem[],
): Pick<Candidate, 'item' | 'mark' | 'spots'>[] {
  if (fleet === undefined) {
    return (catalog?.sections[section] ?? []).map((item) => ({ item, mark: undefined, spots: undefined }))
  }
  const byId = new Map<string, Map<string, Spot>>()
  for (const instance of inAge(fleet.instances)) {
    for (const item of instance.catalog?.sections[section] ?? []) {
      const spots = byId.get(item.id) ?? new Map<string, Spot>()
      if (spots.has(instance.server))
        problems.push({ server: instance.server, section, item: item.id, message: 'is listed twice' })
      else spots.set(instance.server, { instance, cluster: instance.cluster, since: instance.since, item })
      byId.set(item.id, spots)
    }
  }
  return [...byId].flatMap(([id, spots]) =>
    arrange(fleet.mode, section, [...spots.values()]).map(({ mark, places }) => {
      if (mark?.at === 'back')
        problems.push({
          server: instanceKey(server, mark.cluster),
          section,
          item: id,
          message: 'is not as in the cluster that has it longest, so it is listed under a name of its own',
        })
      return { item: oldest(places).item, mark, spots: places }
    }),
  )
}

function prefixed({ member, bare, mark }: Candidate, { prefixFormat }: Aggregation): string {
  return markName(prefixFormat.replaceAll('{workload}', member.workload) + bare, mark)
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
  for (const rivals of groups(found, ({ wanted }) => wanted)) {
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

function entry(candidate: Candidate, name: string, aggregation: Aggregation): CatalogEntry {
  const { member, section, item, override, spots } = candidate
  const known = { section, exposed: exposed(name), original: original(item.id), override }
  const applies = ruling(candidate, name, aggregation)
  if (spots === undefined) return { ...known, server: member.server, item, grants: [grantOf(member.rules, applies)] }
  const mode = member.fleet?.mode ?? 'prefixed'
  const places = spots.map(({ instance, ...spot }): Place => {
    const grant = grantOf(instance.rules, applies)
    const said = grant.rules.map(({ trustHints }) => trustHints).filter((one) => one !== undefined)
    const trusted = said.length === 0 ? instance.trustHints : !said.includes(false)
    return { ...spot, server: instance.server, grants: [grant], trusted }
  })
  return spreadEntry(known, mode, places)
}

/** Whether a rule is about an item: it holds for every name that the item has or would have, so that no other server can move it out of reach. */
function ruling(candidate: Candidate, name: string, aggregation: Aggregation): (rule: Rule) => boolean {
  const { section, item, bare, wanted } = candidate
  // Who may not be at a place with any tool has no business with its prompts and resources either.
  if (section !== 'tools') return ({ place, tools }) => place !== undefined && tools.includes('*')
  const unmarked = prefixed({ ...candidate, mark: undefined }, aggregation)
  const names = [item.id, bare, unmarked, prefixed(candidate, aggregation), wanted, name]
  return (rule) => matchers(rule).some((matches) => names.some(matches))
}

const compiled = new WeakMap<Rule, ReturnType<typeof glob>[]>()

function matchers(rule: Rule): ReturnType<typeof glob>[] {
  const known = compiled.get(rule) ?? rule.tools.map(glob)
  compiled.set(rule, known)
  return known
}

const granted = new WeakMap<readonly Rule[], Map<string, Grant>>()

/** The grant by those of a server's rules that apply; items with the same ones share it. */
function grantOf(rules: readonly Rule[], applies: (rule: Rule) => boolean): Grant {
  const found = rules.map(applies)
  const known = granted.get(rules) ?? new Map<string, Grant>()
  granted.set(rules, known)
  const key = found.map((one) => (one ? '1' : '0')).join('')
  const grant = known.get(key) ?? { access: undefined, rules: rules.filter((_, at) => found[at]) }
  known.set(key, grant)
  return grant
}
