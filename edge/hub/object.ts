// One joined cluster at the edge: the links that its uplinks opened, the calls on them, and what they register. It sleeps while its
// links are idle and wakes up without memory, so whatever must last is attached to sockets, in its storage, or in the store.

import { DurableObject } from 'cloudflare:workers'
import { decodeUplink, PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { PING, PONG, type UplinkFrame } from '../../protocol/link.ts'
import type { Env } from '../env.ts'
import { hostFor, type EdgeHost } from '../host.ts'
import { Admission, type Knock } from '../join/admission.ts'
import type { ClusterBook } from '../join/book.ts'
import { clusterBook } from '../join/host.ts'
import { Refusal } from '../join/refusal.ts'
import { Alarm } from './alarm.ts'
import { hubEvent, type HubEvent } from './event.ts'
import { Exchanges } from './exchange.ts'
import { faulty } from './fault.ts'
import { CLUSTER_HEADER, DEADLINE_HEADER } from './fetch.ts'
import { idleOf, linkClock, type LinkClock } from './lease.ts'
import { CLOSED, Links, WARN_MS, type Link } from './links.ts'
import { Publishing } from './publishing.ts'
import { Standing } from './standing.ts'
import { statusOf, type HubStatus } from './status.ts'
import { upgrade } from './upgrade.ts'

/** When the store does not answer. */
const RETRY_MS = 5_000
const DEADLINE_MS = 60_000
/** How often calls ask whether their links are still there, at most. */
const SIFT_MS = 1_000
const NO_CONTENT = { status: 204 } as const
const TEXT = { kind: 'malformed', message: 'a text message that is no ping' } as const

export class HubObject extends DurableObject<Env> {
  readonly #host: EdgeHost
  readonly #book: ClusterBook
  readonly #admission: Admission
  readonly #clock: LinkClock
  readonly #standing: Standing
  readonly #links: Links
  readonly #exchanges: Exchanges
  readonly #publishing: Publishing
  readonly #alarm: Alarm
  #siftedAt = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const { storage } = ctx
    const now = Date.now
    this.#host = hostFor(env)
    const { store } = this.#host
    this.#book = clusterBook(this.#host)
    this.#clock = linkClock(env.LINK_CLOCK)
    this.#admission = new Admission({ sql: storage.sql, clusters: this.#book, now })
    this.#standing = new Standing({ storage, store, clock: this.#clock, now })
    this.#links = new Links({
      sockets: ctx.getWebSockets(),
      pinged: (socket) => ctx.getWebSocketAutoResponseTimestamp(socket as WebSocket)?.getTime(),
      epoch: storage.kv.get<number>('epoch') ?? 0,
      keep: (epoch) => storage.kv.put('epoch', epoch),
    })
    this.#exchanges = new Exchanges({
      send: (id, bytes) => this.#links.write(id, bytes),
      close: (id, code, reason) => this.#lost(this.#links.get(id), code, reason),
      doubt: (id) => this.#doubt(this.#links.get(id)),
    })
    this.#publishing = new Publishing({
      store,
      standing: this.#standing,
      links: this.#links,
      now,
      entry: () => this.#book.find(this.#standing.cluster, 0),
      refuse: (link, code, why) => this.#lost(link, code, why),
      audit: (action, outcome, extra) => this.#audit(action, outcome, extra),
      registered: () => this.#alarm.set(),
    })
    this.#alarm = new Alarm(
      ctx,
      () => Math.min(this.#standing.due(this.#links.size > 0), this.#links.due(this.#clock, now())),
      idleOf(this.#clock),
    )
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG))
    this.#standing.woke()
    for (const link of this.#links.all()) {
      const { id, isDraining } = link.attached
      // Calls of a memory that was lost would wait at the uplink for ever.
      this.#links.send(link, { kind: 'welcome', connection: id, serverTime: now() })
      this.#exchanges.opened(id)
      if (isDraining) this.#exchanges.drain(id)
    }
    // Sockets that broke while nobody looked, as in a restart, leave no trace but that they are gone.
    if (this.#links.size === 0) this.#standing.lostAt ??= now()
  }

  override async fetch(request: Request): Promise<Response> {
    const cluster = request.headers.get(CLUSTER_HEADER)
    if (cluster !== null) this.#standing.cluster = cluster
    this.#alarm.stir()
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
    this.#alarm.stir()
    const decoded = typeof message === 'string' ? TEXT : decodeUplink(message)
    if (decoded.kind === 'malformed') this.#lost(link, PROTOCOL_ERROR, decoded.message)
    else if (decoded.kind === 'frame') this.#hear(link, decoded.frame, decoded.payload)
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#lost(this.#links.of(socket))
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#lost(this.#links.of(socket))
  }

  override async alarm(): Promise<void> {
    this.#alarm.rang()
    try {
      await this.#look()
      this.#alarm.set()
    } catch (error) {
      console.error(JSON.stringify({ msg: 'hub_alarm_failed', error: String(error).slice(0, 300) }))
      this.#alarm.ring(Date.now() + RETRY_MS)
    }
  }

  #call(path: string, request: Request): Response | Promise<Response> {
    const [, , namespace = '', kind = '', name = '', ...rest] = path.split('/')
    if (name === '' || rest.length > 0)
      return faulty({ reason: 'unknown_target', message: 'no such path', unsent: true })
    const deadlineMs = Number(request.headers.get(DEADLINE_HEADER) ?? DEADLINE_MS)
    const now = Date.now()
    if (now - this.#siftedAt >= SIFT_MS) this.#sift(now)
    return this.#exchanges.call({ kind, namespace, name }, request, deadlineMs)
  }

  async #enter(path: '/join' | '/session' | '/connect', request: Request): Promise<Response> {
    const entered = await this.#admission.enter(request)
    if (entered instanceof Response) return entered
    if (path === '/connect') {
      // An entry of the same name as one that was deleted: it inherits nothing.
      if (this.#standing.uid !== entered.uid) {
        await this.#revoke()
        this.#standing.uid = entered.uid
        // That took a while, in which the admin may have thought better of it.
        if (!(await this.#stands())) return new Refusal('not_admitted').response()
      }
      return this.#connect(entered, request)
    }
    const { connection, expires, thumbprint, replica } = entered
    const link = connection === undefined ? undefined : this.#links.get(connection)
    if (link !== undefined && link.attached.thumbprint === thumbprint && link.attached.replica === replica) {
      this.#links.note(link, { expires, isWarned: false })
      this.#alarm.set()
    }
    return new Response(null, NO_CONTENT)
  }

  #connect(admitted: Knock, request: Request): Response {
    const { socket, response, refusal } = upgrade(request, this.ctx, this.#links.size)
    if (socket === undefined) {
      const { code, reason } = refusal
      this.#standing.refused = { at: Date.now(), replica: admitted.replica, reason }
      this.#audit('refused', 'denied', { replica: admitted.replica, code, reason })
      return response
    }
    this.#standing.refused = undefined
    const link = this.#links.add(socket, admitted, Date.now())
    const { id, replica, uid } = link.attached
    this.#standing.lostAt = undefined
    this.#standing.uid = uid
    this.#exchanges.opened(id)
    this.#links.send(link, { kind: 'welcome', connection: id, serverTime: link.attached.since })
    for (const older of this.#links.all())
      if (older !== link && older.attached.replica === replica) this.#replace(older)
    this.#turn('online')
    this.#audit('connected', 'success', { replica, connection: id })
    this.#alarm.set()
    return response
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
      case 'leading':
      case 'snapshot':
      case 'body':
        this.#publishing.frame(link, frame, payload)
        return
    }
  }

  /** A link is gone, or, with a code, is to go. */
  #lost(link: Link | undefined, code?: number, reason = ''): void {
    if (link === undefined) return
    const { id, replica } = link.attached
    const seen = this.#links.lastSeen(link)
    this.#links.drop(link, code, reason)
    this.#exchanges.closed(id)
    if (this.#links.size === 0) this.#standing.lostAt = code === CLOSED.silent ? seen : Date.now()
    this.#publishing.settle()
    const why = code === undefined ? {} : { code, reason }
    this.#audit('disconnected', code === undefined ? 'success' : 'failure', { replica, connection: id, ...why })
    this.#alarm.set()
  }

  /** Its replica has come again: because it was asked to, and leaves it once its calls have ended, or because it has lost it. */
  #replace(link: Link): void {
    const { id, isWarned, isDraining } = link.attached
    if (!isWarned && !isDraining) return this.#lost(link, CLOSED.silent, 'its replica has another link')
    this.#exchanges.drain(id)
    this.#links.note(link, { isDraining: true })
    this.#doubt(link)
  }

  /** If neither calls nor pings have brought a word, nobody is there. */
  #doubt(link: Link | undefined): void {
    if (link === undefined || Date.now() - this.#links.lastSeen(link) <= this.#clock.suspect) return
    this.#lost(link, CLOSED.silent, 'nothing was heard for too long')
  }

  /** Links with nobody at their other end go; where that may be so, others are preferred. */
  #sift(now: number): void {
    this.#siftedAt = now
    for (const link of this.#links.all()) {
      const { id } = link.attached
      const seen = this.#links.lastSeen(link)
      const isSilent = now - seen > this.#clock.suspect
      // Whoever waits for an answer on it is told before the time is up in which it might come back.
      const isOver = now - seen >= this.#clock.offline || (isSilent && this.#exchanges.count(id) > 0)
      // At the second look: an object that was itself held up for long finds the pings of that time a moment later.
      if (isOver && link.isHushed) this.#lost(link, CLOSED.silent, 'nothing was heard for too long')
      else this.#exchanges.seen(id, seen, isSilent)
      link.isHushed = isSilent
    }
  }

  /** No new calls on this link, once its replica has another. */
  #warn(link: Link): void {
    if (link.attached.isWarned) return
    this.#links.note(link, { isWarned: true })
    this.#links.send(link, { kind: 'goaway', retryAfterMs: 0 })
  }

  /** The entry changed: what may be published is judged anew, or nothing is any more. */
  async #reconsider(): Promise<void> {
    if (!(await this.#stands())) return this.#revoke()
    this.#publishing.again()
  }

  /** Whether the entry under which this hub knows its cluster is still in force. */
  async #stands(): Promise<boolean> {
    const { cluster, uid } = this.#standing
    const entry = await this.#book.find(cluster, 0)
    return entry !== undefined && entry.revokedAt === undefined && entry.uid === uid
  }

  async #revoke(): Promise<void> {
    for (const link of this.#links.all()) this.#links.note(link, { claims: false })
    for (const link of this.#links.all()) this.#lost(link, CLOSED.revoked, 'the cluster is not admitted any more')
    if (this.#standing.presence !== undefined) this.#audit('revoked', 'success', {})
    await this.#forget()
  }

  async #forget(): Promise<void> {
    this.#publishing.stop()
    await this.#standing.forget()
  }

  /** What the alarm is for: silence, credentials that end, entries that are gone, catalogs that nobody needs. */
  async #look(): Promise<void> {
    const now = Date.now()
    this.#sift(now)
    for (const link of this.#links.all()) {
      const { expires } = link.attached
      if (expires <= now) this.#lost(link, CLOSED.credentialEnded, 'the session credential has ended')
      else if (expires - WARN_MS <= now) this.#warn(link)
    }
    const standing = this.#standing
    if (this.#links.size === 0 && standing.presence === undefined) return
    if (!(await this.#stands())) return this.#revoke()
    const { silent } = standing
    if (this.#links.size === 0 && silent === 'evicted') {
      this.#audit('evicted', 'success', {})
      return this.#forget()
    }
    if (this.#links.size === 0 && silent !== 'evicted') this.#turn(silent)
    await standing.announce()
    await standing.tidy()
  }

  #turn(state: 'online' | 'offline' | 'delisted'): void {
    if (!this.#standing.turn(state)) return
    if (state !== 'online') this.#audit(state, 'success', {})
    this.ctx.waitUntil(this.#standing.announce().catch(() => this.#alarm.ring(Date.now() + RETRY_MS)))
  }

  #audit(action: HubEvent['action'], outcome: HubEvent['outcome'], extra: HubEvent['extra']): void {
    const event = hubEvent({ cluster: this.#standing.cluster, action, outcome, extra }, Date.now())
    this.#host.trail.write(event, (work) => this.ctx.waitUntil(work))
  }

  #status(): HubStatus {
    const hub = { standing: this.#standing, links: this.#links, exchanges: this.#exchanges, clock: this.#clock }
    return statusOf(hub, Date.now())
  }
}
