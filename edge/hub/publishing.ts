// Who of a cluster's uplinks publishes: whoever said last that it leads, under an epoch of its own. What comes under an older one is
// passed over, and its sender told; once the newest resigns or goes, it is the turn of whoever says so still.

import { PROTOCOL_ERROR } from '../../protocol/frame.ts'
import type { Dropped, UplinkFrame } from '../../protocol/link.ts'
import type { HubEvent } from './event.ts'
import { CLOSED, type Link, type Links } from './links.ts'
import { Pace } from './pace.ts'
import { Registrar, type RegistrarHost } from './registrar.ts'

export interface PublishingHost extends Pick<RegistrarHost, 'store' | 'standing' | 'now' | 'entry'> {
  readonly links: Links
  /** This link's frames make no sense. */
  refuse(link: Link, code: number, why: string): void
  audit(action: HubEvent['action'], outcome: HubEvent['outcome'], extra: HubEvent['extra']): void
  /** Something was registered, or was already. */
  registered(): void
}

/** Frames of publishing. */
export type PublishingFrame = Extract<UplinkFrame, { kind: 'hello' | 'leading' | 'snapshot' | 'body' }>

/** How often one link may say that it leads: leases pass on in seconds, and every time everybody is told and it is audited. */
const CLAIMS = 20
const CLAIM_EVERY_MS = 5_000
/** How many refused items an audit event names. */
const MAX_LISTED = 20

export class Publishing {
  readonly #host: PublishingHost
  readonly #registrar: Registrar
  readonly #claims = new WeakMap<Link, Pace>()

  constructor(host: PublishingHost) {
    const { links, store, standing, now, entry } = host
    this.#host = host
    this.#registrar = new Registrar({
      store,
      standing,
      now,
      entry,
      send: (id, frame) => links.send(links.get(id), frame),
      refuse: (id, why) => {
        const link = links.get(id)
        if (link !== undefined) host.refuse(link, PROTOCOL_ERROR, why)
      },
      done: ({ epoch, seq, items }, dropped, isNews) => {
        host.registered()
        if (!isNews) return
        const what = { epoch, seq, items: items.length, dropped: dropped.length }
        const why = dropped.length === 0 ? {} : { refused: listed(dropped) }
        host.audit('registered', dropped.length === 0 ? 'success' : 'denied', { ...what, ...why })
      },
    })
    // A hub that woke up goes on with whoever led before.
    const leader = links.leader()
    if (leader !== undefined) this.#registrar.follow(leader.attached.id, leader.attached.epoch)
  }

  frame(link: Link, frame: PublishingFrame, payload: Uint8Array): void {
    const { links } = this.#host
    switch (frame.kind) {
      case 'hello':
        links.note(link, { version: frame.version.slice(0, 64) })
        if (frame.isLeader) this.#claim(link)
        return
      case 'leading':
        if (frame.isLeader) return this.#claim(link)
        links.note(link, { claims: false, epoch: 0 })
        return this.settle()
      case 'snapshot':
      case 'body':
        if (link.attached.epoch === 0) links.send(link, { kind: 'fenced', epoch: links.epoch })
        else if (frame.epoch === links.epoch) this.#registrar.frame(frame, payload)
        return
    }
  }

  /** Whoever publishes is to publish everything anew. */
  again(): void {
    const leader = this.#host.links.leader()
    if (leader !== undefined) this.#lead(leader)
  }

  /** Somebody may have gone or resigned: if nobody leads any more, somebody else may say that it does. */
  settle(): void {
    const { links } = this.#host
    if (links.leader() !== undefined) return
    const heir = links.heir()
    if (heir === undefined) this.stop()
    else this.#lead(heir)
  }

  /** Nothing that is under way is registered any more. */
  stop(): void {
    this.#registrar.follow(undefined, 0)
  }

  #claim(link: Link): void {
    const pace = this.#claims.get(link) ?? new Pace(CLAIMS, CLAIM_EVERY_MS)
    this.#claims.set(link, pace)
    if (pace.wait(this.#host.now()) > 0) this.#host.refuse(link, CLOSED.tooMany, 'says too often that it leads')
    else this.#lead(link)
  }

  #lead(link: Link): void {
    const epoch = this.#host.links.lead(link)
    const { id, replica } = link.attached
    this.#registrar.follow(id, epoch)
    this.#host.audit('leading', 'success', { replica, connection: id, epoch })
  }
}

function listed(dropped: readonly Dropped[]): string {
  const some = dropped.slice(0, MAX_LISTED).map(({ key, reason }) => `${key}: ${reason}`)
  return [...some, ...(dropped.length > MAX_LISTED ? ['…'] : [])].join(', ')
}
