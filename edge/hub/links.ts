// The links of one cluster: which sockets are open, for which replica and how long, which of them publishes and under which epoch.
// What must survive the object's sleep is attached to the sockets or written to its storage; the rest is asked of the runtime.

import { encode } from '../../protocol/frame.ts'
import type { EdgeFrame } from '../../protocol/link.ts'
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
export const MAX_LINKS = 256
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

/** A socket as the runtime keeps it, also while the object sleeps. */
export interface LinkSocket {
  send(bytes: Uint8Array): void
  close(code: number, reason?: string): void
  serializeAttachment(value: unknown): void
  deserializeAttachment(): unknown
}

export interface Link {
  readonly socket: LinkSocket
  attached: Attached
  /** Last sign of life that this object saw itself. */
  heard: number
  /** It was silent for long when somebody looked last. */
  isHushed: boolean
}

export interface LinksHost {
  /** Sockets that are open, as they are when the object wakes up. */
  readonly sockets: readonly LinkSocket[]
  /** When the runtime answered a ping on it last, in milliseconds since the epoch; undefined: never. */
  pinged(socket: LinkSocket): number | undefined
  /** The newest epoch that was given, kept while the object sleeps. */
  readonly epoch: number
  keep(epoch: number): void
}

export class Links {
  readonly #host: LinksHost
  readonly #links = new Map<string, Link>()
  /** What is attached to a socket is read once in this life of the object, not with every frame. */
  readonly #bySocket = new WeakMap<LinkSocket, Link>()
  #epoch: number

  constructor(host: LinksHost) {
    this.#host = host
    this.#epoch = host.epoch
    const found = host.sockets.flatMap((socket) => {
      const attached = socket.deserializeAttachment() as Attached | null
      return attached === null || attached.isClosed
        ? []
        : [{ socket, attached, heard: attached.since, isHushed: false }]
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

  of(socket: LinkSocket): Link | undefined {
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

  /** Takes a socket over that the runtime keeps from here on. */
  add(socket: LinkSocket, admitted: Pick<Attached, 'uid' | 'replica' | 'thumbprint' | 'expires'>, now: number): Link {
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
    socket.serializeAttachment(attached)
    const link = { socket, attached, heard: now, isHushed: false }
    this.#links.set(attached.id, link)
    return link
  }

  note(link: Link, change: Partial<Attached>): void {
    link.attached = { ...link.attached, ...change }
    link.socket.serializeAttachment(link.attached)
  }

  /** When the uplink was heard last: frames, or pings that the runtime answered. */
  lastSeen(link: Link): number {
    return Math.max(link.heard, this.#host.pinged(link.socket) ?? 0)
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
    this.#host.keep(this.#epoch)
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
