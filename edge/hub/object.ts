// One joined cluster at the edge: the links that its uplinks opened, the calls on them, and what they register. It sleeps while its
// links are idle and wakes up without memory, so whatever must last is attached to sockets, in its storage, or in the store.

import { DurableObject } from 'cloudflare:workers'
import { decodeUplink, PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { LINK_PROTOCOLS, PING, PONG, type CallTarget, type UplinkFrame } from '../../protocol/link.ts'
import { registeredCatalogKey, registeredCodec, setPresence, type Presence } from '../documents/registry.ts'
import type { Env } from '../env.ts'
import { hostFor, type EdgeHost } from '../host.ts'
import { Admission } from '../join/admission.ts'
import type { ClusterBook } from '../join/book.ts'
import { clusterBook } from '../join/host.ts'
import { Catalogs } from './catalogs.ts'
import { hubEvent, type HubEvent } from './event.ts'
import { Exchanges, faulty } from './exchange.ts'
import { CLUSTER_HEADER, DEADLINE_HEADER } from './fetch.ts'
import { idleOf, linkClock, restOf, sleepOf, stateAfter, type LinkClock } from './lease.ts'
import { CLOSED, Links, MAX_LINKS, type Link } from './links.ts'
import { Registrar } from './registrar.ts'

/** A link whose credential ends is told so long before, in milliseconds. */
const WARN_MS = 30_000
const RETRY_MS = 5_000
const NO_CONTENT = { status: 204 } as const

export class HubObject extends DurableObject<Env> {
  readonly #host: EdgeHost
  readonly #book: ClusterBook
  readonly #admission: Admission
  readonly #clock: LinkClock
  readonly #kv: SyncKvStorage
  readonly #links: Links
  readonly #exchanges: Exchanges
  readonly #catalogs: Catalogs
  #registrar: Registrar | undefined
  #announcing: Promise<void> = Promise.resolve()
  /** When the alarm rings. */
  #due = Number.POSITIVE_INFINITY

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#host = hostFor(env)
    this.#book = clusterBook(this.#host)
    this.#clock = linkClock(env.LINK_CLOCK)
    this.#kv = ctx.storage.kv
    this.#admission = new Admission({ sql: ctx.storage.sql, clusters: this.#book, now: Date.now })
    this.#catalogs = new Catalogs(ctx.storage.sql)
    this.#links = new Links(ctx)
    this.#exchanges = new Exchanges({
      send: (id, bytes) => {
        const link = this.#links.get(id)
        if (link !== undefined && !this.#links.write(link, bytes)) queueMicrotask(() => this.#lost(link))
      },
      close: (id, code, reason) => {
        const link = this.#links.get(id)
        if (link !== undefined) this.#lost(link, code, reason)
      },
      doubt: (id) => {
        const link = this.#links.get(id)
        if (link !== undefined && this.#silence(link) > this.#clock.suspect) this.#lost(link, CLOSED.silent, 'silent')
      },
    })
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG))
    this.#kv.put('wakes', (this.#kv.get<number>('wakes') ?? 0) + 1)
    for (const { attached } of this.#links.all()) {
      this.#exchanges.opened(attached.id)
      if (attached.isDraining) this.#exchanges.drain(attached.id)
    }
    // Sockets that broke while nobody looked, as in a restart, leave no trace but that they are gone.
    if (this.#links.size === 0 && this.#kv.get('lostAt') === undefined) this.#kv.put('lostAt', Date.now())
    const leader = this.#links.leader()
    if (leader !== undefined) this.#registrations().follow(leader.attached.id, leader.attached.epoch)
    void ctx.blockConcurrencyWhile(async () => {
      this.#due = (await ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY
    })
  }

  override async fetch(request: Request): Promise<Response> {
    const cluster = request.headers.get(CLUSTER_HEADER)
    if (cluster !== null && this.#kv.get('cluster') !== cluster) this.#kv.put('cluster', cluster)
    this.#stir()
    const path = request.url.slice('http://hub'.length)
    if (path.startsWith('/call/')) return this.#call(path, request)
    switch (path) {
      case '/join':
      case '/session':
      case '/connect':
        return this.#enter(path, request)
      case '/changed':
        await this.#reconsider()
        return new Response(null, NO_CONTENT)
      case '/drain':
        for (const link of this.#links.all()) this.#warn(link)
        return new Response(null, NO_CONTENT)
      case '/status':
        return Response.json(this.#status())
      default:
        return new Response(null, { status: 404 })
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const link = this.#links.of(socket)
    if (link === undefined) return
    link.heard = Date.now()
    this.#stir()
    const decoded = typeof message === 'string' ? TEXT : decodeUplink(message)
    if (decoded.kind === 'malformed') this.#lost(link, PROTOCOL_ERROR, decoded.message)
    else if (decoded.kind === 'frame') this.#hear(link, decoded.frame, decoded.payload)
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    const link = this.#links.of(socket)
    if (link !== undefined) this.#lost(link)
    try {
      socket.close(code === 1005 || code === 1006 ? 1000 : code)
    } catch {
      // The runtime has answered for us.
    }
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    const link = this.#links.of(socket)
    if (link !== undefined) this.#lost(link)
  }

  override async alarm(): Promise<void> {
    this.#due = Number.POSITIVE_INFINITY
    try {
      await this.#look()
      this.#arm()
    } catch (error) {
      console.error(JSON.stringify({ msg: 'hub_alarm_failed', error: String(error).slice(0, 300) }))
      this.#ring(Date.now() + RETRY_MS)
    }
  }

  get #cluster(): string {
    return this.#kv.get<string>('cluster') ?? ''
  }

  get #presence(): Presence | undefined {
    return this.#kv.get<Presence>('presence')
  }

  #call(path: string, request: Request): Response | Promise<Response> {
    const [namespace = '', kind = '', name = '', ...rest] = path.slice('/call/'.length).split('/')
    const target: CallTarget = { kind, namespace, name }
    if (name === '' || rest.length > 0)
      return faulty({ reason: 'unknown_target', message: 'no such path', unsent: true })
    return this.#exchanges.call(target, request, Number(request.headers.get(DEADLINE_HEADER) ?? 60_000))
  }

  async #enter(path: '/join' | '/session' | '/connect', request: Request): Promise<Response> {
    const entered = await this.#admission.enter(request)
    if (entered instanceof Response) return entered
    const { connection, expires, thumbprint, replica } = entered
    if (path === '/connect') return this.#connect(entered, request)
    const link = connection === undefined ? undefined : this.#links.get(connection)
    if (link !== undefined && link.attached.thumbprint === thumbprint && link.attached.replica === replica) {
      this.#links.note(link, { expires })
      this.#arm()
    }
    return new Response(null, NO_CONTENT)
  }

  #connect(
    admitted: { uid: string; replica: string; thumbprint: string; expires: number },
    request: Request,
  ): Response {
    const { 0: client, 1: server } = new WebSocketPair()
    const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((one) => one.trim())
    const protocol = LINK_PROTOCOLS.find((one) => offered.includes(one))
    if (protocol === undefined || this.#links.size >= MAX_LINKS) {
      server.accept()
      if (protocol === undefined)
        server.close(CLOSED.unknownProtocol, `this edge speaks ${LINK_PROTOCOLS.join(', ')}`.slice(0, 120))
      else server.close(CLOSED.tooMany, `this cluster has ${MAX_LINKS} links already`)
      const [first = ''] = offered
      return new Response(null, {
        status: 101,
        webSocket: client,
        headers: first === '' ? {} : { 'sec-websocket-protocol': first },
      })
    }
    const now = Date.now()
    const { uid, replica, thumbprint, expires } = admitted
    const older = this.#links.all().filter(({ attached }) => attached.replica === replica)
    const link = this.#links.accept(server, { uid, replica, thumbprint, expires }, now)
    this.#kv.delete('lostAt')
    this.#exchanges.opened(link.attached.id)
    this.#links.send(link, { kind: 'welcome', connection: link.attached.id, serverTime: now })
    // A replica that comes again has lost its link, or leaves it once its calls have ended.
    for (const old of older) {
      this.#exchanges.drain(old.attached.id)
      this.#links.note(old, { isDraining: true })
    }
    this.#turn('online')
    this.#audit('connected', 'success', { replica, connection: link.attached.id })
    this.#arm()
    return new Response(null, { status: 101, webSocket: client, headers: { 'sec-websocket-protocol': protocol } })
  }

  #hear(link: Link, frame: UplinkFrame, payload: Uint8Array): void {
    switch (frame.kind) {
      case 'ack':
      case 'head':
      case 'data':
      case 'credit':
      case 'fault':
        this.#exchanges.frame(link.attached.id, frame, payload)
        return
      case 'goaway':
        this.#links.note(link, { isDraining: true })
        this.#exchanges.frame(link.attached.id, frame, payload)
        return
      case 'hello':
        this.#links.note(link, { version: frame.version.slice(0, 64), claims: frame.isLeader })
        if (frame.isLeader) this.#lead(link)
        return
      case 'leading':
        this.#links.note(link, { claims: frame.isLeader, ...(!frame.isLeader && { epoch: 0 }) })
        if (frame.isLeader) this.#lead(link)
        else this.#inherit()
        return
      case 'snapshot':
      case 'body':
        if (link.attached.epoch === this.#links.epoch && frame.epoch === this.#links.epoch && frame.epoch > 0)
          this.#registrations().frame(frame, payload)
        else if (link.attached.epoch === 0) this.#links.send(link, { kind: 'fenced', epoch: this.#links.epoch })
        return
    }
  }

  #lead(link: Link): void {
    const epoch = this.#links.lead(link)
    this.#registrations().follow(link.attached.id, epoch)
    this.#audit('leading', 'success', { replica: link.attached.replica, connection: link.attached.id, epoch })
  }

  /** Nobody leads any more, but somebody else may say that it does. */
  #inherit(): void {
    if (this.#links.leader() !== undefined) return
    const heir = this.#links.heir()
    if (heir === undefined) this.#registrations().follow(undefined, 0)
    else this.#lead(heir)
  }

  /** A link is gone, or, with a code, is to go. */
  #lost(link: Link, code?: number, reason?: string): void {
    const { id, replica } = link.attached
    if (this.#links.get(id) !== link) return
    const seen = this.#links.lastSeen(link)
    this.#links.drop(link, code, reason)
    this.#exchanges.closed(id)
    if (this.#links.size === 0) this.#kv.put('lostAt', code === CLOSED.silent ? seen : Date.now())
    this.#inherit()
    this.#audit('disconnected', code === undefined ? 'success' : 'failure', {
      replica,
      connection: id,
      ...(code !== undefined && { code, reason: reason ?? '' }),
    })
    this.#arm()
  }

  #silence(link: Link): number {
    return Date.now() - this.#links.lastSeen(link)
  }

  /** No new calls on this link, once its replica has another. */
  #warn(link: Link): void {
    if (link.attached.isDraining) return
    this.#links.note(link, { isDraining: true })
    this.#links.send(link, { kind: 'goaway', retryAfterMs: 0 })
  }

  /** The entry changed: what may be published is judged anew, or nothing is any more. */
  async #reconsider(): Promise<void> {
    const entry = await this.#book.find(this.#cluster, 0)
    if (entry === undefined || entry.revokedAt !== undefined) return this.#revoke()
    for (const link of this.#links.all())
      if (link.attached.uid !== entry.uid) this.#lost(link, CLOSED.revoked, 'the cluster was added anew')
    const leader = this.#links.leader()
    if (leader !== undefined) this.#lead(leader)
  }

  async #revoke(): Promise<void> {
    const hadLinks = this.#links.size > 0
    for (const link of this.#links.all()) this.#lost(link, CLOSED.revoked, 'the cluster is not admitted any more')
    if (hadLinks || this.#presence !== undefined) this.#audit('revoked', 'success', {})
    await this.#forget()
  }

  /** Everything that was registered goes. */
  async #forget(): Promise<void> {
    this.#registrations().follow(undefined, 0)
    this.#kv.delete('presence')
    await this.#announce()
    const cluster = this.#cluster
    await this.#registrations().alone(async () => {
      await this.#host.store.del(registeredCodec(cluster).key)
      await this.#discard(this.#catalogs.garbage(Date.now(), true))
    })
  }

  async #discard(digests: readonly string[]): Promise<void> {
    for (const digest of digests) {
      await this.#host.store.del(registeredCatalogKey(this.#cluster, digest))
      this.#catalogs.forget(digest)
    }
  }

  /** What the alarm is for: silence, credentials that end, entries that are gone, catalogs that nobody needs. */
  async #look(): Promise<void> {
    const now = Date.now()
    for (const link of this.#links.all()) {
      const { expires, isDraining } = link.attached
      if (this.#silence(link) >= this.#clock.offline) this.#lost(link, CLOSED.silent, 'nothing was heard for too long')
      else if (expires <= now) this.#lost(link, CLOSED.credentialEnded, 'the session credential has ended')
      else if (expires - WARN_MS <= now && !isDraining) this.#warn(link)
    }
    const presence = this.#presence
    if (this.#links.size === 0 && presence === undefined) return
    const entry = await this.#book.find(this.#cluster, 0)
    if (entry === undefined || entry.revokedAt !== undefined) return this.#revoke()
    if (this.#links.size === 0) {
      const state = stateAfter(now - (this.#kv.get<number>('lostAt') ?? now), this.#clock)
      if (state === 'evicted') {
        this.#audit('evicted', 'success', {})
        return this.#forget()
      }
      this.#turn(state)
    }
    await this.#announce()
    await this.#registrations().alone(() => this.#discard(this.#catalogs.garbage(now)))
  }

  /** The index says so, if it says anything of this cluster. */
  #turn(state: Presence['state']): void {
    const presence = this.#presence
    if (presence === undefined || presence.state === state) return
    this.#kv.put<Presence>('presence', { ...presence, state, since: Date.now() })
    if (state !== 'online') this.#audit(state, 'success', {})
    this.ctx.waitUntil(this.#announce().catch(() => this.#ring(Date.now() + RETRY_MS)))
  }

  /** Tells the isolates, one after the other, how it is by then. Rejects when the store does not answer. */
  #announce(): Promise<void> {
    this.#announcing = this.#announcing
      .catch(() => undefined)
      .then(() => setPresence(this.#host.store, this.#cluster, this.#presence))
    return this.#announcing
  }

  #registrations(): Registrar {
    this.#registrar ??= new Registrar({
      store: this.#host.store,
      now: Date.now,
      entry: () => this.#book.find(this.#cluster, 0),
      send: (id, frame) => {
        const link = this.#links.get(id)
        if (link !== undefined) this.#links.send(link, frame)
      },
      refuse: (id, why) => {
        const link = this.#links.get(id)
        if (link !== undefined) this.#lost(link, PROTOCOL_ERROR, why)
      },
      storing: (digest) => this.#catalogs.storing(digest, Date.now()),
      needs: (digests) => this.#catalogs.needs(digests, Date.now()),
      registered: async (version, virtual) => {
        const before = this.#presence
        const since = before?.state === 'online' ? before.since : Date.now()
        this.#kv.put<Presence>('presence', { version, state: 'online', since, virtual })
        await this.#announce()
        this.#arm()
      },
      changed: ({ epoch, seq, items }, dropped) => {
        const [first] = dropped
        this.#audit('registered', dropped.length === 0 ? 'success' : 'denied', {
          epoch,
          seq,
          items: items.length,
          dropped: dropped.length,
          ...(first !== undefined && { first: `${first.key}: ${first.reason}` }),
        })
      },
    })
    return this.#registrar
  }

  #audit(action: HubEvent['action'], outcome: HubEvent['outcome'], extra: HubEvent['extra']): void {
    const now = Date.now()
    this.#host.trail.write(hubEvent({ cluster: this.#cluster, action, outcome, extra }, now), (work) =>
      this.ctx.waitUntil(work),
    )
  }

  /** Something happened: while things happen, and a good while after, no alarm wakes anybody up for nothing. */
  #stir(): void {
    if (this.#due - Date.now() < idleOf(this.#clock) && this.#links.size > 0) this.#arm()
  }

  #arm(): void {
    const now = Date.now()
    const times = this.#links
      .all()
      .map(({ attached: { expires, isDraining } }) => (isDraining ? expires : Math.max(now, expires - WARN_MS)))
    if (this.#links.size > 0) times.push(now + restOf(this.#clock))
    else if (this.#presence !== undefined)
      times.push(now + (sleepOf(now - (this.#kv.get<number>('lostAt') ?? now), this.#clock) ?? 0))
    const garbage = this.#catalogs.due()
    if (garbage !== undefined) times.push(Math.max(now, garbage))
    const next = Math.min(...times)
    if (Number.isFinite(next)) this.#ring(next)
  }

  #ring(at: number): void {
    this.#due = at
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at))
  }

  #status(): HubStatus {
    const now = Date.now()
    const presence = this.#presence
    return {
      cluster: this.#cluster,
      wakes: this.#kv.get<number>('wakes') ?? 0,
      state: presence?.state ?? 'unregistered',
      since: presence?.since,
      version: presence?.version,
      epoch: this.#links.epoch,
      lostAt: this.#links.size === 0 ? this.#kv.get<number>('lostAt') : undefined,
      calls: this.#exchanges.count(),
      tally: this.#exchanges.tally,
      connections: this.#links.all().map((link) => {
        const { attached } = link
        const silence = this.#silence(link)
        return {
          connection: attached.id,
          replica: attached.replica,
          version: attached.version,
          isLeader: attached.epoch > 0,
          isDraining: attached.isDraining,
          isSuspect: silence > this.#clock.suspect,
          since: attached.since,
          expires: attached.expires,
          lastSeen: now - silence,
          latencyMs: this.#exchanges.latency(attached.id),
          calls: this.#exchanges.count(attached.id),
        }
      }),
    }
  }
}

const TEXT = { kind: 'malformed', message: 'a text message that is no ping' } as const

/** What `/status` tells; times in milliseconds since the epoch. */
export interface HubStatus {
  readonly cluster: string
  /** How often it woke up, ever. */
  readonly wakes: number
  readonly state: Presence['state'] | 'unregistered'
  readonly since: number | undefined
  /** Of what is registered. */
  readonly version: string | undefined
  readonly epoch: number
  readonly lostAt: number | undefined
  readonly calls: number
  /** Since it woke up. */
  readonly tally: { readonly calls: number; readonly faults: Readonly<Partial<Record<string, number>>> }
  readonly connections: readonly {
    readonly connection: string
    readonly replica: string
    readonly version: string
    readonly isLeader: boolean
    readonly isDraining: boolean
    readonly isSuspect: boolean
    readonly since: number
    readonly expires: number
    readonly lastSeen: number
    readonly latencyMs: number | undefined
    readonly calls: number
  }[]
}
