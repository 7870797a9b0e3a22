// The matrix's legacy servers on SDK v1: with sessions and event ids, without sessions, and over HTTP+SSE (2024-11-05).

import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from '../peers/listen.ts'
import { within } from './connection.ts'
import { Journal } from './journal.ts'
import { addGrown, build } from './legacy-tools.ts'
import type { Connected, Shared } from './legacy-tools.ts'
import type { Server } from './servers.ts'

/** Events of one session, so that a stream can go on where it broke off. */
function newEvents(): EventStore {
  const events: { streamId: string; message: Parameters<EventStore['storeEvent']>[1] }[] = []
  return {
    storeEvent: async (streamId, message) => `event-${events.push({ streamId, message }) - 1}`,
    getStreamIdForEventId: async (id) => events[index(id)]?.streamId,
    replayEventsAfter: async (last, { send }) => {
      const from = index(last)
      const streamId = events[from]?.streamId
      if (streamId === undefined) throw new Error('no such event')
      for (const [at, event] of events.entries()) {
        const isPriming = Object.keys(event.message).length === 0
        if (at > from && event.streamId === streamId && !isPriming) await send(`event-${at}`, event.message)
      }
      return streamId
    },
  }
}

const index = (id: string): number => Number(id.slice('event-'.length))

interface Hive {
  readonly shared: Shared
  connect(transport: Transport, drop?: () => void): Promise<McpServer>
  drop(server: McpServer): void
  close(): Promise<void>
}

function newHive(kind: 'stateful' | 'stateless'): Hive {
  const connected = new Set<Connected>()
  const shared: Shared = {
    journal: new Journal(),
    grown: new Set(),
    grow: (name) => {
      shared.grown.add(name)
      for (const { server } of connected) addGrown(server, name)
    },
    touch: async (uri) => {
      const listeners = [...connected].filter(({ subscribed }) => subscribed.has(uri))
      await Promise.all(
        listeners.map(({ server }) => server.server.sendResourceUpdated({ uri }).catch(() => undefined)),
      )
    },
  }
  return {
    shared,
    connect: async (transport, drop) => {
      const one = build(shared, kind, drop)
      await one.server.connect(transport)
      connected.add(one)
      return one.server
    },
    drop: (server) => {
      for (const one of connected) if (one.server === server) connected.delete(one)
    },
    close: async () => {
      await Promise.all([...connected].map(({ server }) => server.close()))
    },
  }
}

/** Sessions with an event store: every stream can be resumed. */
export async function startStateful(): Promise<Server> {
  const hive = newHive('stateful')
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  return serve(hive, '/mcp', async (request, response) => {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? sessions.get(id) : undefined
    if (known !== undefined) return known.handleRequest(request, response)
    if (id !== undefined) return refuse(response, 404, 'Session not found')
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void sessions.set(session, transport),
      onsessionclosed: (session) => {
        sessions.delete(session)
        hive.drop(server)
      },
      eventStore: newEvents(),
      retryInterval: 100,
    })
    const server = await hive.connect(transport)
    return transport.handleRequest(request, response)
  })
}

/** A new server for every request, gone with its connection. */
export async function startStateless(): Promise<Server> {
  const hive = newHive('stateless')
  return serve(hive, '/mcp', async (request, response) => {
    if (request.method !== 'POST') return refuse(response, 405, 'Method not allowed')
    const transport = new StreamableHTTPServerTransport({})
    const server = await hive.connect(transport)
    response.on('close', () => {
      hive.drop(server)
      void server.close()
    })
    return transport.handleRequest(request, response)
  })
}

/** HTTP+SSE: one stream for everything, posts beside it. */
export async function startOldSse(): Promise<Server> {
  const hive = newHive('stateful')
  const connections = new Map<string, SSEServerTransport>()
  return serve(hive, '/sse', async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (request.method === 'POST' && pathname === '/messages') {
      const transport = connections.get(searchParams.get('sessionId') ?? '')
      return transport === undefined
        ? refuse(response, 404, 'No such connection')
        : transport.handlePostMessage(request, response)
    }
    if (request.method !== 'GET' || pathname !== '/sse') return refuse(response, 405, 'Method not allowed')
    const transport = new SSEServerTransport('/messages', response)
    connections.set(transport.sessionId, transport)
    const server = await hive.connect(transport, () => void response.destroy())
    response.on('close', () => {
      connections.delete(transport.sessionId)
      hive.drop(server)
      void server.close()
    })
  })
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }))
}

type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>

async function serve(hive: Hive, path: string, handle: Handle): Promise<Server> {
  const listening = await listen((request, response) => {
    within(response, () => handle(request, response)).catch((cause: unknown) => {
      if (!response.headersSent) refuse(response, 500, String(cause))
    })
  })
  return {
    url: `${listening.url}${path}`,
    journal: hive.shared.journal,
    close: async () => {
      await hive.close()
      await listening.close()
    },
  }
}
