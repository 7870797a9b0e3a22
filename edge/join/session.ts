// The session credential: what an uplink opens its WebSocket with. Sealed by the edge, good for one cluster, one replica, one key,
// and ten minutes.

import type { Clock } from '../../gateway/ports.ts'
import type { Sealer } from '../../gateway/seal.ts'
import { SESSION_SECONDS } from '../../protocol/join.ts'

export interface Session {
  readonly cluster: string
  /** Of the cluster's entry: one that was deleted and added again is another. */
  readonly uid: string
  readonly replica: string
  /** Of the only key that may use it. */
  readonly thumbprint: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

export class LinkSessions {
  readonly #sealer: Sealer
  readonly #now: Clock

  constructor(sealer: Sealer, now: Clock) {
    this.#sealer = sealer
    this.#now = now
  }

  async open(whose: Omit<Session, 'expires'>): Promise<{ token: string; expires: number }> {
    const expires = this.#now() + SESSION_SECONDS * 1000
    const session: Session = { ...whose, expires }
    return { token: await this.#sealer.seal('link-session', session), expires }
  }

  /** Undefined for what is no session of ours, or not any more. */
  async read(token: string): Promise<Session | undefined> {
    const session = (await this.#sealer.open('link-session', token)) as Session | undefined
    return session !== undefined && session.expires > this.#now() ? session : undefined
  }
}
