// What a proxy serves now: the run config it was given last, the catalogs of the servers behind it, and the endpoint that
// both make. A new configuration replaces what it changes; calls under way end with what they began with.

import { namedIn } from '../../gateway/auth/assertion.ts'
import { AssertionSigner } from '../../gateway/auth/assertion-signer.ts'
import { AssertionVerifier } from '../../gateway/auth/assertion-verifier.ts'
import { Guard } from '../../gateway/auth/guard.ts'
import { AssertedBackend } from '../../gateway/backend/asserted.ts'
import { Breaker } from '../../gateway/backend/breaker.ts'
import { ModernBackend } from '../../gateway/backend/modern.ts'
import { LegacyBackend, type Sessions } from '../../gateway/backend/session.ts'
import type { Backend, Fetch, Upstream } from '../../gateway/backend/upstream.ts'
import { merge } from '../../gateway/catalog/merge.ts'
import { readPublished } from '../../gateway/catalog/published.ts'
import { Projection } from '../../gateway/catalog/project.ts'
import type { ServerCatalog } from '../../gateway/catalog/server.ts'
import type { Endpoint, Target } from '../../gateway/endpoint.ts'
import type { Clock } from '../../gateway/ports.ts'
import type { Sealer } from '../../gateway/seal.ts'
import type { MemberPlan } from '../../plan/member.ts'
import type { ServerPlan } from '../../plan/server.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Era } from '../../protocol/revision.ts'
import { identity } from '../../plan/site.ts'
import type { RunConfig } from '../run-config.ts'
import { Keeper, type Source } from '../catalog/keeper.ts'
import { MemberSource, type MemberHost } from '../catalog/member-source.ts'
import type { Issuers } from './issuers.ts'
import type { Keys } from './keys.ts'
import { metadataUrl } from './metadata.ts'
import { Network } from './network.ts'
import type { SecretFiles } from './secrets.ts'
import { ServerSource } from './server-source.ts'
import type { SseConnections } from './sse.ts'
import { upstream } from './upstream.ts'

export interface StateHost {
  readonly sealer: Sealer
  readonly signing: Keys['signing']
  readonly issuers: Issuers
  readonly secrets: SecretFiles
  readonly sessions: Sessions
  readonly sse: SseConnections
  readonly now: Clock
  /** The way to a server that is not on the network; undefined for all others. */
  readonly reach?: (server: string) => Fetch | undefined
  /** The endpoint is another one now. */
  changed(): void
}

interface Kept {
  /** What was planned when it began: another plan begins anew. */
  readonly plan: string
  readonly keeper: Keeper
}

export class State {
  readonly #host: StateHost
  readonly #kept = new Map<string, Kept>()
  readonly #catalogs = new Map<string, ServerCatalog>()
  #breakers = new Map<string, Breaker>()
  #network: { readonly network: Network; readonly key: string } | undefined
  #guard: { readonly guard: Guard; readonly key: string } | undefined
  #signer: AssertionSigner | undefined
  #verifier: AssertionVerifier | undefined
  #config: RunConfig | undefined
  #endpoint: Endpoint | undefined

  constructor(host: StateHost) {
    this.#host = host
  }

