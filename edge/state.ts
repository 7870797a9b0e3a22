// What one isolate knows: the applied resources and the catalogs, as endpoints ready to use. Versions are checked at most every
// two seconds and at least every four, so that a change holds everywhere within five; while the store is away, what is known serves on.

import type { AssertionSigner } from '../gateway/auth/assertion-signer.ts'
import { Guard } from '../gateway/auth/guard.ts'
import { IssuerKeys, type IssuerHost } from '../gateway/auth/issuer.ts'
import { Breaker } from '../gateway/backend/breaker.ts'
import type { Channel } from '../gateway/channel/channel.ts'
import { Sessions } from '../gateway/backend/session.ts'
import type { Catalog } from '../gateway/catalog/catalog.ts'
import { clusterOf, type Fleet, type Health } from '../gateway/catalog/fleet.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { merge, type Member } from '../gateway/catalog/merge.ts'
import { unite } from '../gateway/catalog/unite.ts'
import { Projection } from '../gateway/catalog/project.ts'
import type { ServerCatalog } from '../gateway/catalog/server.ts'
import type { Endpoint, Target } from '../gateway/endpoint.ts'
import type { Levels } from '../gateway/levels.ts'
import { Lru } from '../gateway/lru.ts'
import type { Access } from '../gateway/policy.ts'
import type { Clock, Store } from '../gateway/ports.ts'
import type { KeyRing, Sealer } from '../gateway/seal.ts'
import { Fault } from '../protocol/fault.ts'
import { Bodies, catalogCodec, ownBody, type CatalogIndex, type Wanted } from './catalogs.ts'
import { clusterCodec, type Cluster } from './documents/clusters.ts'
import { parseDocument } from './documents/document.ts'
import type { Health as ServerHealth } from './documents/health.ts'
import {
  registeredCatalogKey,
  registeredCodec,
  registryCodec,
  type Registered,
  type Registry,
} from './documents/registry.ts'
import { resourceCodec, type StoredResources } from './documents/resources.ts'
import { revocationCodec, revoked, type Revocations } from './documents/revocations.ts'
import { openSecret, secretCodec, type Secrets } from './documents/secrets.ts'
import type { Env } from './env.ts'
import { plan, type EndpointPlan, type Plan } from '../plan/endpoint.ts'
import { gather, type Fleets } from '../plan/fleet.ts'
import type { GuardPlan } from '../plan/guard.ts'
import type { FleetPlan, InstancePlan } from '../plan/instance.ts'
import type { IssuerPlan } from '../plan/issuer.ts'
import type { MemberPlan } from '../plan/member.ts'
import type { Resources } from '../plan/resources.ts'
import { EDGE, type Site } from '../plan/site.ts'
import { reachLinked, reachOwn } from './target.ts'

/** An edge admits nobody by default, and knows neither ConfigMaps nor the service accounts of a cluster. */
const edgeSite = (defaultIssuer: IssuerPlan | undefined, fleets: Fleets): Site => ({
  cluster: EDGE,
  defaultIssuer,
  defaultAudience: undefined,
  open: false,
  proxies: false,
  serviceAccounts: false,
  fleets,
  configMap: () => undefined,
})

const FRESH_MS = 2_000
const STALE_MS = 4_000
/** How long to leave a store alone that did not answer. */
const RETRY_MS = 1_000
const DOCUMENTS = ['resources', 'secrets', 'revocations', 'catalogs', 'clusters', 'registry'] as const
const MAX_BREAKERS = 16_384
/** Key of the endpoint of everything. */
export const EVERYTHING = 'mcp'

interface Built {
  readonly endpoint: Endpoint
  /** The state it is known to agree with. */
  readonly generation: number
  /** Digests of the catalogs it was built from. */
  readonly from: string
}

export interface StateHost {
  readonly env: Env
  readonly store: Store
  readonly sealer: Sealer
  readonly levels: Levels
  readonly channel: Channel
  /** Signs for callers at servers of clusters; undefined where the edge has no key for it. */
  readonly assertions: AssertionSigner | undefined
  readonly vaultKeys: KeyRing
  readonly issuers: IssuerHost
  readonly defaultIssuer: IssuerPlan | undefined
  readonly now: Clock
}

