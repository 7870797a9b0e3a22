// Takes what the leading uplink publishes: snapshot, the bodies it lacks, a few at a time, then all of it at once into the store. One thing
// after the other; whatever belongs to an older epoch is passed over. Nothing is written while nothing changed.

import { Lru } from '../../gateway/lru.ts'
import type { Clock, Store } from '../../gateway/ports.ts'
import { sha256 } from '../../gateway/sha256.ts'
import type { Dropped, EdgeFrame, UplinkFrame } from '../../protocol/link.ts'
import { itemKey, MAX_BODY, MAX_SNAPSHOT, type SnapshotItem } from '../../protocol/snapshot.ts'
import { isServer, serverKey } from '../../plan/members.ts'
import type { Cluster } from '../documents/clusters.ts'
import { changeDocument, readDocument } from '../documents/document.ts'
import {
  catalogBody,
  catalogsOf,
  registeredCatalogKey,
  registeredCodec,
  registryCodec,
  type Registered,
  type RegisteredItem,
} from '../documents/registry.ts'
import { resourceCodec } from '../documents/resources.ts'
import { Arriving } from './arriving.ts'
import { openBody, type Opened } from './body.ts'
import {
  decideSnapshot,
  MAX_CATALOGS,
  MAX_MANIFESTS,
  readSnapshot,
  settle,
  told,
  virtualOf,
  type Judged,
  type ReadBody,
  type Refused,
} from './decide.ts'
import { Pace } from './pace.ts'
import type { Standing } from './standing.ts'

/** Bodies that are asked for together: few while they are large, for they are held until they are read. */
const MAX_BATCH = 32
const FIRST_BATCH = 8
const BATCH_BYTES = 4 * 1024 * 1024
/** Bytes of bodies that may wait to be read: what comes beyond is asked for again. */
const MAX_HELD = 32 * 1024 * 1024
/** Bodies that cannot be read, by digest, so that they are not asked for again and again. */
const MAX_REFUSED = 4096
/** Every snapshot may make all isolates plan anew: so many at once, then one in so many milliseconds. */
const BURST = 20
const EVERY_MS = 3_000
/** Snapshots of one connection that may wait for the store. */
const MAX_WAITING = 2
const TRIES = 5
const FIRST_PAUSE_MS = 500

export interface RegistrarHost {
  readonly store: Store
  readonly standing: Standing
  readonly now: Clock
  /** As it is now. */
  entry(): Promise<Cluster | undefined>
  /** To the connection that published. */
  send(connection: string, frame: EdgeFrame): void
  /** Its frames make no sense. */
  refuse(connection: string, why: string): void
  /** Everything is registered, or was; `isNews`: something of it is, or of what was dropped. */
  done(registered: Registered, dropped: readonly Dropped[], isNews: boolean): void
}

/** A snapshot under way. */
interface Round {
  readonly connection: string
  readonly epoch: number
  readonly seq: number
  readonly judged: Judged
  readonly before: Registered
  readonly cluster: Cluster
  readonly bodies: Map<string, ReadBody>
  /** Bodies still to be asked for; those that are on their way, by digest; and how many wait to be read. */
  readonly waiting: SnapshotItem[]
  readonly asked: Map<string, SnapshotItem>
  unread: number
  /** Bytes of those. */
  held: number
  largest: number
  /** Characters of the manifests that have been read. */
  manifests: number
  /** And of the catalogs. */
  catalogs: number
}

export class Registrar {
  readonly #host: RegistrarHost
  readonly #refused = new Lru<string, Refused>(MAX_REFUSED)
  readonly #pace = new Pace(BURST, EVERY_MS)
  #connection = ''
  #epoch = 0
  #arriving: Arriving | undefined
  #round: Round | undefined
  #snapshots = 0

  constructor(host: RegistrarHost) {
    this.#host = host
  }

  /** From now on this connection publishes; undefined: nobody. What was under way is let go of. */
  follow(connection: string | undefined, epoch: number): void {
    this.#connection = connection ?? ''
    this.#epoch = epoch
    this.#arriving = undefined
    this.#round = undefined
  }

