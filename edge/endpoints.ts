// What one isolate knows, as endpoints ready to use: each is built when somebody asks for it, and again once its plan or the catalog of
// one of its servers is another. While the store is away, what was built serves on.

import type { AssertionSigner } from '../gateway/auth/assertion-signer.ts'
import { Guard } from '../gateway/auth/guard.ts'
import { Breaker } from '../gateway/backend/breaker.ts'
import { Sessions } from '../gateway/backend/session.ts'
import type { Catalog } from '../gateway/catalog/catalog.ts'
import type { Fleet } from '../gateway/catalog/fleet.ts'
import { merge, type Member } from '../gateway/catalog/merge.ts'
import { Projection } from '../gateway/catalog/project.ts'
import type { ServerCatalog } from '../gateway/catalog/server.ts'
import { unite } from '../gateway/catalog/unite.ts'
import type { Channel } from '../gateway/channel/channel.ts'
import type { Endpoint, Target } from '../gateway/endpoint.ts'
import type { Levels } from '../gateway/levels.ts'
import { Lru } from '../gateway/lru.ts'
import type { Access } from '../gateway/policy.ts'
import type { Clock, Store } from '../gateway/ports.ts'
import type { KeyRing, Sealer } from '../gateway/seal.ts'
import { sha256 } from '../gateway/sha256.ts'
import type { EndpointPlan, Plan } from '../plan/endpoint.ts'
import type { GuardPlan } from '../plan/guard.ts'
import type { FleetPlan, InstancePlan } from '../plan/instance.ts'
import type { IssuerPlan } from '../plan/issuer.ts'
import type { MemberPlan } from '../plan/member.ts'
import { Fault } from '../protocol/fault.ts'
import { Bodies, ownBody, type Wanted } from './catalogs.ts'
import { registeredCatalogKey } from './documents/registry.ts'
import type { Env } from './env.ts'
import type { Issuers } from './issuers.ts'
import type { State } from './state.ts'
import { reachLinked, reachOwn } from './target.ts'

const MAX_BREAKERS = 16_384
/** Key of the endpoint of everything. */
export const EVERYTHING = 'mcp'

interface Built {
  readonly endpoint: Endpoint
  /** The state it is known to agree with. */
  readonly generation: number
  /** Digests of what it was built from. */
  readonly from: string
}

export interface EndpointsHost {
  readonly env: Env
  readonly state: State
  readonly store: Store
  readonly sealer: Sealer
  readonly levels: Levels
  readonly channel: Channel
  /** Signs for callers at servers of clusters; undefined where the edge has no key for it. */
  readonly assertions: AssertionSigner | undefined
  readonly vaultKeys: KeyRing
  readonly issuers: Issuers
  readonly defaultIssuer: IssuerPlan | undefined
  readonly now: Clock
}

export class Endpoints {
  readonly #host: EndpointsHost
  readonly #state: State
  readonly #bodies: Bodies
  readonly #sessions: Sessions
  readonly #breakers = new Lru<string, Breaker>(MAX_BREAKERS)
  readonly #hashes = new WeakMap<EndpointPlan, Promise<string>>()
  readonly #guards = new Map<string, { readonly guard: Guard; readonly from: string }>()
  readonly #built = new Map<string, Built>()
  /** What was looked at last of what endpoints are made of. */
  #seen: Pick<State, 'plan' | 'resources' | 'secrets'> | undefined

  constructor(host: EndpointsHost) {
    this.#host = host
    this.#state = host.state
    this.#bodies = new Bodies(host.store)
    this.#sessions = new Sessions(host.store, host.sealer, host.levels, host.channel)
  }

  /** The endpoint, if it is built from what is known now: what most requests find. */
  built(key: string): Endpoint | undefined {
    const known = this.#built.get(key)
    return known?.generation === this.#state.generation ? known.endpoint : undefined
  }

