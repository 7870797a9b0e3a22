// How a cluster stands with the edge: what the index says of it, since when nobody is connected, and which of its catalogs are stored.
// Kept in the hub's storage first and told to the store afterwards, one thing after the other, so that the last word is the true one.

import type { Clock, Store } from '../../gateway/ports.ts'
import {
  catalogsOf,
  registeredCatalogKey,
  registeredCodec,
  setPresence,
  type Presence,
  type Registered,
} from '../documents/registry.ts'
import { Catalogs } from './catalogs.ts'
import { sleepOf, stateAfter, type LinkClock } from './lease.ts'
import type { Refused } from './status.ts'

export interface StandingHost {
  readonly storage: DurableObjectStorage
  readonly store: Store
  readonly clock: LinkClock
  readonly now: Clock
}

export class Standing {
  readonly catalogs: Catalogs
  readonly #host: StandingHost
  readonly #kv: SyncKvStorage
  #cluster: string | undefined
  #announcing: Promise<void> = Promise.resolve()
  #work: Promise<void> = Promise.resolve()

  constructor(host: StandingHost) {
    this.#host = host
    this.#kv = host.storage.kv
    this.catalogs = new Catalogs(host.storage.sql)
  }

  /** The cluster's id: objects do not know their own names. */
  get cluster(): string {
    // Asked with every call.
    this.#cluster ??= this.#kv.get<string>('cluster') ?? ''
    return this.#cluster
  }
  set cluster(id: string) {
    if (this.cluster === id) return
    this.#kv.put('cluster', id)
    this.#cluster = id
  }

  /** How often its hub woke up, ever. */
  get wakes(): number {
    return this.#kv.get<number>('wakes') ?? 0
  }
  woke(): void {
    this.#kv.put('wakes', this.wakes + 1)
  }

  /** Of the entry that whatever is registered was registered under. */
  get uid(): string | undefined {
    return this.#kv.get<string>('uid')
  }
  set uid(uid: string) {
    if (this.uid !== uid) this.#kv.put('uid', uid)
  }

  /** What the index says, or will; undefined: nothing is registered. */
  get presence(): Presence | undefined {
    return this.#kv.get<Presence>('presence')
  }

  /** Fingerprint of what was dropped of the last snapshot, so that it is written down once; empty: nothing was. */
  get refusals(): string {
    return this.#kv.get<string>('refusals') ?? ''
  }
  set refusals(fingerprint: string) {
    if (this.refusals !== fingerprint) this.#kv.put('refusals', fingerprint)
  }

  /** Since when nobody is connected; undefined: somebody is. */
  get lostAt(): number | undefined {
    return this.#kv.get<number>('lostAt')
  }
  set lostAt(at: number | undefined) {
    if (at === undefined) this.#kv.delete('lostAt')
    else this.#kv.put('lostAt', at)
  }

  /** The last uplink that got no link, until one gets one. */
  get refused(): Refused | undefined {
    return this.#kv.get<Refused>('refused')
  }
  set refused(refused: Refused | undefined) {
    if (refused !== undefined) this.#kv.put('refused', refused)
    else if (this.refused !== undefined) this.#kv.delete('refused')
  }

  /** What the cluster is by now, if nobody is connected. */
  get silent(): Presence['state'] | 'evicted' {
    return stateAfter(this.#silence(), this.#host.clock)
  }

  /** When something is to be looked at, if nobody is connected: a state that ends, catalogs that go. */
  due(isConnected: boolean): number {
    const now = this.#host.now()
    const garbage = Math.max(now, this.catalogs.due() ?? Number.POSITIVE_INFINITY)
    if (isConnected || this.presence === undefined) return garbage
    return Math.min(garbage, now + (sleepOf(this.#silence(), this.#host.clock) ?? 0))
  }

  /** True when that is news; `announce` tells it. */
  turn(state: Presence['state']): boolean {
    const { presence } = this
    if (presence === undefined || presence.state === state) return false
    this.#kv.put<Presence>('presence', { ...presence, state, since: this.#host.now() })
    return true
  }

  /** Something is registered under this version. Rejects when isolates could not be told. */
  async registered(version: string, virtual: Presence['virtual']): Promise<void> {
    const { presence } = this
    const since = presence?.state === 'online' ? presence.since : this.#host.now()
    this.#kv.put<Presence>('presence', { version, state: 'online', since, virtual })
    await this.announce()
  }

  /** Tells the isolates how it is by then. Rejects when the store does not answer. */
  async announce(): Promise<void> {
    this.#announcing = this.#announcing
      .catch(() => undefined)
      .then(() => setPresence(this.#host.store, this.cluster, this.presence))
    return this.#announcing
  }

  /** Everything that was registered goes: from the index at once, from the store when nobody writes there. */
  async forget(): Promise<void> {
    this.#kv.delete('presence')
    this.refusals = ''
    await this.announce()
    await this.alone(async () => {
      await this.#host.store.del(registeredCodec(this.cluster).key)
      await this.#discard(this.catalogs.all())
    })
  }

  /** Catalogs that nobody needs any more go. */
  async tidy(): Promise<void> {
    await this.alone(() => this.#discard(this.catalogs.garbage(this.#host.now())))
  }

  /** A snapshot begins, while nothing else is done with what is stored: catalogs go that `registered` does not name. */
  async clear({ items }: Registered): Promise<void> {
    await this.#discard(this.catalogs.beginning(catalogsOf(items), this.#host.now()))
  }

  /** Does something with what is stored, when nothing else does. Rejects as `work` does. */
  async alone(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => undefined)
    return done
  }

  async #discard(digests: readonly string[]): Promise<void> {
    for (const digest of digests) {
      await this.#host.store.del(registeredCatalogKey(this.cluster, digest))
      this.catalogs.forget(digest)
    }
  }

  #silence(): number {
    const now = this.#host.now()
    return now - (this.lostAt ?? now)
  }
}