  /** A frame of the connection that publishes, under its epoch. */
  frame(frame: Extract<UplinkFrame, { kind: 'snapshot' | 'body' }>, payload: Uint8Array): void {
    const label = frame.kind === 'snapshot' ? `snapshot ${frame.seq}` : `body ${frame.digest}`
    const arriving = this.#arriving ?? new Arriving(label)
    this.#arriving = arriving
    if (arriving.label !== label) return this.#host.refuse(this.#connection, 'two texts at once')
    if (arriving.size + payload.length > (frame.kind === 'snapshot' ? MAX_SNAPSHOT : MAX_BODY))
      return this.#host.refuse(this.#connection, `the ${frame.kind} is too large`)
    arriving.put(payload)
    if (!frame.last) return
    this.#arriving = undefined
    if (frame.kind === 'body') return this.#arrived(frame.digest, arriving)
    if (this.#snapshots >= MAX_WAITING) return this.#host.refuse(this.#connection, 'too many snapshots at once')
    this.#snapshots += 1
    const round = { connection: this.#connection, epoch: this.#epoch, seq: frame.seq }
    void this.#begin(round, arriving.bytes).finally(() => {
      this.#snapshots -= 1
    })
  }

  /** A cluster that changes all the time waits, and everybody else plans in peace. */
  async #begin(round: Pick<Round, 'connection' | 'epoch' | 'seq'>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const waitMs = this.#pace.wait(this.#host.now())
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    await this.#next(round.epoch, () => this.#snapshot(round, bytes))
  }

  /** One thing after the other, as long as the same connection publishes. If the store stays away, the uplink begins anew some time. */
  #next(epoch: number, work: () => Promise<void>): Promise<void> {
    return this.#host.standing.alone(async () => {
      for (let attempt = 1; epoch === this.#epoch; attempt += 1) {
        try {
          await work()
          return
        } catch (error) {
          console.error(JSON.stringify({ msg: 'registration_failed', attempt, error: String(error).slice(0, 300) }))
          if (attempt >= TRIES) return
          await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (attempt - 1)))
        }
      }
    })
  }

  async #snapshot(begun: Pick<Round, 'connection' | 'epoch' | 'seq'>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const read = readSnapshot(new TextDecoder().decode(bytes))
    if (typeof read === 'string') return this.#host.refuse(begun.connection, read)
    const cluster = await this.#host.entry()
    if (cluster === undefined) return
    const { value: before } = await readDocument(this.#host.store, registeredCodec(cluster.id))
    const judged = decideSnapshot(cluster, read.items, before, this.#refused)
    const round: Round = {
      ...begun,
      judged: { ...judged, dropped: [...read.dropped, ...judged.dropped] },
      before,
      cluster,
      bodies: new Map(),
      waiting: [...judged.wanted],
      asked: new Map(),
      unread: 0,
      held: 0,
      largest: BATCH_BYTES / FIRST_BATCH,
      manifests: 0,
      catalogs: 0,
    }
    await this.#host.standing.clear(before)
    if (round.epoch !== this.#epoch) return
    this.#round = round
    this.#ask(round)
  }

  /** The next bodies; when there are none any more, all is registered. */
  #ask(round: Round): void {
    if (round.waiting.length === 0) {
      void this.#next(round.epoch, () => this.#finish(round))
      return
    }
    const size = Math.min(MAX_BATCH, Math.max(1, Math.floor(BATCH_BYTES / round.largest)))
    for (const item of round.waiting.splice(0, size)) round.asked.set(item.digest, item)
    this.#host.send(round.connection, { kind: 'want', seq: round.seq, digests: [...round.asked.keys()] })
  }

  /** A whole body; one that nobody asked for, or not any more, is let go of at once. */
  #arrived(digest: string, arriving: Arriving): void {
    const round = this.#round
    const item = round?.asked.get(digest)
    if (round === undefined || item === undefined) return
    round.asked.delete(digest)
    round.largest = Math.max(round.largest, arriving.size)
    if (round.unread > 0 && round.held + arriving.size > MAX_HELD) {
      round.waiting.push(item)
      return
    }
    round.unread += 1
    round.held += arriving.size
    void this.#next(round.epoch, () => this.#body(round, item, arriving.bytes))
  }

  async #body(round: Round, item: SnapshotItem, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const opened = await openBody(item, bytes)
    if (opened.ok) {
      const manifest = JSON.stringify(opened.resource).length
      const text = opened.catalog === undefined ? undefined : JSON.stringify(opened.catalog)
      const fits = round.manifests + manifest <= MAX_MANIFESTS && round.catalogs + (text?.length ?? 0) <= MAX_CATALOGS
      round.bodies.set(item.digest, fits ? await this.#keep(round.cluster.id, opened, text) : TOO_MANY)
      if (fits) round.manifests += manifest
      if (fits) round.catalogs += text?.length ?? 0
    } else {
      this.#refused.set(item.digest, opened)
      round.bodies.set(item.digest, opened)
    }
    round.unread -= 1
    round.held -= bytes.length
    if (round.asked.size === 0 && round.unread === 0) this.#ask(round)
  }

  /** Stores the catalog, if there is one; `text` is its JSON. */
  async #keep(
    cluster: string,
    { resource, catalog }: Extract<Opened, { ok: true }>,
    text: string | undefined,
  ): Promise<ReadBody> {
    if (catalog === undefined || text === undefined) return { ok: true, resource, catalog: undefined }
    const digest = (await sha256(text)).slice(0, 32)
    const { standing, store } = this.#host
    if (standing.catalogs.storing(digest))
      await store.set(registeredCatalogKey(cluster, digest), catalogBody(digest, catalog))
    return { ok: true, resource, catalog: digest, size: text.length }
  }

  async #finish(round: Round): Promise<void> {
    const { store, standing, now } = this.#host
    const { before, judged, bodies, cluster, seq, epoch, connection } = round
    const registry = await readDocument(store, registryCodec)
    const own = await readDocument(store, resourceCodec)
    const named = [...own.value.resources.values()].filter((one) => one.kind === 'VirtualMCPServer' || isServer(one))
    const around = { registry: registry.value, taken: new Set(named.map(serverKey)), now: now() }
    const { items, dropped } = settle(cluster.id, judged, before, bodies, around)
    const next: Registered = { epoch, seq, items }
    const isChanged = JSON.stringify(items) !== JSON.stringify(before.items)
    const version = await versionOf(items)
    const refusals = await refusalsOf(dropped)
    if (epoch !== this.#epoch) return
    if (isChanged) await changeDocument(store, registeredCodec(cluster.id), () => ({ next, result: undefined }))
    // Whoever was fenced or revoked meanwhile has registered nothing.
    if (epoch !== this.#epoch) return
    standing.catalogs.needs(catalogsOf(items), now())
    await standing.registered(version, virtualOf(items))
    if (this.#round === round) this.#round = undefined
    this.#host.send(connection, { kind: 'registered', seq, dropped: told(dropped) })
    const isRefused = refusals !== standing.refusals
    standing.refusals = refusals
    this.#host.done(next, dropped, isChanged || isRefused)
  }
}

async function versionOf(items: readonly RegisteredItem[]): Promise<string> {
  const told = items.map((item) => [itemKey(item), item.uid, item.digest, item.registeredAt, item.catalog])
  return (await sha256(JSON.stringify(told))).slice(0, 32)
}

/** Tells whether the same was dropped before; empty when nothing was. */
async function refusalsOf(dropped: readonly Dropped[]): Promise<string> {
  if (dropped.length === 0) return ''
  return (await sha256(JSON.stringify(dropped.map(({ key, reason }) => [key, reason])))).slice(0, 32)
}

const TOO_MANY: ReadBody = {
  ok: false,
  reason: 'too_large',
  message: "does not fit beside this cluster's other manifests and catalogs",
}
