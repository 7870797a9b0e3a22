// A server that speaks over stdio, as the rest of the agent calls servers: a `fetch` with the manners of streamable HTTP (MCP 2025-11-25,
// basic/transports). Every session has a process of its own, as such servers expect, so no caller ever meets another's; what the process says
// on its own belongs to that one session.

import { Fault } from '../../protocol/fault.ts'
import { parseMessage, type Message } from '../../protocol/envelope.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { Child, type Command } from './child.ts'
import { Conversation } from './conversation.ts'

/** Sessions at once, each with its process. */
const MAX_SESSIONS = 16
/** A session that nobody has used for this long ends when another wants its place, or by itself after ten times that. */
const IDLE_MS = 60_000
const LOOK_MS = 30_000

export interface StdioHost {
  readonly server: string
  readonly command: Command
  /** A line that the process wrote to stderr. */
  readonly said: (line: string) => void
}

export class StdioServer {
  readonly #host: StdioHost
  readonly #sessions = new Map<string, Conversation>()
  readonly #timer: NodeJS.Timeout

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
    await this.#end(id)
    return new Response(null, { status: 204 })
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#sessions.keys()].map((id) => this.#end(id)))
  }

  async #open(message: Message, signal: AbortSignal | undefined): Promise<Response> {
    if (this.#sessions.size >= MAX_SESSIONS) await this.#makeRoom()
    const { server, command, said } = this.#host
    const id = crypto.randomUUID()
    const session: Conversation = new Conversation(
      new Child(command, {
        message: (text) => session.heard(text),
        said,
        ended: (why) => {
          this.#sessions.delete(id)
          session.ended(why)
        },
      }),
      server,
    )
    this.#sessions.set(id, session)
    try {
      const response = await session.post(message, signal)
      response.headers.set('mcp-session-id', id)
      return response
    } catch (error) {
      await this.#end(id)
      throw error
    }
  }

  async #makeRoom(): Promise<void> {
    const [idlest] = [...this.#sessions].sort(([, a], [, b]) => b.idleMs - a.idleMs)
    if (idlest === undefined || idlest[1].idleMs < IDLE_MS) {
      const { server } = this.#host
      throw new Fault('backend_overloaded', `Server ${server} has ${MAX_SESSIONS} sessions, all in use.`, {
        data: { server, retryAfterSeconds: 5 },
      })
    }
    await this.#end(idlest[0])
  }

  async #end(id: string): Promise<void> {
    const session = this.#sessions.get(id)
    this.#sessions.delete(id)
    await session?.close()
  }

  #look(): void {
    for (const [id, session] of this.#sessions) if (session.idleMs > 10 * IDLE_MS) void this.#end(id)
  }
}

function refusal(status: number, message: Message, code: number, text: string): Response {
  const id = message.id ?? 'null'
  return new Response(`{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":${JSON.stringify(text)}}}`, {
    status,
    headers: { 'content-type': 'application/json' },
  })
}
