// What one isolate knows: the applied resources and the catalogs, as endpoints ready to use. Versions are checked at most every
// two seconds and at least every four, so that a change holds everywhere within five; while the store is away, what is known serves on.

import { Guard } from '../gateway/auth/guard.ts'
import { IssuerKeys, type IssuerHost } from '../gateway/auth/issuer.ts'
import { Breaker } from '../gateway/backend/breaker.ts'
import { ModernBackend } from '../gateway/backend/modern.ts'
import type { Channel } from '../gateway/channel/channel.ts'
import { LegacyBackend, Sessions } from '../gateway/backend/session.ts'
import type { Backend } from '../gateway/backend/upstream.ts'
import type { Catalog } from '../gateway/catalog/catalog.ts'
import { merge, unite } from '../gateway/catalog/merge.ts'
import { Projection } from '../gateway/catalog/project.ts'
import type { Endpoint, Target } from '../gateway/endpoint.ts'
import type { Levels } from '../gateway/levels.ts'
import type { Access } from '../gateway/policy.ts'
import type { Clock, Store } from '../gateway/ports.ts'
import type { KeyRing, Sealer } from '../gateway/seal.ts'
import { Fault } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import { Bodies, catalogCodec, type CatalogIndex, type Digest } from './catalogs.ts'
import { parseDocument } from './documents/document.ts'
import { resourceCodec, type StoredResources } from './documents/resources.ts'
import { revocationCodec, revoked, type Revocations } from './documents/revocations.ts'
import { openSecret, secretCodec, type Secrets } from './documents/secrets.ts'
import type { Env } from './env.ts'
import {
  plan,
  type EndpointPlan,
  type GuardPlan,
  type IssuerPlan,
  type MemberPlan,
  type Plan,
} from '../plan/endpoint.ts'
import type { Site } from '../plan/site.ts'
import { SseBackend } from './sse-backend.ts'
import { network, ofRequest, upstream } from './upstream.ts'

/** An edge admits nobody by default, and knows neither ConfigMaps nor the service accounts of a cluster. */
const edgeSite = (defaultIssuer: IssuerPlan | undefined): Site => ({
  cluster: 'edge',
  defaultIssuer,
  defaultAudience: undefined,
  open: false,
  proxies: false,
  serviceAccounts: false,
  fleets: undefined,
  configMap: () => undefined,
})

const FRESH_MS = 2_000
const STALE_MS = 4_000
/** How long to leave a store alone that did not answer. */
const RETRY_MS = 1_000
const DOCUMENTS = ['resources', 'secrets', 'revocations', 'catalogs'] as const
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
  readonly vaultKeys: KeyRing
  readonly issuers: IssuerHost
  readonly defaultIssuer: IssuerPlan | undefined
  readonly now: Clock
}

