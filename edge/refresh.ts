// Keeps catalogs fresh: asks every server again when its catalog has aged, when it says that it changed, or when somebody
// pokes. Runs in a few Durable Objects, each with its share of the servers, woken by alarms; no request waits for it.

import { DurableObject } from 'cloudflare:workers'
import { connect, type Peer } from '../gateway/backend/connect.ts'
import { drain } from '../gateway/backend/drain.ts'
import { heed, tellsChanges } from '../gateway/backend/news.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import type { ServerCatalog } from '../gateway/catalog/server.ts'
import { orAborted } from '../gateway/wait.ts'
import { Fault } from '../protocol/fault.ts'
import { announce, prune, publish, readHealth, recordHealth, type Digest } from './catalogs.ts'
import type { Env } from './env.ts'
import { hostFor } from './host.ts'
import type { ServerPlan } from '../plan/server.ts'
import type { State } from './state.ts'
import { upstream } from './upstream.ts'

const SHARDS = 4
const WIDTH = 6
const DEADLINE_MS = 20_000
const FIRST_RETRY_MS = 5_000
const LAST_RETRY_MS = 300_000
const MAX_WATCHED = 64
/** A server that keeps saying that it changed is believed after this, then after twice that, and so on. */
const MIN_GAP_MS = 500
const MAX_GAP_MS = 60_000
const MIN_WAIT_MS = 250
/** An object that comes back to life listens again to those that tell of changes within this time. */
const AGAIN_MS = 3_000
/** Calls that fail hint as well: trouble must not make the news after it wait. */
const MAX_GAP_IN_TROUBLE_MS = 4_000
/** Fetched catalogs become visible together, at most this late. */
const ANNOUNCE_MS = 300

/** Wakes whoever refreshes: these servers now, or whatever is new when none is named. */
export async function poke(env: Env, server?: string): Promise<void> {
  const shards = server === undefined ? Array.from({ length: SHARDS }, (_, shard) => shard) : [shardOf(server)]
  await Promise.all(
    shards.map(async (shard) => {
      const stub = env.REFRESH.get(env.REFRESH.idFromName(String(shard)))
      const query = server === undefined ? '' : `&server=${encodeURIComponent(server)}`
      const response = await stub.fetch(`http://refresh/?shard=${shard}${query}`, { method: 'POST' })
      await response.body?.cancel()
    }),
  )
}

const shardOf = (server: string): number => Number.parseInt(fingerprint(server).slice(0, 4), 16) % SHARDS

interface Schedule {
  readonly source: string
  /** When it is asked next, milliseconds since the epoch. */
  next: number
  askedAt: number
  failures: number
  /** How soon after being asked it may be asked again because it says so: doubles while it keeps saying so. */
  gapMs: number
  /** It said so since it was asked. */
  changed: boolean
}

export class RefreshObject extends DurableObject<Env> {
  readonly #state: State
  readonly #env: Env
  readonly #storage: DurableObjectStorage
  readonly #vaultKeys
  readonly #store
  readonly #schedule = new Map<string, Schedule>()
  readonly #watched = new Map<string, AbortController>()
  /** Servers that said something before they were taken up. */
  readonly #hinted = new Set<string>()
  #news = new Map<string, Digest>()
  #announcedAt = 0
  #running = false
  #again = false

  constructor(state: DurableObjectState, env: Env) {
    super(state, env)
    const host = hostFor(env)
    this.#env = env
    this.#state = host.newState()
    this.#store = host.store
    this.#vaultKeys = host.vaultKeys
    this.#storage = state.storage
  }

  override async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    await this.#storage.put('shard', Number(searchParams.get('shard')))
    const server = searchParams.get('server')
    if (server === null) this.ctx.waitUntil(this.#run())
    else await this.#hint(server)
    return new Response(null, { status: 202 })
  }

  override async alarm(): Promise<void> {
    await this.#run()
  }

  /** One round over what is due; rounds never overlap, and a wish for another one is not lost. */
  async #run(): Promise<void> {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = true
    try {
      do {
        this.#again = false
        await this.#round()
      } while (this.#again)
    } finally {
      this.#running = false
      await this.#arm()
    }
  }

