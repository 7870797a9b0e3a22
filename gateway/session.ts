// Sessions that legacy clients see: sealed, bound to the principal and the endpoint, kept nowhere. Whoever presents one must
// be the caller it was made for; to anybody else it does not exist (MCP 2025-11-25, basic/transports, session management).

import { Fault } from '../protocol/fault.ts'
import { Lru } from './lru.ts'
import type { Clock } from './ports.ts'
import type { Principal } from './principal.ts'
import type { Sealer } from './seal.ts'

export interface ClientSession {
  /** Random; names the session inside, never sent in clear. */
  readonly id: string
  readonly revision: string
  readonly client: { readonly name: string; readonly version: string }
}

interface Sealed extends ClientSession {
  readonly principal: string
  readonly endpoint: string
  readonly expires: number
}

const TTL_MS = 24 * 3_600_000
const CACHED = 10_000

export class ClientSessions {
  readonly #sealer: Sealer
  readonly #now: Clock
  readonly #opened = new Lru<string, Sealed>(CACHED)

  constructor(sealer: Sealer, now: Clock) {
    this.#sealer = sealer
    this.#now = now
  }

  /** The value of `Mcp-Session-Id` for a new session. */
  async create(session: ClientSession, principal: Principal, endpoint: string): Promise<string> {
    const sealed: Sealed = { ...session, principal: principal.id, endpoint, expires: this.#now() + TTL_MS }
    return this.#sealer.seal('session', sealed)
  }

  /** Throws `Fault` `session_not_found` for anything but a live session of this caller at this endpoint. */
  async open(text: string, principal: Principal, endpoint: string): Promise<ClientSession> {
    const session = this.#opened.get(text) ?? ((await this.#sealer.open('session', text)) as Sealed | undefined)
    if (session === undefined) throw gone('not sealed by this edge')
    if (session.principal !== principal.id) throw gone('another principal')
    if (session.endpoint !== endpoint) throw gone('another endpoint')
    if (session.expires <= this.#now()) throw gone('expired')
    this.#opened.set(text, session)
    return session
  }
}

function gone(detail: string): Fault {
  return new Fault('session_not_found', 'This session does not exist: initialize again.', {
    detail: `session: ${detail}`,
  })
}