  get config(): RunConfig | undefined {
    return this.#config
  }
  /** Undefined until there is a configuration. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint
  }
  get verifier(): AssertionVerifier | undefined {
    return this.#verifier
  }
  get keepers(): ReadonlyMap<string, Keeper> {
    return new Map([...this.#kept].map(([server, { keeper }]) => [server, keeper]))
  }

  /** Takes up a configuration. Throws, and keeps the one before, when it cannot be used. */
  apply(config: RunConfig): void {
    const network = this.#networkFor(config)
    const { signing, now } = this.#host
    const self = identity(config.self)
    this.#host.secrets.belongTo(config.self.namespace)
    if (signing !== undefined && (this.#config === undefined || identity(this.#config.self) !== self))
      this.#signer = new AssertionSigner(self, signing, now)
    this.#guardFor(config, network)
    this.#config = config
    this.#keep(config, network)
    this.#build()
  }

  /** The server says that its catalog changed, or calls fail: its keeper looks soon. */
  hint(server: string): void {
    this.#kept.get(server)?.keeper.hint()
  }

  /** Resolves when every server has been seen once. */
  async seen(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ keeper }) => keeper.seen))
  }

  close(): void {
    for (const { keeper } of this.#kept.values()) keeper.stop()
  }

  #networkFor({ egressAllow, extraCa }: RunConfig): Network {
    const key = JSON.stringify([egressAllow, extraCa])
    if (this.#network?.key !== key) this.#network = { network: new Network(egressAllow, extraCa), key }
    return this.#network.network
  }

  /** A guard holds verdicts and generations of streams: it stays while nothing that decides is different. */
  #guardFor(config: RunConfig, network: Network): void {
    const { self, signers, url, endpoint } = config
    const key = JSON.stringify([self, signers, url, endpoint.guard, config.egressAllow, config.extraCa])
    if (this.#guard?.key === key) return
    const { issuers, now } = this.#host
    const planned = endpoint.guard
    const resource = planned.resource ?? url
    const verifier = new AssertionVerifier(identity(self), signers, now)
    const guard = new Guard(
      {
        issuers: planned.issuers === undefined ? undefined : issuers.keys(planned.issuers, network),
        audience: planned.audience ?? resource,
        scopes: planned.scopes,
        resource,
        metadataUrl: metadataUrl(resource),
        assertions: verifier,
      },
      now,
    )
    this.#verifier = verifier
    this.#guard = { guard, key }
  }

  /** Begins to keep servers that are new or planned differently, lets go of those that are gone. */
  #keep({ servers, egressAllow, extraCa }: RunConfig, network: Network): void {
    const planned = new Map(servers.map((server) => [server.key, server]))
    for (const [key, { keeper }] of this.#kept) {
      if (planned.has(key)) continue
      keeper.stop()
      this.#kept.delete(key)
      this.#catalogs.delete(key)
    }
    for (const server of servers) {
      const plan = JSON.stringify([server, egressAllow, extraCa])
      const known = this.#kept.get(server.key)
      if (known?.plan === plan) continue
      known?.keeper.stop()
      // A catalog from elsewhere is not this server's; one that is asked for otherwise serves until the next is here.
      if (known !== undefined && !known.plan.includes(JSON.stringify(server.url))) this.#catalogs.delete(server.key)
      const isCurrent = () => this.#kept.get(server.key)?.keeper === keeper
      const keeper: Keeper = new Keeper(server.key, this.#source(server, network), {
        found: (catalog) => isCurrent() && this.#found(server.key, catalog),
        returned: () => isCurrent() && this.#returned(server.key),
      })
      this.#kept.set(server.key, { plan, keeper })
      void keeper.run()
    }
  }

  #source(server: ServerPlan, network: Network): Source {
    const { secrets } = this.#host
    const { catalogUrl, credential } = server
    if (catalogUrl === undefined)
      return new ServerSource(
        upstream(server, server.credential, secrets, network, this.#host.reach?.(server.key)),
        () => this.hint(server.key),
      )
    const host: MemberHost = {
      server: server.key,
      url: catalogUrl,
      fetch: network.fetch({ allowPrivate: server.allowPrivate, ca: server.ca }),
      guard: () => network.guard(catalogUrl, server.key, server.allowPrivate),
      assertion: async () =>
        this.#signerFor(server.key).catalog(credential.kind === 'assertion' ? credential.audience : ''),
    }
    return new MemberSource(host, readPublished)
  }

  /** Calls need not wait until a breaker that opened meanwhile lets one try. */
  #returned(server: string): void {
    for (const [key, breaker] of this.#breakers) if (key.startsWith(`${server} `)) breaker.success()
  }

  #found(server: string, catalog: ServerCatalog): void {
    const known = this.#catalogs.get(server)
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(catalog)) return
    this.#catalogs.set(server, catalog)
    this.#build()
  }

  #build(): void {
    const config = this.#config
    const guard = this.#guard?.guard
    if (config === undefined || guard === undefined) return
    const { endpoint: plan, servers } = config
    const catalog = merge(
      plan.members.map((member) => ({ ...member, fleet: undefined, catalog: this.#catalogs.get(member.server) })),
      plan.aggregation,
      plan.rules,
    )
    const planned = new Map(servers.map((server) => [server.key, server]))
    const breakers = new Map<string, Breaker>()
    const targets = new Map<string, Target>()
    for (const member of plan.members) {
      const server = planned.get(member.server)
      if (server === undefined || targets.has(member.server)) continue
      const era = catalog.servers.get(member.server)?.era ?? 'legacy'
      targets.set(member.server, this.#target(server, member, era, breakers))
    }
    this.#breakers = breakers
    this.#endpoint = {
      key: plan.key,
      guard,
      catalog,
      projection: new Projection(catalog, this.#host.sealer, catalog.servers.size === targets.size),
      sole: plan.members.length === 1 ? plan.members[0]?.server : undefined,
      target: (server) => {
        const target = targets.get(server)
        if (target !== undefined) return target
        throw new Fault('backend_unavailable', `Server ${server} is not available.`, { data: { server } })
      },
      targets: (server) => {
        const target = targets.get(server)
        return target === undefined ? [] : [target]
      },
    }
    this.#host.changed()
  }

  #target(server: ServerPlan, member: MemberPlan, era: Era, breakers: Map<string, Breaker>): Target {
    const { secrets, sessions, sse, now } = this.#host
    const network = this.#network?.network
    if (network === undefined) throw new TypeError('no network yet')
    const up = upstream(server, member.credential, secrets, network, this.#host.reach?.(server.key))
    const breakerKey = `${server.key} ${server.url} ${JSON.stringify(member.breaker)}`
    // Calls that fail are how a server's end is noticed that offers no stream which could break.
    const breaker = this.#breakers.get(breakerKey) ?? new Breaker(member.breaker, now, () => this.hint(server.key))
    breakers.set(breakerKey, breaker)
    const speak = (at: Era) => (one: Upstream) =>
      at === 'modern' ? new ModernBackend(one) : new LegacyBackend(one, sessions)
    const { credential } = member
    const named = namedIn(member.rules)
    const inEra = (at: Era): Backend =>
      credential.kind === 'assertion'
        ? new AssertedBackend({
            upstream: up,
            assert: async (principal) => this.#signerFor(server.key).caller(principal, credential.audience, named),
            backend: speak(at),
          })
        : speak(at)(up)
    const isSse = server.transport === 'sse'
    return {
      key: `${server.key} ${up.account}`,
      via: undefined,
      backend: isSse ? sse.backend(up) : inEra(era),
      inEra: isSse ? undefined : inEra,
      perCaller: credential.kind === 'assertion',
      breaker,
      timeoutMs: member.timeoutMs,
    }
  }

  #signerFor(server: string): AssertionSigner {
    if (this.#signer !== undefined) return this.#signer
    throw new Fault('backend_refused', `There is no key to assert callers to server ${server} with.`, {
      data: { server },
      detail: 'no signing.jwk',
    })
  }
}