  /** The alarm rings when the next server is due, never later than it would have. */
  async #arm(): Promise<void> {
    const next = Math.max(Math.min(...[...this.#schedule.values()].map((one) => one.next)), Date.now() + MIN_WAIT_MS)
    if (!Number.isFinite(next)) return
    const current = await this.#storage.getAlarm()
    if (current === null || next < current || current < Date.now()) await this.#storage.setAlarm(next)
  }

  /** Somebody says that the server's catalog changed: it is asked soon, but not for ever sooner than others. */
  async #hint(server: string): Promise<void> {
    const schedule = this.#schedule.get(server)
    if (schedule === undefined) {
      // An object that has just come to life knows nobody yet.
      this.#hinted.add(server)
      this.ctx.waitUntil(this.#run())
      return
    }
    schedule.changed = true
    schedule.next = Math.min(schedule.next, Math.max(Date.now(), schedule.askedAt + schedule.gapMs))
    await this.#arm()
  }

  async #round(): Promise<void> {
    try {
      await this.#state.reload()
    } catch {
      await this.#storage.setAlarm(Date.now() + FIRST_RETRY_MS)
      return
    }
    const shard = (await this.#storage.get<number>('shard')) ?? 0
    const { servers } = this.#state.plan
    const mine = [...servers.values()].filter((server) => shardOf(server.key) === shard)
    await this.#adopt(mine)
    this.#hinted.clear()
    const due = mine.filter((server) => (this.#schedule.get(server.key)?.next ?? 0) <= Date.now())
    const queue = [...due]
    const worker = async () => {
      for (let server = queue.shift(); server !== undefined; server = queue.shift()) {
        await this.#refresh(server)
        if (Date.now() - this.#announcedAt > ANNOUNCE_MS) await this.#announce()
      }
    }
    await Promise.all(Array.from({ length: WIDTH }, worker))
    await this.#announce()
    if (shard === 0) await prune(this.#store, this.#state.catalogs, new Set(servers.keys())).catch(() => undefined)
  }

  async #announce(): Promise<void> {
    const news = this.#news
    if (news.size === 0) return
    this.#news = new Map()
    this.#announcedAt = Date.now()
    try {
      await announce(this.#store, news)
    } catch {
      for (const [server, digest] of news) if (!this.#news.has(server)) this.#news.set(server, digest)
    }
  }

  /** Takes up servers that are new or moved, lets go of those that are gone; what another process asked lately can wait. */
  async #adopt(mine: readonly ServerPlan[]): Promise<void> {
    const keys = new Set(mine.map((server) => server.key))
    for (const key of this.#schedule.keys()) if (!keys.has(key)) this.#release(key)
    const fresh = mine.filter((server) => this.#schedule.get(server.key)?.source !== server.source)
    if (fresh.length === 0) return
    const health = await readHealth(
      this.#store,
      fresh.map((server) => server.key),
    ).catch(() => undefined)
    for (const server of fresh) {
      this.#release(server.key)
      const asked = this.#state.catalogs.get(server.key)?.source === server.source
      const { next: planned = 0, tells } = (asked ? health?.get(server.key) : undefined) ?? {}
      const told = this.#hinted.has(server.key)
      // A server that tells of changes is listened to again, soon but not by all that restart at once.
      const next = told ? 0 : tells === true ? Math.min(planned, Date.now() + Math.random() * AGAIN_MS) : planned
      this.#schedule.set(server.key, {
        source: server.source,
        next,
        askedAt: 0,
        failures: 0,
        gapMs: MIN_GAP_MS,
        changed: false,
      })
    }
  }

  #release(key: string): void {
    this.#schedule.delete(key)
    this.#watched.get(key)?.abort()
    this.#watched.delete(key)
  }

  async #refresh(server: ServerPlan): Promise<void> {
    const schedule = this.#schedule.get(server.key)
    if (schedule === undefined) return
    schedule.askedAt = Date.now()
    schedule.gapMs = schedule.changed ? Math.min(MAX_GAP_MS, schedule.gapMs * 2) : MIN_GAP_MS
    schedule.changed = false
    const up = upstream(server, server.credential, { secrets: this.#state.secrets, keys: this.#vaultKeys }, this.#env)
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(tooSlow(server.key)), DEADLINE_MS)
    try {
      const peer = await orAborted(connect(up, stop.signal), stop.signal)
      const catalog = await orAborted(drain(peer, stop.signal), stop.signal)
      const digest = await publish(
        this.#store,
        server.key,
        catalog,
        schedule.source,
        this.#state.catalogs.get(server.key),
      )
      if (digest !== undefined) this.#news.set(server.key, digest)
      schedule.failures = 0
      schedule.next = Date.now() + catalog.ttlMs
      await recordHealth(this.#store, server.key, {
        state: 'ok',
        era: catalog.era,
        revision: catalog.revision,
        tools: catalog.sections.tools.length,
        tells: tellsChanges(catalog),
        ...(catalog.problems[0] !== undefined && { message: describe(catalog) }),
        at: Date.now(),
        next: schedule.next,
      })
      this.#watch(server.key, peer, catalog)
    } catch (error) {
      const fault = stop.signal.aborted ? tooSlow(server.key) : error
      schedule.failures += 1
      schedule.gapMs = Math.min(schedule.gapMs, MAX_GAP_IN_TROUBLE_MS)
      schedule.next = Date.now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(schedule.failures - 1, 10))
      const message = fault instanceof Fault ? fault.message : 'The catalog cannot be fetched.'
      const health = { state: 'failed' as const, message, at: Date.now(), next: schedule.next }
      await recordHealth(this.#store, server.key, health).catch(() => undefined)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Listens for `list_changed` where the server offers it; otherwise says goodbye. */
  #watch(key: string, peer: Peer, catalog: ServerCatalog): void {
    if (!tellsChanges(catalog) || this.#watched.has(key) || this.#watched.size >= MAX_WATCHED) {
      this.ctx.waitUntil(peer.close(AbortSignal.timeout(FIRST_RETRY_MS)))
      return
    }
    const stop = new AbortController()
    this.#watched.set(key, stop)
    const follow = async () => {
      const listened = await heed(peer, stop.signal, () => this.#hint(key))
      try {
        if (this.#watched.get(key) === stop) {
          this.#watched.delete(key)
          // Whatever it would have said is found by asking, and that opens the next one.
          if (listened) await this.#hint(key)
        }
      } finally {
        await peer.close(AbortSignal.timeout(FIRST_RETRY_MS))
      }
    }
    this.ctx.waitUntil(follow())
  }
}

function describe({ problems }: ServerCatalog): string {
  const [first] = problems
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : ''
  return first === undefined ? '' : `${first.section} ${first.item} ${first.message}${more}`
}

function tooSlow(server: string): Fault {
  return new Fault('backend_timeout', `Server ${server} did not list its catalog within ${DEADLINE_MS / 1000} s.`, {
    data: { server },
  })
}