export class State {
  readonly #host: StateHost
  readonly #bodies: Bodies
  readonly #sessions: Sessions
  readonly #breakers = new Map<string, Breaker>()
  readonly #issuers = new Map<string, IssuerKeys>()
  /** Grows whenever anything was read anew. */
  #generation = 0
  #versions: readonly (string | null)[] | undefined
  #checkedAt = Number.NEGATIVE_INFINITY
  #resources: StoredResources = new Map()
  #secrets: Secrets = new Map()
  #revocations: Revocations = new Map()
  #catalogs: CatalogIndex = new Map()
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
      if (resources !== undefined || secrets !== undefined) {
        this.#plan = plan(this.#resources, edgeSite(this.#host.defaultIssuer))
        this.#guards = new Map()
        this.#built = new Map()
      }
    }
    if (stale.length > 0) this.#generation += 1
    this.#versions = versions
    this.#checkedAt = started
  }

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
    const from = [...wanted].map(([server, { digest }]) => `${server} ${digest}`).join('\n')
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
  #digests(parts: readonly string[]): Map<string, Digest> {
    const wanted = new Map<string, Digest>()
    for (const part of parts) {
      for (const { server } of this.#plan.endpoints.get(part)?.members ?? []) {
        const planned = this.#plan.servers.get(server)
        const digest = this.#catalogs.get(server)
        if (planned !== undefined && digest?.source === planned.source) wanted.set(server, digest)
      }
    }
    return wanted
  }

  async #build(key: string, parts: readonly string[], wanted: ReadonlyMap<string, Digest>): Promise<Endpoint> {
    const bodies = await this.#bodies.load(wanted)
    const plans = parts.flatMap((part) => this.#plan.endpoints.get(part) ?? [])
    const everything = this.#issuersOfEverything()
    const merged = plans.map((endpoint) => ({
      key: endpoint.key,
      plan: endpoint,
      access: accessOf(endpoint, everything),
      catalog: merge(
        endpoint.members.map((member) => ({ ...member, fleet: undefined, catalog: bodies.get(member.server) })),
        endpoint.aggregation,
        endpoint.rules,
      ),
    }))
    const [only] = merged
    const catalog: Catalog = key === EVERYTHING || only === undefined ? unite(merged) : only.catalog
    const servers = new Set(plans.flatMap((endpoint) => endpoint.members.map((member) => member.server)))
    const targets = new Map<string, Target>()
    const target = (server: string, via: string | undefined): Target => {
      const id = `${via ?? key} ${server}`
      const known = targets.get(id)
      if (known !== undefined) return known
      const member = this.#plan.endpoints.get(via ?? key)?.members.find((one) => one.server === server)
      const made: Target = { key: id, via, ...this.#target(server, member, catalog) }
      targets.set(id, made)
      return made
    }
    return {
      key,
      guard: this.guard(key),
      catalog,
      projection: new Projection(catalog, this.#host.sealer, catalog.servers.size === servers.size),
      sole: key !== EVERYTHING && servers.size === 1 ? only?.plan.members[0]?.server : undefined,
      target,
      targets: (server) =>
        plans
          .filter((endpoint) => endpoint.members.some((member) => member.server === server))
          .map((endpoint) => target(server, key === EVERYTHING ? endpoint.key : undefined)),
    }
  }

  #target(server: string, member: MemberPlan | undefined, catalog: Catalog): Omit<Target, 'key' | 'via'> {
    const planned = this.#plan.servers.get(server)
    if (planned === undefined || member === undefined) {
      throw new Fault('backend_unavailable', `Server ${server} is not available.`, { data: { server } })
    }
    const { env, vaultKeys, now } = this.#host
    const vault = { secrets: this.#secrets, keys: vaultKeys }
    const through = ofRequest(network(env, planned.allowPrivate))
    const up = upstream(planned, member.credential, vault, env, through)
    const breakerKey = `${server} ${planned.url} ${JSON.stringify(member.breaker)}`
    const breaker = this.#breakers.get(breakerKey) ?? new Breaker(member.breaker, now)
    this.#breakers.set(breakerKey, breaker)
    const inEra = (era: Era): Backend =>
      era === 'modern' ? new ModernBackend(up) : new LegacyBackend(up, this.#sessions)
    const isSse = planned.transport === 'sse'
    return {
      backend: isSse
        ? new SseBackend(up, env.SSE_SESSIONS, this.#host.levels)
        : inEra(catalog.servers.get(server)?.era ?? 'legacy'),
      inEra: isSse ? undefined : inEra,
      breaker,
      timeoutMs: member.timeoutMs,
    }
  }
}

/**
 * Who may use an endpoint's entries where they appear beside those of others: principals of its issuers, as far as they
 * were verified there exactly as the endpoint itself would have.
 */
function accessOf({ guard }: EndpointPlan, everything: ReadonlyMap<string, IssuerPlan>): Access {
  const alike = guard.issuers?.filter((one) => JSON.stringify(one) === JSON.stringify(everything.get(one.issuer)))
  return { issuers: alike?.map(({ issuer }) => issuer), scopes: guard.scopes }
}
