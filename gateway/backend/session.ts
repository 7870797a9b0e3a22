// Sessions towards legacy servers over streamable HTTP. A session belongs to its owner (a client's session, or a principal),
// is found in memory, else in the store, else opened anew; when the server has forgotten it, it is opened again once.

import { Fault } from '../../protocol/fault.ts'
import { Lru } from '../lru.ts'
import type { Channel } from '../channel/channel.ts'
import type { Store } from '../ports.ts'
import { sha256 } from '../sha256.ts'
import type { Sealer } from '../seal.ts'
import type { Levels } from '../levels.ts'
import { lostSession, speaksModern } from './era.ts'
import { exchange, parsed, resumed } from './exchange.ts'
import { handshake, sessionHeaders, setLevelText, settle, type Agreement } from './handshake.ts'
import { lasting, protocol, request, through } from './http.ts'
import { EventStream } from './stream.ts'
import type { Backend, Call, Owner, Rejected, Reply, Unasked, Upstream } from './upstream.ts'

const TTL_SECONDS = 6 * 3600
const CACHED = 4096
/** Largest message outside of calls, in characters: a server's request may carry a picture. */
const MAX_UNASKED = 4 * 1024 * 1024
/** What a session needs to go on: kept small, since there are many. */
interface Held {
  readonly revision: string
  readonly session: string | undefined
  readonly logs: boolean
}

/** Sessions of all legacy servers of one isolate. */
export class Sessions {
  readonly #store: Store
  readonly #sealer: Sealer
  readonly #levels: Levels
  readonly #channel: Pick<Channel, 'attach'>
  readonly #known = new Lru<string, Held>(CACHED)

  constructor(store: Store, sealer: Sealer, levels: Levels, channel: Pick<Channel, 'attach'>) {
    this.#store = store
    this.#sealer = sealer
    this.#levels = levels
    this.#channel = channel
  }

  /** The owner's session, opened when there is none. A store that is away costs sharing, not the call. */
  async open(upstream: Upstream, owner: Owner, signal: AbortSignal): Promise<Held> {
    const id = sessionId(upstream, owner)
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const key = await storeKey(upstream, id)
    const stored = await this.#load(key)
    const session = stored ?? (await this.#open(upstream, owner, key, signal))
    this.#known.set(id, session)
    if (stored === undefined) {
      // Before the first call: what the server asks on its own stream during that call must find somebody.
      if (owner.session !== undefined) await this.#channel.attach(owner.session, upstream.server)
      await this.#level(upstream, owner, session, signal)
    }
    return session
  }

  async forget(upstream: Upstream, owner: Owner): Promise<void> {
    const id = sessionId(upstream, owner)
    this.#known.delete(id)
    await tolerate(this.#store.del(await storeKey(upstream, id)))
  }

  /** Forgets a session that the server has lost, but not the one that another isolate has opened since. */
  async lose(upstream: Upstream, owner: Owner, session: Held): Promise<void> {
    const id = sessionId(upstream, owner)
    this.#known.delete(id)
    const stored = await this.#load(await storeKey(upstream, id))
    if (stored === undefined || stored.session === session.session) await this.forget(upstream, owner)
  }

  /** The session without opening one. */
  async find(upstream: Upstream, owner: Owner): Promise<Held | undefined> {
    const id = sessionId(upstream, owner)
    return this.#known.get(id) ?? this.#load(await storeKey(upstream, id))
  }

  /** A session that opens late learns the log level that its client set before. */
  async #level(upstream: Upstream, owner: Owner, session: Held, signal: AbortSignal): Promise<void> {
    if (!session.logs || owner.session === undefined) return
    const level = await this.#levels.get(owner.session)
    if (level === undefined) return
    const call = { text: setLevelText(level), id: '"level"', headers: {}, signal }
    await settle(await exchange(upstream, call, sessionHeaders(session)), upstream).catch(() => undefined)
  }

  /** Shakes hands; when another isolate did so meanwhile, its session is the one, and ours ends. */
  async #open(upstream: Upstream, owner: Owner, key: string, signal: AbortSignal): Promise<Held> {
    const send = async (call: Call) => {
      const reply = await exchange(upstream, call)
      if (call.id !== undefined && speaksModern(reply, true)) throw new ModernOnly(upstream, reply)
      return reply
    }
    const { revision, session, capabilities } = await handshake(send, upstream, owner.capabilities, signal)
    const fresh: Held = { revision, session, logs: capabilities['logging'] !== undefined }
    const first = await this.#save(key, fresh)
    if (first === undefined) return fresh
    await terminate(upstream, fresh, signal)
    return first
  }

  async #load(key: string): Promise<Held | undefined> {
    const entry = await tolerate(this.#store.get(key))
    if (entry === undefined || entry === null) return undefined
    return (await this.#sealer.open('backend-session', entry.value)) as Held | undefined
  }

  /** Stores the session unless another isolate was first; then its session is returned. */
  async #save(key: string, session: Held): Promise<Held | undefined> {
    const value = await this.#sealer.seal('backend-session', session)
    const stored = await tolerate(this.#store.set(key, value, { ttlSeconds: TTL_SECONDS, absent: true }))
    return stored === null ? this.#load(key) : undefined
  }
}

/** A server that does not shake hands because it speaks the modern era alone. */
class ModernOnly extends Error {
  readonly rejected: Rejected

