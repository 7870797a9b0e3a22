// A backend that can be restarted as if its process had died: connections, sessions, streams and running tools are gone,
// the port stays. What it counts (open streams, sessions, executions) outlives it.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '../peers/listen.ts'
import type { Listening } from '../peers/listen.ts'
import { LegacySession } from './legacy.ts'
import { refuse } from './life.ts'
import type { BackendKind, Life } from './life.ts'
import { serveModern } from './modern.ts'
import { OldSession } from './old.ts'
import type { Execute, Message } from './tool.ts'

export interface Backend {
  readonly kind: BackendKind
  readonly port: number
  /** Path that a client of this backend uses. */
  readonly path: string
  restart(pauseMs: number): Promise<void>
  /** Changes the catalog and says so to everybody who listens. */
  change(): void
  readonly generation: number
  /** Sessions that were opened and not ended, in this life. */
  sessions(): number
  /** Responses under way, idle streams among them. */
  responses(): number
  close(): Promise<void>
}

/** Starts a backend on a free port of 127.0.0.1. */
export async function startBackend(kind: BackendKind, execute: Execute): Promise<Backend> {
  let stop = new AbortController()
  let life = newLife(0)
  const open = new Set<ServerResponse>()

  function newLife(generation: number): Life {
    const { signal } = stop
    return { kind, execute, signal, sessions: new Map(), listeners: new Set(), generation }
  }

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    open.add(response)
    response.once('close', () => open.delete(response))
    serve(life, request, response).catch(() => response.destroy())
  }
  let server: Listening = await listen(handler)
  const { port } = server

  return {
    kind,
    port,
    path: kind === 'old' ? '/sse' : '/mcp',
    get generation() {
      return life.generation
    },
    restart: async (pauseMs) => {
      stop.abort(new Error('the backend restarts'))
      await server.close()
      stop = new AbortController()
      life = newLife(life.generation)
      await sleep(pauseMs)
      server = await listen(handler, port)
    },
    change: () => {
      life.generation += 1
      const message = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }
      for (const tell of life.listeners) tell(message)
    },
    sessions: () => life.sessions.size,
    responses: () => open.size,
    close: async () => {
      stop.abort(new Error('the backend is closed'))
      await server.close()
    },
  }
}

async function serve(life: Life, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  const message = body === '' ? undefined : (JSON.parse(body) as Message)
  const url = new URL(request.url ?? '/', 'http://backend')
  if (life.kind === 'old') return serveOld(life, request, url, message, response)
  if (life.kind === 'modern') return serveModern(life, message, response)
  return serveLegacy(life, request, message, response)
}

async function serveLegacy(
  life: Life,
  request: IncomingMessage,
  message: Message | undefined,
  response: ServerResponse,
): Promise<void> {
  const id = request.headers['mcp-session-id']
  const meta = message?.params?.['_meta']
  if (typeof meta === 'object' && meta !== null && 'io.modelcontextprotocol/protocolVersion' in meta) {
    return refuse(response, 400, message?.id, -32000, 'Bad Request: no session')
  }
  if (message?.method === 'initialize') {
    const session = new LegacySession(life)
    const fresh = randomUUID()
    life.sessions.set(fresh, session)
    response.setHeader('mcp-session-id', fresh)
    return session.post(message, response)
  }
  if (typeof id !== 'string') return refuse(response, 400, message?.id, -32000, 'No session')
  const session = life.sessions.get(id)
  if (!(session instanceof LegacySession)) return refuse(response, 404, message?.id, -32001, 'Session not found')
  if (request.method === 'DELETE') {
    life.sessions.delete(id)
    session.close()
    response.writeHead(204).end()
  } else if (request.method === 'GET') session.get(request.headers['last-event-id'], response)
  else if (message !== undefined) await session.post(message, response)
  else response.writeHead(400).end()
}

async function serveOld(
  life: Life,
  request: IncomingMessage,
  url: URL,
  message: Message | undefined,
  response: ServerResponse,
): Promise<void> {
  if (request.method === 'GET' && url.pathname === '/sse') {
    const id = randomUUID()
    life.sessions.set(id, new OldSession(life, id, response))
    response.once('close', () => life.sessions.delete(id))
    return
  }
  const session = life.sessions.get(url.searchParams.get('session') ?? '')
  if (!(session instanceof OldSession) || message === undefined) return void response.writeHead(404).end()
  response.writeHead(202).end()
  await session.take(message)
}
