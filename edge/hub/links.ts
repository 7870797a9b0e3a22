// The links of one cluster: which sockets are open, for which replica and how long, which of them publishes and under which epoch.
// What must survive the object's sleep is attached to the sockets or written to its storage; the rest is asked of the runtime.

import { encode } from '../../protocol/frame.ts'
import { LINK_PROTOCOLS, type EdgeFrame } from '../../protocol/link.ts'
import { restOf, type LinkClock } from './lease.ts'

/** Close codes, besides that for frames that make no sense. */
export const CLOSED = {
  credentialEnded: 4401,
  revoked: 4403,
  unknownProtocol: 4406,
  silent: 4408,
  tooMany: 4429,
} as const

/** Links of one cluster at once. */
const MAX_LINKS = 256
/** A link whose credential ends is told so long before, in milliseconds. */
export const WARN_MS = 30_000

/** What is attached to a socket. Times in milliseconds since the epoch. */
export interface Attached {
  readonly id: string
  /** Of the cluster's entry. */
  readonly uid: string
  readonly replica: string
  readonly thumbprint: string
  readonly since: number
  /** When its credential ends. */
  readonly expires: number
  /** What the uplink's program calls itself; empty before it said hello. */
  readonly version: string
  /** Says that it leads. */
  readonly claims: boolean
  /** The epoch under which it publishes; 0: it does not. */
  readonly epoch: number
  /** Was told that the edge wants it replaced. */
  readonly isWarned: boolean
  /** Takes no new calls: its replica has another link, or ends. */
  readonly isDraining: boolean
  /** Closed by this end, though the other may not know. */
  readonly isClosed: boolean
}

export interface Link {
  readonly socket: WebSocket
  attached: Attached
  /** Last sign of life that this object saw itself. */
  heard: number
}