export class State {
  readonly #host: StateHost
  readonly #bodies: Bodies
  readonly #sessions: Sessions
  readonly #breakers = new Lru<string, Breaker>(MAX_BREAKERS)
  readonly #issuers = new Map<string, IssuerKeys>()
  /** Grows whenever anything was read anew. */
  #generation = 0
  #versions: readonly (string | null)[] | undefined
  #checkedAt = Number.NEGATIVE_INFINITY
  #resources: StoredResources = new Map()
  #secrets: Secrets = new Map()
  #revocations: Revocations = new Map()
  #catalogs: CatalogIndex = new Map()
  #clusters: ReadonlyMap<string, Cluster> = new Map()
  #registry: Registry = new Map()
  #registered: ReadonlyMap<string, Known> = new Map()
  #fleets: Fleets = gather(new Map(), new Map())
  #texts = new WeakMap<EndpointPlan, string>()
  #plan: Plan = { endpoints: new Map(), servers: new Map() }
  #guards = new Map<string, Guard>()
  #built = new Map<string, Built>()

  constructor(host: StateHost) {
    this.#host = host
    this.#bodies = new Bodies(host.store)
    this.#sessions = new Sessions(host.store, host.sealer, host.levels, host.channel)
  }

  get plan(): Plan {
    return this.#plan
  }
  get resources(): StoredResources {
    return this.#resources
  }
  /** The edge's own resources, and the servers and virtual servers of clusters. */
  get everywhere(): Resources {
    return this.#fleets.resources
  }
  /** How many servers a cluster has registered. */
  published(cluster: string): number {
    const items = this.#registered.get(cluster)?.items ?? []
    return items.filter(({ kind }) => kind === 'MCPServer' || kind === 'MCPRemoteProxy').length
  }
  get secrets(): Secrets {
    return this.#secrets
  }
  get catalogs(): CatalogIndex {
    return this.#catalogs
  }
  readonly revoked = (credential: { issuer: string; subject: string; tokenId: string | undefined }): boolean =>
    revoked(this.#revocations, credential, this.#host.now())

  /** Nothing needs to be checked: what most requests find. */
  isFresh(): boolean {
    return this.#host.now() - this.#checkedAt < FRESH_MS
  }

  /**
   * Makes sure that what is known is recent enough. `defer` keeps a check alive that nobody waits for.
   * Throws `Fault` `store_unavailable` only when nothing is known at all.
   */
  async refresh(defer: (work: Promise<unknown>) => void): Promise<void> {
    const age = this.#host.now() - this.#checkedAt
    if (age < FRESH_MS) return
    if (age < STALE_MS && this.#versions !== undefined) {
      this.#checkedAt = this.#host.now() - FRESH_MS + RETRY_MS
      defer(this.reload().catch(() => undefined))
      return
    }
    try {
      await this.reload()
    } catch (error) {
      if (this.#versions === undefined) throw error
      this.#checkedAt = this.#host.now() - FRESH_MS + RETRY_MS
    }
  }

  /** Reads what changed. Throws `Fault` `store_unavailable`. */
  async reload(): Promise<void> {
    const { store, now } = this.#host
    const started = now()
    const versions = await store.peek(DOCUMENTS)
    const stale = DOCUMENTS.filter((_, at) => this.#versions === undefined || versions[at] !== this.#versions[at])
    if (stale.length > 0) {
      const entries = await store.mget(stale)
      const entry = (key: (typeof DOCUMENTS)[number]) => {
        const at = stale.indexOf(key)
        return at < 0 ? undefined : (entries[at] ?? null)
      }
      const resources = entry('resources')
      const secrets = entry('secrets')
      const revocations = entry('revocations')
      const catalogs = entry('catalogs')
      if (secrets !== undefined) this.#secrets = parseDocument(secretCodec, secrets).value
      if (resources !== undefined) this.#resources = parseDocument(resourceCodec, resources).value.resources
      if (revocations !== undefined) this.#revocations = parseDocument(revocationCodec, revocations).value
      if (catalogs !== undefined) this.#catalogs = parseDocument(catalogCodec, catalogs).value
      const clusters = entry('clusters')
      const registry = entry('registry')
      if (clusters !== undefined) this.#clusters = parseDocument(clusterCodec, clusters).value
      if (registry !== undefined) await this.#follow(parseDocument(registryCodec, registry).value)
      if (resources !== undefined || secrets !== undefined) {
        this.#guards = new Map()
        this.#built = new Map()
      }
      if (resources !== undefined || clusters !== undefined || registry !== undefined) this.#replan()
    }
    if (stale.length > 0) this.#generation += 1
    this.#versions = versions
    this.#checkedAt = started
  }

  /** Reads what clusters publish now, as far as it is not known yet. */
  async #follow(registry: Registry): Promise<void> {
    const listed = [...registry].filter(([, { state }]) => state !== 'delisted')
    const stale = listed.flatMap(([cluster, { version }]) =>
      this.#registered.get(cluster)?.version === version ? [] : [{ cluster, version, codec: registeredCodec(cluster) }],
    )
    const entries = stale.length === 0 ? [] : await this.#host.store.mget(stale.map(({ codec }) => codec.key))
    const known = new Map(this.#registered)
    for (const [at, { cluster, version, codec }] of stale.entries()) {
      try {
        const { items } = parseDocument(codec, entries[at] ?? null).value
        known.set(cluster, { version, items })
      } catch (error) {
        // What cannot be read of one cluster must not hold up what the admin says of all, such as that it is revoked.
        console.error(JSON.stringify({ msg: 'cluster_unreadable', cluster, error: String(error).slice(0, 200) }))
        known.set(cluster, { version, items: [] })
      }
    }
    this.#registered = new Map([...known].filter(([cluster]) => listed.some(([one]) => one === cluster)))
    this.#registry = registry
  }

  #replan(): void {
    // Whom the admin has shut out lists nothing from that moment, whatever its hub has heard.
    const admitted = [...this.#registered].filter(([cluster]) => isAdmitted(this.#clusters.get(cluster)))
    const published = new Map(admitted.map(([cluster, { items }]) => [cluster, items]))
    this.#fleets = gather(this.#resources, published)
    this.#plan = plan(this.#resources, edgeSite(this.#host.defaultIssuer, this.#fleets))
    for (const kept of [this.#built, this.#guards])
      for (const key of kept.keys()) if (key !== EVERYTHING && !this.#plan.endpoints.has(key)) kept.delete(key)
  }

  /** How a server does that clusters published; undefined for those of the edge. */
  linked(server: string): ServerHealth | undefined {
    const instances = this.#fleets.instances(server)
    if (instances.length === 0) return undefined
    const away = instances.filter(({ cluster }) => this.#registry.get(cluster)?.state !== 'online')
    if (away.length < instances.length) return { state: 'ok' }
    return { state: 'failed', message: `not connected: ${away.map(({ cluster }) => cluster).join(', ')}` }
  }

  /** How the link to the cluster of an instance does, as its hub has said last. */
  readonly #health = (instance: string): Health =>
    this.#registry.get(clusterOf(instance) ?? '')?.state === 'offline' ? 'offline' : 'online'

  /** The endpoint, if it is built from what is known now. */
  built(key: string): Endpoint | undefined {
    const known = this.#built.get(key)
    return known?.generation === this.#generation ? known.endpoint : undefined
  }

  /** The endpoint at `/<key>/mcp`, or that of everything for `mcp`. */
  async endpoint(key: string): Promise<Endpoint | undefined> {
    const ready = this.built(key)
    if (ready !== undefined) return ready
    const known = this.#built.get(key)
    if (key !== EVERYTHING && !this.#plan.endpoints.has(key)) return undefined
    const generation = this.#generation
    const parts = key === EVERYTHING ? [...this.#plan.endpoints.keys()].sort() : [key]
    const wanted = this.#digests(parts)
    const from = [
      ...parts.map((part) => this.#textOf(part)),
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

  guard(key: string): Guard {
    const known = this.#guards.get(key)
    if (known !== undefined) return known
    const { env, now } = this.#host
    const planned = key === EVERYTHING ? this.#guardOfEverything() : this.#plan.endpoints.get(key)?.guard
    const path = key === EVERYTHING ? '/mcp' : `/${key}/mcp`
    const resource = planned?.resource ?? `${env.PUBLIC_URL}${path}`
    const guard = new Guard(
      {
        issuers: planned === undefined ? [] : planned.issuers?.map((one) => this.keys(one)),
        audience: planned?.audience ?? resource,
        scopes: planned?.scopes ?? [],
        resource,
        metadataUrl: `${env.PUBLIC_URL}/.well-known/oauth-protected-resource${path}`,
      },
      now,
    )
    this.#guards.set(key, guard)
    return guard
  }

  /** Scopes that rules of an endpoint ask for, for its metadata; at `/mcp` also those of the endpoints behind it. */
  scopes(key: string): string[] {
    const plans = key === EVERYTHING ? [...this.#plan.endpoints.values()] : [this.#plan.endpoints.get(key)]
    const own = key === EVERYTHING ? plans.flatMap((one) => one?.guard.scopes ?? []) : []
    const rules = plans.flatMap((one) =>
      one === undefined ? [] : [...one.rules, ...one.members.flatMap((member) => member.rules)],
    )
    return [...new Set([...own, ...rules.flatMap((rule) => rule.scopes ?? [])])].sort()
  }

  /** Keys of an issuer; kept across changes of the configuration, so that they are not fetched again. */
  keys(issuer: IssuerPlan): IssuerKeys {
    const id = JSON.stringify(issuer)
    const known = this.#issuers.get(id)
    if (known !== undefined) return known
    const { clientId, clientSecret, introspectionUrl, ...rest } = issuer
    const keys = new IssuerKeys(
      {
        ...rest,
        introspection:
          introspectionUrl === undefined || clientId === undefined
            ? undefined
            : { url: introspectionUrl, clientId, secret: async () => this.#secret(clientSecret) },
      },
      this.#host.issuers,
    )
    this.#issuers.set(id, keys)
    return keys
  }

  async #secret(ref: IssuerPlan['clientSecret']): Promise<string> {
    if (ref === undefined) return ''
    return (await openSecret(this.#secrets, this.#host.vaultKeys, ref.namespace, ref.name, ref.key)) ?? ''
  }

  #guardOfEverything(): GuardPlan {
    return { issuers: [...this.#issuersOfEverything().values()], audience: undefined, resource: undefined, scopes: [] }
  }

  /** Every issuer that some endpoint trusts, once; of several descriptions of one the edge's own, else the first, is used. */
  #issuersOfEverything(): ReadonlyMap<string, IssuerPlan> {
    const issuers = new Map<string, IssuerPlan>()
    const { defaultIssuer } = this.#host
    if (defaultIssuer !== undefined) issuers.set(defaultIssuer.issuer, defaultIssuer)
    for (const [, endpoint] of [...this.#plan.endpoints].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const issuer of endpoint.guard.issuers ?? [])
        if (!issuers.has(issuer.issuer)) issuers.set(issuer.issuer, issuer)
    }
    return issuers
  }

  /** Which catalogs the endpoints need, as far as they come from where their servers are now. */
  #digests(parts: readonly string[]): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>()
    for (const part of parts) {
      for (const { server, fleet } of this.#plan.endpoints.get(part)?.members ?? []) {
        for (const { server: key, cluster, catalog } of fleet?.instances ?? [])
          if (catalog !== undefined) wanted.set(key, { digest: catalog, at: registeredCatalogKey(cluster, catalog) })
        const planned = this.#plan.servers.get(server)
        const digest = this.#catalogs.get(server)
        if (planned !== undefined && digest?.source === planned.source) wanted.set(server, ownBody(server, digest))
      }
    }
    return wanted
  }

  /** Changes when what is planned for an endpoint does. */
  #textOf(key: string): string {
    const planned = this.#plan.endpoints.get(key)
    if (planned === undefined) return ''
    const known = this.#texts.get(planned) ?? fingerprint(JSON.stringify(planned))
    this.#texts.set(planned, known)
    return known
  }

  async #build(key: string, parts: readonly string[], wanted: ReadonlyMap<string, Wanted>): Promise<Endpoint> {
    const bodies = await this.#bodies.load(wanted)
    const member = ({ fleet, ...planned }: MemberPlan): Member => ({
      ...planned,
      catalog: bodies.get(planned.server),
      ...(fleet !== undefined && { fleet: fleetOf(fleet, bodies) }),
    })
    const plans = parts.flatMap((part) => this.#plan.endpoints.get(part) ?? [])
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
      health: this.#health,
    }
  }

  #target(server: string, way: Way | undefined, catalog: Catalog): Omit<Target, 'key' | 'via'> {
    const planned = this.#plan.servers.get(server)
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
    const vault = { secrets: this.#secrets, keys: vaultKeys }
    return { ...reachOwn(planned, credential, era, vault, sessions, levels, env), breaker, timeoutMs }
  }
}

/** What a cluster publishes, as this isolate has read it. */
interface Known extends Pick<Registered, 'items'> {
  readonly version: string
}

const isAdmitted = (cluster: Cluster | undefined): boolean => cluster !== undefined && cluster.revokedAt === undefined

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
