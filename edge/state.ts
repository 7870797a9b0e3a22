// What one isolate knows: what the admin applied, what clusters publish, and the plan of both. Versions are checked at most every
// two seconds and at least every four, so that a change holds everywhere within five; while the store is away, what is known serves on.

import { clusterOf, type Health } from '../gateway/catalog/fleet.ts'
import type { Clock, Store } from '../gateway/ports.ts'
import { plan, type Plan } from '../plan/endpoint.ts'
import { gather, type Fleets } from '../plan/fleet.ts'
import type { IssuerPlan } from '../plan/issuer.ts'
import type { Resources } from '../plan/resources.ts'
import { EDGE, type Site } from '../plan/site.ts'
import { catalogCodec, type CatalogIndex } from './catalogs.ts'
import { clusterCodec, type Cluster } from './documents/clusters.ts'
import { parseDocument } from './documents/document.ts'
import type { Health as ServerHealth } from './documents/health.ts'
import { registeredCodec, registryCodec, type Registered, type Registry } from './documents/registry.ts'
import { resourceCodec, type StoredResources } from './documents/resources.ts'
import { revocationCodec, revoked, type Revocations } from './documents/revocations.ts'
import { secretCodec, type Secrets } from './documents/secrets.ts'

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

export interface StateHost {
  readonly store: Store
  readonly defaultIssuer: IssuerPlan | undefined
  readonly now: Clock
}

export class State {
  readonly #host: StateHost
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
  #plan: Plan = { endpoints: new Map(), servers: new Map() }

  constructor(host: StateHost) {
    this.#host = host
  }

  /** Grows whenever anything was read anew. */
  get generation(): number {
    return this.#generation
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
  readonly health = (instance: string): Health =>
    this.#registry.get(clusterOf(instance) ?? '')?.state === 'offline' ? 'offline' : 'online'
}

/** What a cluster publishes, as this isolate has read it. */
interface Known extends Pick<Registered, 'items'> {
  readonly version: string
}

const isAdmitted = (cluster: Cluster | undefined): boolean => cluster !== undefined && cluster.revokedAt === undefined