  constructor({ server }: Upstream, reply: Reply) {
    super(`Server ${server} speaks the modern era only.`)
    this.rejected = asRejected(reply)
  }
}

/** A refusal that concerns the era: what it answers is not the call, but how it was sent. */
function asRejected(reply: Reply): Rejected {
  if (reply.kind === 'rejected') return { ...reply, speaks: 'modern' }
  return {
    kind: 'rejected',
    status: 400,
    message: reply.kind === 'message' ? reply.message : undefined,
    speaks: 'modern',
  }
}

/** A legacy server over streamable HTTP. */
export class LegacyBackend implements Backend {
  readonly #upstream: Upstream
  readonly #sessions: Sessions

  constructor(upstream: Upstream, sessions: Sessions) {
    this.#upstream = upstream
    this.#sessions = sessions
  }

  async call(call: Call, owner: Owner): Promise<Reply> {
    try {
      for (let attempt = 0; ; attempt += 1) {
        const session = await this.#sessions.open(through(this.#upstream, call), owner, call.signal)
        const reply = await exchange(this.#upstream, call, sessionHeaders(session))
        if (speaksModern(reply, false)) return asRejected(reply)
        if (reply.kind !== 'rejected') return reply
        // 404 is how a server says that the session is gone (MCP 2025-11-25, transports), whatever error it adds; many
        // answer 400 without naming the call. Either way nothing was executed, so the call may be sent again.
        if (lostSession(reply) && attempt === 0) await this.#sessions.lose(this.#upstream, owner, session)
        else if (reply.message !== undefined && reply.status !== 404) return reply
        else throw protocol(this.#upstream, `answered HTTP ${reply.status}`)
      }
    } catch (error) {
      if (error instanceof ModernOnly) return { ...error.rejected, message: undefined }
      throw error
    }
  }

  async tell(call: Call, owner: Owner): Promise<void> {
    try {
      const session = await this.#sessions.find(this.#upstream, owner)
      if (session === undefined) return
      const reply = await exchange(lasting(this.#upstream), call, sessionHeaders(session))
      if (reply.kind === 'stream') await reply.messages.return()
    } catch {
      // The next call of the owner meets the same trouble and says so.
    }
  }

  async resume(after: string, call: Call, owner: Owner): Promise<Reply | undefined> {
    const session = await this.#sessions.find(this.#upstream, owner)
    return session === undefined ? undefined : resumed(this.#upstream, call, sessionHeaders(session), after)
  }

  async listen(_uris: readonly string[], owner: Owner, signal: AbortSignal): Promise<Unasked | undefined> {
    const session = await this.#sessions.find(this.#upstream, owner)
    return session === undefined ? undefined : unasked(lasting(this.#upstream), sessionHeaders(session), signal)
  }

  async end(owner: Owner, signal: AbortSignal): Promise<void> {
    const session = await this.#sessions.find(this.#upstream, owner)
    if (session === undefined) return
    await this.#sessions.forget(this.#upstream, owner)
    await terminate(lasting(this.#upstream), session, signal)
  }
}

/**
 * The GET stream of a session (MCP 2025-11-25, basic/transports, listening), on as many connections as it takes; undefined
 * when the server offers none. Ends when the server has forgotten the session. Throws `Fault` as `exchange` does.
 */
export async function unasked(
  upstream: Upstream,
  session: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Unasked | undefined> {
  const stream = new EventStream(upstream, { session, signal, limit: MAX_UNASKED, goesOn: 'always' })
  const body = await stream.open()
  return body === undefined ? undefined : heard(upstream, stream.read(body))
}

async function* heard(upstream: Upstream, texts: ReturnType<EventStream['read']>): Unasked {
  for await (const text of texts) {
    const message = parsed(upstream, text)
    if (message.kind !== 'response') yield message
  }
}

/** DELETE, so that the server can let go; its answer does not matter. */
export async function terminate(
  upstream: Upstream,
  session: Pick<Agreement, 'session' | 'revision'>,
  signal: AbortSignal,
): Promise<void> {
  if (session.session === undefined) return
  try {
    const headers = { ...(await upstream.headers()), ...sessionHeaders(session) }
    const response = await request(upstream, upstream.url, { method: 'DELETE', headers, signal })
    await response.body?.cancel()
  } catch {
    // The server evicts what nobody uses.
  }
}

const sessionId = ({ url, account }: Upstream, owner: Owner): string => `${url}\n${account}\n${owner.name}`

/** Owner and address in one key of fixed length: neither appears in the store. */
async function storeKey(upstream: Upstream, id: string): Promise<string> {
  return `session/${upstream.server}/${await sha256(id)}`
}

/** The value, or undefined while the store is away. */
async function tolerate<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (error instanceof Fault && error.reason === 'store_unavailable') return undefined
    throw error
  }
}
