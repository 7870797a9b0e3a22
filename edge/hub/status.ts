// What a hub tells of itself: for `waggle status`, metrics and tests.

import type { Presence } from '../documents/registry.ts'
import type { Exchanges, Tally } from './exchange.ts'
import type { LinkClock } from './lease.ts'
import type { Links } from './links.ts'

/** Times in milliseconds since the epoch. */
export interface HubStatus {
  readonly cluster: string
  /** How often it woke up, ever. */
  readonly wakes: number
  readonly state: Presence['state'] | 'unregistered'
  readonly since: number | undefined
  /** Of what is registered. */
  readonly version: string | undefined
  /** The newest that was given. */
  readonly epoch: number
  /** Since when nobody is connected. */
  readonly lostAt: number | undefined
  /** An uplink that was admitted and still got no link, if none has got one since. */
  readonly refused: Refused | undefined
  /** Under way. */
  readonly calls: number
  /** Since it woke up. */
  readonly tally: Readonly<Tally>
  readonly connections: readonly ConnectionStatus[]
}

export interface Refused {
  readonly at: number
  readonly replica: string
  readonly reason: string
}

export interface ConnectionStatus {
  readonly connection: string
  readonly replica: string
  /** Of its program. */
  readonly version: string
  readonly isLeader: boolean
  /** It takes no new calls: its replica has another link, or ends. */
  readonly isDraining: boolean
  /** It has been silent for so long that others are preferred. */
  readonly isSuspect: boolean
  readonly since: number
  /** When its credential ends. */
  readonly expires: number
  readonly lastSeen: number
  /** How long calls lately took to be answered, the server included. */
  readonly latencyMs: number | undefined
  readonly calls: number
}

export interface Hub {
  readonly standing: Pick<HubStatus, 'cluster' | 'wakes' | 'lostAt' | 'refused'> & {
    readonly presence: Presence | undefined
  }
  readonly links: Links
  readonly exchanges: Exchanges
  readonly clock: LinkClock
}

export function statusOf(hub: Hub, now: number): HubStatus {
  const { standing, links, exchanges } = hub
  const { cluster, wakes, presence, lostAt, refused } = standing
  return {
    cluster,
    wakes,
    state: presence?.state ?? 'unregistered',
    since: presence?.since,
    version: presence?.version,
    epoch: links.epoch,
    lostAt,
    refused,
    calls: exchanges.count(),
    tally: exchanges.tally,
    connections: connectionsOf(hub, now),
  }
}

function connectionsOf({ links, exchanges, clock }: Hub, now: number): ConnectionStatus[] {
  return links.all().map((link) => {
    const { id, replica, version, epoch, isDraining, since, expires } = link.attached
    const lastSeen = links.lastSeen(link)
    return {
      connection: id,
      replica,
      version,
      isLeader: epoch > 0,
      isDraining,
      isSuspect: now - lastSeen > clock.suspect,
      since,
      expires,
      lastSeen,
      latencyMs: exchanges.latency(id),
      calls: exchanges.count(id),
    }
  })
}