  /** The endpoint at `/<key>/mcp`, or that of everything for `mcp`; undefined where there is none. Throws `Fault` `store_unavailable`. */
  async endpoint(key: string): Promise<Endpoint | undefined> {
    const ready = this.built(key)
    if (ready !== undefined) return ready
    const { generation } = this.#state
    const { endpoints } = this.#plan()
    const known = this.#built.get(key)
    if (key !== EVERYTHING && !endpoints.has(key)) return undefined
    const parts = key === EVERYTHING ? [...endpoints.keys()].sort() : [key]
    const wanted = this.#digests(parts)
    const from = [
      ...(await Promise.all(parts.map((part) => this.#hashOf(part)))),
      ...[...wanted].map(([server, { digest }]) => `${server} ${digest}`),
    ].join('\n')
    try {
      const endpoint = known?.from === from ? known.endpoint : await this.#build(key, parts, wanted)
      this.#built.set(key, { endpoint, from, generation })
      return endpoint
    } catch (error) {
      if (known !== undefined && error instanceof Fault && error.reason === 'store_unavailable') return known.endpoint
      throw error
    }
  }

  /** Who may enter an endpoint. */
  guard(key: string): Guard {
    const planned = key === EVERYTHING ? this.#guardOfEverything() : this.#plan().endpoints.get(key)?.guard
    const from = JSON.stringify(planned) ?? ''
    const known = this.#guards.get(key)
    if (known?.from === from) return known.guard
    const { env, issuers, now } = this.#host
    const path = key === EVERYTHING ? '/mcp' : `/${key}/mcp`
    const resource = planned?.resource ?? `${env.PUBLIC_URL}${path}`
    const guard = new Guard(
      {
        issuers: planned === undefined ? [] : planned.issuers?.map((one) => issuers.keys(one)),
        audience: planned?.audience ?? resource,
        scopes: planned?.scopes ?? [],
        resource,
        metadataUrl: `${env.PUBLIC_URL}/.well-known/oauth-protected-resource${path}`,
      },
      now,
    )
    this.#guards.set(key, { guard, from })
    return guard
  }

  /** Scopes that rules of an endpoint ask for, for its metadata; at `/mcp` also those of the endpoints behind it. */
  scopes(key: string): string[] {
    const { endpoints } = this.#plan()
    const plans = key === EVERYTHING ? [...endpoints.values()] : [endpoints.get(key)]
    const own = key === EVERYTHING ? plans.flatMap((one) => one?.guard.scopes ?? []) : []
    const rules = plans.flatMap((one) =>
      one === undefined ? [] : [...one.rules, ...one.members.flatMap((member) => member.rules)],
    )
    return [...new Set([...own, ...rules.flatMap((rule) => rule.scopes ?? [])])].sort()
  }

  /** The plan of now. What was made for endpoints that are gone goes, and what holds secrets that are others now. */
  #plan(): Plan {
    const { plan, resources, secrets } = this.#state
    const seen = this.#seen
    if (seen?.plan === plan && seen.secrets === secrets) return plan
    if (seen?.secrets !== secrets || seen.resources !== resources) this.#built.clear()
    for (const kept of [this.#built, this.#guards])
      for (const key of kept.keys()) if (key !== EVERYTHING && !plan.endpoints.has(key)) kept.delete(key)
    this.#seen = { plan, resources, secrets }
    return plan
  }

  #guardOfEverything(): GuardPlan {
    return { issuers: [...this.#issuersOfEverything().values()], audience: undefined, resource: undefined, scopes: [] }
  }

  /** Every issuer that some endpoint trusts, once; of several descriptions of one the edge's own, else the first, is used. */
  #issuersOfEverything(): ReadonlyMap<string, IssuerPlan> {
    const issuers = new Map<string, IssuerPlan>()
    const { defaultIssuer } = this.#host
    if (defaultIssuer !== undefined) issuers.set(defaultIssuer.issuer, defaultIssuer)
    for (const [, endpoint] of [...this.#plan().endpoints].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const issuer of endpoint.guard.issuers ?? [])
        if (!issuers.has(issuer.issuer)) issuers.set(issuer.issuer, issuer)
    }
    return issuers
  }

  /** Which catalogs the endpoints need, as far as they come from where their servers are now. */
  #digests(parts: readonly string[]): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>()
    for (const part of parts) {
      for (const { server, fleet } of this.#plan().endpoints.get(part)?.members ?? []) {
        for (const { server: key, cluster, catalog } of fleet?.instances ?? [])
          if (catalog !== undefined) wanted.set(key, { digest: catalog, at: registeredCatalogKey(cluster, catalog) })
        const planned = this.#plan().servers.get(server)
        const digest = this.#state.catalogs.get(server)
        if (planned !== undefined && digest?.source === planned.source) wanted.set(server, ownBody(server, digest))
      }
    }
    return wanted
  }

  /** Changes when what is planned for an endpoint does. Clusters choose some of that text, and must not make two plans look alike. */
  async #hashOf(key: string): Promise<string> {
    const planned = this.#plan().endpoints.get(key)
    if (planned === undefined) return ''
    const known = this.#hashes.get(planned) ?? sha256(JSON.stringify(planned))
    this.#hashes.set(planned, known)
    return known
  }

  async #build(key: string, parts: readonly string[], wanted: ReadonlyMap<string, Wanted>): Promise<Endpoint> {
    const bodies = await this.#bodies.load(wanted)
    const member = ({ fleet, ...planned }: MemberPlan): Member => ({
      ...planned,
      catalog: bodies.get(planned.server),
      ...(fleet !== undefined && { fleet: fleetOf(fleet, bodies) }),
    })
    const plans = parts.flatMap((part) => this.#plan().endpoints.get(part) ?? [])
    const everything = this.#issuersOfEverything()
    const merged = plans.map((endpoint) => ({
      key: endpoint.key,
      plan: endpoint,
      access: accessOf(endpoint, everything),
      catalog: merge(endpoint.members.map(member), endpoint.aggregation, endpoint.rules),
    }))
    const [only] = merged
    const catalog: Catalog = key === EVERYTHING || only === undefined ? unite(merged) : only.catalog
    const ways = new Map(plans.map((endpoint) => [endpoint.key, waysOf(endpoint)]))
    const servers = new Set(plans.flatMap((endpoint) => [...(ways.get(endpoint.key)?.keys() ?? [])]))
    const targets = new Map<string, Target>()
    const target = (server: string, via: string | undefined): Target => {
      const id = `${via ?? key} ${server}`
      const known = targets.get(id)
      if (known !== undefined) return known
      const way = ways.get(via ?? key)?.get(server)
      const made: Target = { key: id, via, ...this.#target(server, way, catalog) }
      targets.set(id, made)
      return made
    }
    return {
      key,
      guard: this.guard(key),
      catalog,
      projection: new Projection(catalog, this.#host.sealer, catalog.servers.size === servers.size),
      sole: key !== EVERYTHING && servers.size === 1 ? [...servers][0] : undefined,
      target,
      targets: (server) =>
        plans
          .filter((endpoint) => ways.get(endpoint.key)?.has(server) === true)
          .map((endpoint) => target(server, key === EVERYTHING ? endpoint.key : undefined)),
      health: this.#state.health,
    }
  }

  #target(server: string, way: Way | undefined, catalog: Catalog): Omit<Target, 'key' | 'via'> {
    const planned = this.#plan().servers.get(server)
    const at = way?.instance
    const url = at?.url ?? planned?.url
    if (way === undefined || url === undefined)
      throw new Fault('backend_unavailable', `Server ${server} is not available.`, { data: { server } })
    const { env, vaultKeys, levels, now } = this.#host
    const { breaker: settings, timeoutMs, credential } = way.member
    const breakerKey = `${server} ${url} ${JSON.stringify(settings)}`
    const breaker = this.#breakers.get(breakerKey) ?? new Breaker(settings, now)
    this.#breakers.set(breakerKey, breaker)
    const era = catalog.servers.get(server)?.era ?? 'legacy'
    const sessions = this.#sessions
    if (at !== undefined)
      return { ...reachLinked(at, timeoutMs, era, this.#host.assertions, sessions, env), breaker, timeoutMs }
    if (planned === undefined) throw new TypeError('a way leads to a server that is planned')
    const vault = { secrets: this.#state.secrets, keys: vaultKeys }
    return { ...reachOwn(planned, credential, era, vault, sessions, levels, env), breaker, timeoutMs }
  }
}

function fleetOf({ mode, instances }: FleetPlan, bodies: ReadonlyMap<string, ServerCatalog>): Fleet {
  return { mode, instances: instances.map((one) => ({ ...one, catalog: bodies.get(one.server) })) }
}

/** How an endpoint reaches a server: as a member, or as the instance of a member in a cluster. */
interface Way {
  readonly member: MemberPlan
  readonly instance: InstancePlan | undefined
}

function waysOf({ members }: EndpointPlan): ReadonlyMap<string, Way> {
  return new Map(
    members.flatMap((member): [string, Way][] =>
      member.fleet === undefined
        ? [[member.server, { member, instance: undefined }]]
        : member.fleet.instances.map((instance) => [instance.server, { member, instance }]),
    ),
  )
}

/**
 * Who may use an endpoint's entries where they appear beside those of others: principals of its issuers, as far as they
 * were verified there exactly as the endpoint itself would have.
 */
function accessOf({ guard }: EndpointPlan, everything: ReadonlyMap<string, IssuerPlan>): Access {
  const alike = guard.issuers?.filter((one) => JSON.stringify(one) === JSON.stringify(everything.get(one.issuer)))
  return { issuers: alike?.map(({ issuer }) => issuer), scopes: guard.scopes }
}
