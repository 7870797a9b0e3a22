// Servers on the old HTTP+SSE transport: one connection for each owner, kept while it is used and a little longer.

import { setLevelText } from '../../gateway/backend/handshake.ts'
import { SseConnection } from '../../gateway/backend/sse.ts'
import type { Backend, Call, Owner, Reply, Unasked, Upstream } from '../../gateway/backend/upstream.ts'
import type { Channel } from '../../gateway/channel/channel.ts'
import type { Levels } from '../../gateway/levels.ts'
import { Fault } from '../../protocol/fault.ts'

const OPEN_MS = 15_000
const IDLE_MS = 60_000
const TELL_MS = 5_000
const MAX_CONNECTIONS = 1_000

interface Held {
  readonly connection: Promise<SseConnection>
  /** Calls and listeners that use it now. */
  users: number
  idle: ReturnType<typeof setTimeout> | undefined
}

export class SseConnections {
  readonly #levels: Levels
  readonly #channel: () => Pick<Channel, 'attach'>
  readonly #held = new Map<string, Held>()

  constructor(levels: Levels, channel: () => Pick<Channel, 'attach'>) {
    this.#levels = levels
    this.#channel = channel
  }

  backend(upstream: Upstream): Backend {
    const key = (owner: Owner) => `${upstream.url}\n${upstream.account}\n${owner.name}`
    return {
      call: (call, owner) => this.#call(key(owner), upstream, call, owner),
      tell: async (call, owner) => {
        const connection = await this.#held.get(key(owner))?.connection.catch(() => undefined)
        if (connection?.alive === true) await tell(connection, call).catch(() => undefined)
      },
      resume: async () => undefined,
      listen: (_uris, owner, signal) => this.#listen(key(owner), signal),
      end: async (owner) => {
        const connection = await this.#held.get(key(owner))?.connection.catch(() => undefined)
        connection?.close()
      },
    }
  }

  async #call(key: string, upstream: Upstream, call: Call, owner: Owner): Promise<Reply> {
    const held = this.#hold(key, upstream, owner)
    held.users += 1
    clearTimeout(held.idle)
    const leave = once(() => this.#leave(key, held))
    try {
      const connection = await held.connection
      const reply = await connection.call(call)
      if (reply.kind !== 'stream') {
        leave()
        return reply
      }
      return { ...reply, messages: ended(reply.messages, leave) }
    } catch (error) {
      leave()
      throw error
    }
  }

  async #listen(key: string, signal: AbortSignal): Promise<Unasked | undefined> {
    const held = this.#held.get(key)
    const connection = await held?.connection.catch(() => undefined)
    if (held === undefined || connection?.alive !== true) return undefined
    held.users += 1
    clearTimeout(held.idle)
    return ended(
      connection.unasked(signal),
      once(() => this.#leave(key, held)),
    )
  }

  #hold(key: string, upstream: Upstream, owner: Owner): Held {
    const known = this.#held.get(key)
    if (known !== undefined) return known
    if (this.#held.size >= MAX_CONNECTIONS)
      throw new Fault('backend_overloaded', `Server ${upstream.server} has too many connections.`, {
        data: { server: upstream.server, retryAfterSeconds: 5 },
      })
    const held: Held = { connection: this.#open(upstream, owner), users: 0, idle: undefined }
    this.#held.set(key, held)
    const forget = () => {
      if (this.#held.get(key) === held) this.#held.delete(key)
    }
    held.connection.then((connection) => connection.done.then(forget), forget)
    return held
  }

  async #open(upstream: Upstream, owner: Owner): Promise<SseConnection> {
    const connection = await SseConnection.open(upstream, owner.capabilities, AbortSignal.timeout(OPEN_MS))
    if (owner.session === undefined) return connection
    const level = await this.#levels.get(owner.session)
    const logs = connection.agreement?.capabilities['logging'] !== undefined
    // Before the first call, which may well log something.
    if (logs && level !== undefined) {
      const signal = AbortSignal.timeout(TELL_MS)
      await tell(connection, { text: setLevelText(level), id: '"level"', headers: {}, signal }).catch(() => undefined)
    }
    void this.#channel().attach(owner.session, upstream.server)
    return connection
  }

  #leave(key: string, held: Held): void {
    held.users -= 1
    if (held.users > 0 || this.#held.get(key) !== held) return
    held.idle = setTimeout(() => void held.connection.then((one) => one.close()).catch(() => undefined), IDLE_MS)
    held.idle.unref()
  }
}

async function tell(connection: SseConnection, call: Call): Promise<void> {
  const reply = await connection.call(call)
  if (reply.kind !== 'stream') return
  for await (const message of reply.messages) if (message.kind === 'response') return
}

async function* passed(messages: Unasked, leave: () => void): Unasked {
  try {
    yield* messages
  } finally {
    leave()
  }
}

/** The same messages; `leave` is called when nobody reads them any more, even if nobody ever did. */
function ended(messages: Unasked, leave: () => void): Unasked {
  const all = passed(messages, leave)
  const stop = all.return.bind(all)
  all.return = async (value) => {
    await messages.return()
    leave()
    return stop(value)
  }
  return all
}

function once(act: () => void): () => void {
  let done = false
  return () => {
    if (!done) act()
    done = true
  }
}
