// A server that speaks over stdio, as the rest of the agent calls servers: a `fetch` with the manners of streamable HTTP (MCP 2025-11-25,
// basic/transports). Every session has a process of its own, as such servers expect, so no caller ever meets another's; what the process says
// on its own belongs to that one session. A process that ends before it has agreed on anything is not started again at once.

import { Fault } from '../../protocol/fault.ts'
import { errorText, parseMessage, type Message } from '../../protocol/envelope.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { Child, type Command, type Listener } from './child.ts'
import { Conversation, type Process } from './conversation.ts'

/** Sessions at once, each with its process. */
const MAX_SESSIONS = 16
/** A session that nobody has used for this long ends when another wants its place, or by itself after ten times that. */
const IDLE_MS = 60_000
const LOOK_MS = 30_000
/** Until a process is started again that ended at its start; doubled with each further one. */
const FIRST_PAUSE_MS = 500
const LAST_PAUSE_MS = 30_000

export interface StdioHost {
  readonly server: string
  readonly command: Command
  /** A line for the log: the process wrote it to stderr, or it is about the process. */
  readonly said: (line: string) => void
  /** Default: a `Child`. */
  readonly start?: (command: Command, listener: Listener) => Process
}

export class StdioServer {
  readonly #host: StdioHost
  readonly #sessions = new Map<string, Conversation>()
  readonly #ending = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #failures = 0
  #startsAt = 0
  #isClosed = false

  constructor(host: StdioHost) {
    this.#host = host
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  readonly fetch: Fetch = async (_url, { method = 'GET', headers, body, signal }) => {
    const id = new Headers(headers).get('mcp-session-id')
    const session = id === null ? undefined : this.#sessions.get(id)
    if (method === 'POST') {
      const message = parseMessage(await new Response(body ?? '').text())
      if (message.method === 'initialize') return this.#open(message, signal ?? undefined)
      if (id === null) return refusal(400, message, -32_000, 'Bad Request: no session')
      if (session === undefined) return refusal(404, message, -32_001, 'Session not found')
      return session.post(message, signal ?? undefined)
    }
    if (session === undefined || id === null) return new Response(null, { status: id === null ? 400 : 404 })
    if (method === 'GET') return session.listen(signal ?? undefined)
    if (method !== 'DELETE') return new Response(null, { status: 405, headers: { allow: 'POST, GET, DELETE' } })
    this.#end(id)
    return new Response(null, { status: 204 })
  }

  /** Ends all processes; resolves when they have ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const id of this.#sessions.keys()) this.#end(id)
    await Promise.all(this.#ending)
  }

  /** A process for a new session, which lives while it agrees. Throws `Fault`. */
  #open(message: Message, signal: AbortSignal | undefined): Response {
    const { server } = this.#host
    const waitMs = this.#startsAt - performance.now()
    if (this.#isClosed || waitMs > 0) {
      const data = { server, retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) }
      throw new Fault('backend_unavailable', `Server ${server} ended when it was started; it is not started now.`, {
        data,
      })
    }
    this.#makeRoom()
    const id = crypto.randomUUID()
    let hasAgreed = false
    const session: Conversation = this.#start((why) => {
      // One that we end ourselves is none of them any more.
      const isEarly = this.#sessions.delete(id) && !hasAgreed
      if (isEarly) this.#pause(why)
      session.ended(this.#gone(why))
    })
    this.#sessions.set(id, session)
    try {
      const response = session.post(message, signal, (answer) => {
        hasAgreed = answer?.result !== undefined
        if (hasAgreed) this.#failures = 0
        else this.#end(id)
      })
      response.headers.set('mcp-session-id', id)
      return response
    } catch (error) {
      this.#end(id)
      throw error
    }
  }

  #start(ended: (why: string) => void): Conversation {
    const { server, command, said, start = (...given) => new Child(...given) } = this.#host
    try {
      const session: Conversation = new Conversation(
        start(command, { message: (text) => session.heard(text), said, ended }),
        server,
      )
      return session
    } catch {
      // What Node says of arguments repeats them.
      throw new Fault('backend_refused', `Server ${server} cannot be started here.`, { data: { server } })
    }
  }

  #pause(why: string): void {
    const pauseMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures)
    this.#failures += 1
    this.#startsAt = performance.now() + pauseMs
    this.#host.said(`(the process ended before it answered: ${why})`)
  }

  #gone(why: string): Fault {
    const { server } = this.#host
    const data = { server, retryAfterSeconds: 1 }
    return new Fault('backend_unavailable', `The process of server ${server} has ended.`, { data, detail: why })
  }

  #makeRoom(): void {
    if (this.#sessions.size < MAX_SESSIONS) return
    const [idlest] = [...this.#sessions].sort(([, a], [, b]) => b.idleMs - a.idleMs)
    if (idlest !== undefined && idlest[1].idleMs >= IDLE_MS) return this.#end(idlest[0])
    const { server } = this.#host
    throw new Fault('backend_overloaded', `Server ${server} has ${MAX_SESSIONS} sessions, all in use.`, {
      data: { server, retryAfterSeconds: 5 },
    })
  }

  /** Nobody waits for the process to end but `close`. */
  #end(id: string): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    const ending = session.close().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  #look(): void {
    for (const [id, session] of this.#sessions) if (session.idleMs > 10 * IDLE_MS) this.#end(id)
  }
}

function refusal(status: number, { id }: Message, code: number, text: string): Response {
  return new Response(errorText(id, code, text), { status, headers: { 'content-type': 'application/json' } })
}