export class Links {
  readonly #ctx: DurableObjectState
  readonly #links = new Map<string, Link>()
  /** What is attached to a socket is read once in this life of the object, not with every frame. */
  readonly #bySocket = new WeakMap<WebSocket, Link>()
  #epoch: number

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx
    this.#epoch = ctx.storage.kv.get<number>('epoch') ?? 0
    const found = ctx.getWebSockets().flatMap((socket) => {
      const attached = socket.deserializeAttachment() as Attached | null
      return attached === null || attached.isClosed ? [] : [{ socket, attached, heard: attached.since }]
    })
    for (const link of found.sort((a, b) => a.attached.since - b.attached.since))
      this.#links.set(link.attached.id, link)
  }

  get size(): number {
    return this.#links.size
  }

  /** The newest epoch that was given. */
  get epoch(): number {
    return this.#epoch
  }

  all(): readonly Link[] {
    return [...this.#links.values()]
  }

  get(id: string): Link | undefined {
    return this.#links.get(id)
  }

  of(socket: WebSocket): Link | undefined {
    const known = this.#bySocket.get(socket)
    if (known !== undefined) return this.#links.get(known.attached.id)
    const attached = socket.deserializeAttachment() as Attached | null
    const link = attached === null ? undefined : this.#links.get(attached.id)
    if (link !== undefined) this.#bySocket.set(socket, link)
    return link
  }

  /** The link that publishes. */
  leader(): Link | undefined {
    return this.all().find(({ attached }) => attached.epoch === this.#epoch && attached.epoch > 0)
  }

  /** Takes the request's socket over: from here on the object may sleep while it is open. */
  accept(
    request: Request,
    admitted: Pick<Attached, 'uid' | 'replica' | 'thumbprint' | 'expires'>,
    now: number,
  ): { readonly kind: 'accepted'; readonly link: Link; readonly response: Response } | Refused {
    const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((one) => one.trim())
    const protocol = LINK_PROTOCOLS.find((one) => offered.includes(one))
    if (protocol === undefined)
      return refused(CLOSED.unknownProtocol, `this edge speaks ${LINK_PROTOCOLS.join(', ')}`, offered[0])
    if (this.size >= MAX_LINKS) return refused(CLOSED.tooMany, `there are ${MAX_LINKS} links already`, protocol)
    const { uid, replica, thumbprint, expires } = admitted
    const attached: Attached = {
      id: crypto.randomUUID(),
      uid,
      replica,
      thumbprint,
      expires,
      since: now,
      version: '',
      claims: false,
      epoch: 0,
      isWarned: false,
      isDraining: false,
      isClosed: false,
    }
    const { 0: client, 1: socket } = new WebSocketPair()
    this.#ctx.acceptWebSocket(socket)
    socket.serializeAttachment(attached)
    const link = { socket, attached, heard: now }
    this.#links.set(attached.id, link)
    return { kind: 'accepted', link, response: upgraded(client, protocol) }
  }

  note(link: Link, change: Partial<Attached>): void {
    link.attached = { ...link.attached, ...change }
    link.socket.serializeAttachment(link.attached)
  }

  /** When the uplink was heard last: frames, or pings that the runtime answered. */
  lastSeen(link: Link): number {
    const answered = this.#ctx.getWebSocketAutoResponseTimestamp(link.socket)?.getTime() ?? 0
    return Math.max(link.heard, answered)
  }

  /** When one of them has to be looked at: it has been silent for long, or its credential ends. Infinity: there is none. */
  due(clock: LinkClock, now: number): number {
    const times = this.all().map((link) => {
      const { expires, isWarned } = link.attached
      const seen = this.lastSeen(link)
      const silent = now - seen > clock.suspect ? seen + clock.offline : now + restOf(clock)
      return Math.min(silent, isWarned ? expires : expires - WARN_MS)
    })
    return Math.min(...times)
  }

  /** Whoever claims to lead does, under a new epoch; who led before is told. */
  lead(link: Link): number {
    this.#epoch += 1
    this.#ctx.storage.kv.put('epoch', this.#epoch)
    for (const other of this.#links.values()) {
      if (other === link || other.attached.epoch === 0) continue
      this.note(other, { epoch: 0 })
      this.send(other, { kind: 'fenced', epoch: this.#epoch })
    }
    this.note(link, { claims: true, epoch: this.#epoch })
    this.send(link, { kind: 'lead', epoch: this.#epoch })
    return this.#epoch
  }

  /** Who of those that say they lead is to publish when nobody does: the newest. */
  heir(): Link | undefined {
    return this.leader() === undefined ? this.all().findLast(({ attached }) => attached.claims) : undefined
  }

  send(link: Link | undefined, frame: EdgeFrame): void {
    if (link !== undefined) this.write(link.attached.id, encode(frame))
  }

  /** Of a socket that is gone the runtime tells by itself. */
  write(id: string, bytes: Uint8Array): void {
    try {
      this.#links.get(id)?.socket.send(bytes)
    } catch {
      // Then nobody reads it.
    }
  }

  /** Forgets a link; with a code its socket is closed, however long the other end takes to notice. */
  drop(link: Link, code?: number, reason?: string): void {
    if (this.#links.get(link.attached.id) !== link) return
    this.#links.delete(link.attached.id)
    try {
      this.note(link, { isClosed: true, epoch: 0, claims: false })
      if (code !== undefined) link.socket.close(code, reason?.slice(0, 120))
    } catch {
      // It was closed already.
    }
  }
}

interface Refused {
  readonly kind: 'refused'
  readonly response: Response
}

/** Says why over the socket itself: clients see neither status nor body of an upgrade that failed. */
function refused(code: number, reason: string, protocol: string | undefined): Refused {
  const { 0: client, 1: socket } = new WebSocketPair()
  socket.accept()
  socket.close(code, reason)
  return { kind: 'refused', response: upgraded(client, protocol) }
}

function upgraded(webSocket: WebSocket, protocol: string | undefined): Response {
  const headers = protocol === undefined || protocol === '' ? {} : { 'sec-websocket-protocol': protocol }
  return new Response(null, { status: 101, webSocket, headers })
}
