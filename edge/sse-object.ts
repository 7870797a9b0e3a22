// The object that holds one connection to a server on the old HTTP+SSE transport, for one owner, and lets go of it when it
// has been idle.

import { DurableObject } from 'cloudflare:workers'
import { setLevelText } from '../gateway/backend/handshake.ts'
import { SseConnection } from '../gateway/backend/sse.ts'
import type { Unasked, Upstream } from '../gateway/backend/upstream.ts'
import { orQuiet } from '../gateway/wait.ts'
import { written } from '../protocol/aside.ts'
import { faultText, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { sseComment, sseMessage } from '../protocol/sse.ts'
import { EdgeChannel } from './channel.ts'
import type { Env } from './env.ts'
import type { Errand, Told } from './sse-backend.ts'
import { network } from './upstream.ts'

const IDLE_MS = 60_000
const KEEP_ALIVE_MS = 5_000
const TELL_MS = 5_000
const STREAM_HEADERS = { 'content-type': 'text/event-stream' }

export class SseSessionObject extends DurableObject<Env> {
  readonly #env: Env
  #connection: SseConnection | undefined
  #identity = ''
  #idle: ReturnType<typeof setTimeout> | null = null
  #opening: Promise<SseConnection> | undefined
  /** Calls and listeners that use the connection now. */
  #users = 0

  constructor(state: DurableObjectState, env: Env) {
    super(state, env)
    this.#env = env
  }

  override async fetch(request: Request): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case '/end':
        this.#connection?.close()
        return new Response(null, { status: 204 })
      case '/tell':
        await this.#tell(await request.json<Told>()).catch(() => undefined)
        return new Response(null, { status: 202 })
      case '/listen':
        return this.#listen()
      default:
        return this.#call(await request.json<Errand>())
    }
  }

  async #call(errand: Errand): Promise<Response> {
    const stop = new AbortController()
    this.#enter()
    try {
      const connection = await this.#open(errand)
      const reply = await connection.call({
        text: errand.text,
        id: errand.id,
        headers: errand.headers,
        signal: stop.signal,
      })
      if (reply.kind === 'stream') return this.#stream(reply.messages, stop)
      this.#leave()
      return new Response(null, { status: 202 })
    } catch (error) {
      this.#leave()
      return new Response(faultEvent(error), { headers: STREAM_HEADERS })
    }
  }

  /** Nobody connects to listen: what a server says of itself matters to sessions that use it. */
  #listen(): Response {
    if (this.#connection?.alive !== true) return new Response(null, { status: 204 })
    const stop = new AbortController()
    this.#enter()
    return this.#stream(this.#connection.unasked(stop.signal), stop)
  }

  /** Something whose answer nobody waits for, if there is a connection. */
  async #tell(told: Told): Promise<void> {
    if (this.#connection?.alive === true) await tell(this.#connection, told)
  }

  /** The connection for this address and these credentials; one opening at a time. */
  async #open(errand: Errand): Promise<SseConnection> {
    const identity = JSON.stringify([errand.upstream, errand.credentials])
    if (this.#connection?.alive === true && this.#identity === identity) return this.#connection
    if (this.#opening !== undefined && this.#identity === identity) return this.#opening
    this.#connection?.close()
    this.#identity = identity
    const upstream: Upstream = {
      ...errand.upstream,
      transport: 'sse',
      headers: async () => errand.credentials,
      fetch: network(this.#env, errand.upstream.allowPrivate),
    }
    const opening = SseConnection.open(upstream, errand.owner.capabilities, AbortSignal.timeout(15_000))
    this.#opening = opening
    try {
      const connection = await opening
      // Credentials that changed meanwhile have a connection of their own: this one serves nobody.
      if (this.#opening === opening) this.#connection = connection
      else connection.close()
      const { session } = errand.owner
      const logs = connection.agreement?.capabilities['logging'] !== undefined
      // Before the first call, which may well log something.
      if (logs && errand.level !== undefined) {
        await tell(connection, { text: setLevelText(errand.level), id: '"level"' }).catch(() => undefined)
      }
      if (session !== undefined) await new EdgeChannel(this.#env.CHANNELS).attach(session, upstream.server)
      return connection
    } finally {
      if (this.#opening === opening) this.#opening = undefined
    }
  }

  /** Messages as events, with a comment now and then: a reader that left is noticed at the next write. */
  #stream(messages: Unasked, stop: AbortController): Response {
    const encoder = new TextEncoder()
    let left = false
    const leave = () => {
      if (!left) this.#leave()
      left = true
    }
    let next: Promise<IteratorResult<Message, void>> | undefined
    let pieces: Generator<string, void, void> | undefined
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const piece = pieces?.next()
        if (piece !== undefined && piece.done !== true) {
          controller.enqueue(encoder.encode(piece.value))
          return
        }
        try {
          next ??= messages.next()
          const result = await orQuiet(next, KEEP_ALIVE_MS)
          if (left) return
          if (result === undefined) {
            controller.enqueue(encoder.encode(sseComment))
            return
          }
          next = undefined
          if (result.done !== true) {
            pieces = written(sseMessage(result.value.text), result.value)
            controller.enqueue(encoder.encode(pieces.next().value ?? ''))
            return
          }
        } catch (error) {
          if (left) return
          controller.enqueue(encoder.encode(faultEvent(error)))
        }
        leave()
        controller.close()
      },
      async cancel() {
        leave()
        stop.abort(new Fault('cancelled', 'The caller left.'))
        next?.catch(() => undefined)
        await messages.return()
      },
    })
    return new Response(body, { headers: STREAM_HEADERS })
  }

  #enter(): void {
    this.#users += 1
    clearTimeout(this.#idle)
  }

  /** Once nobody uses the connection any more it is kept for a while only. */
  #leave(): void {
    this.#users -= 1
    if (this.#users > 0) return
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.#connection?.close(), IDLE_MS)
  }
}

async function tell(connection: SseConnection, { text, id }: Told): Promise<void> {
  const reply = await connection.call({ text, id, headers: {}, signal: AbortSignal.timeout(TELL_MS) })
  if (reply.kind !== 'stream') return
  for await (const message of reply.messages) if (message.kind === 'response') return
}

function faultEvent(error: unknown): string {
  const fault = error instanceof Fault ? error : new Fault('backend_unavailable', 'The connection failed.')
  return `event: fault\ndata: ${faultText(undefined, fault)}\n\n`
}
