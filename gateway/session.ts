// Sessions that legacy clients see: sealed, bound to the principal and the endpoint; only ended ones are remembered. Whoever presents one must
// be the caller it was made for; to anybody else it does not exist (MCP 2025-11-25, basic/transports, session management).

import { isObject, type Json, type JsonObject } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import type { Owner } from './backend/upstream.ts'
import { Lru } from './lru.ts'
import type { Clock, Store } from './ports.ts'
import type { Principal } from './principal.ts'
import type { Sealer } from './seal.ts'

export interface ClientSession {
  /** Random; names the session inside, never sent in clear. */
  readonly id: string
  readonly revision: string
  readonly client: { readonly name: string; readonly version: string }
  /** What a server may ask of this client: `elicitation`, `sampling`, `roots`, as it declared them. */
  readonly capabilities: JsonObject
}

interface Sealed extends ClientSession {
  readonly principal: string
  readonly endpoint: string
  readonly expires: number
}

const TTL_MS = 24 * 3_600_000
const CACHED = 10_000
const RECHECK_MS = 30_000

export class ClientSessions {
  readonly #sealer: Sealer
  readonly #store: Store
  readonly #now: Clock
  readonly #opened = new Lru<string, Sealed>(CACHED)
  /** When each session was last known not to be ended; infinity once it is. */
  readonly #alive = new Lru<string, number>(CACHED)

  constructor(sealer: Sealer, store: Store, now: Clock) {
    this.#sealer = sealer
    this.#store = store
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
    if (await this.#ended(session.id)) throw gone('ended')
    this.#opened.set(text, session)
    return session
  }

  /** Ends a session: here at once, in other isolates within half a minute. */
  async end(session: ClientSession): Promise<void> {
    this.#alive.set(session.id, Number.POSITIVE_INFINITY)
    await this.#store.set(`ended/${session.id}`, '', { ttlSeconds: TTL_MS / 1000 })
  }

  /** Asks the store once in a while; a session is not refused because the store is away. */
  async #ended(id: string): Promise<boolean> {
    const known = this.#alive.get(id) ?? Number.NEGATIVE_INFINITY
    if (known === Number.POSITIVE_INFINITY) return true
    if (this.#now() - known < RECHECK_MS) return false
    const ended = await this.#store.peek([`ended/${id}`]).then(
      ([version]) => version !== null,
      () => false,
    )
    this.#alive.set(id, ended ? Number.POSITIVE_INFINITY : this.#now())
    return ended
  }
}

const MAX_CAPABILITIES = 2048

/** Of what a client declares, that which a server may ask of it: the rest is between the client and us. */
export function askable(declared: Json | undefined): JsonObject {
  if (!isObject(declared)) return {}
  const kept = ['elicitation', 'sampling', 'roots'].flatMap((key) => {
    const value = declared[key]
    return isObject(value) ? [[key, value] as const] : []
  })
  const capabilities = Object.fromEntries(kept)
  return JSON.stringify(capabilities).length > MAX_CAPABILITIES ? {} : capabilities
}

/** Whose sessions at legacy servers a request uses: those of its client's session, else of its principal. */
export function ownerOf(session: Pick<ClientSession, 'id' | 'capabilities'> | undefined, principal: Principal): Owner {
  const caller = () => principal
  return session === undefined
    ? { name: `principal ${principal.id}`, capabilities: {}, caller }
    : { name: `session ${session.id}`, session: session.id, capabilities: session.capabilities, caller }
}

function gone(detail: string): Fault {
  return new Fault('session_not_found', 'This session does not exist: initialize again.', {
    detail: `session: ${detail}`,
  })
}
