// A server of either era that says things on its own: a resource changed, a log line, a question for the client's roots.

import { toNodeHandler } from '@modelcontextprotocol/node'
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { randomUUID } from 'node:crypto'
import { listen } from '../peers/listen.ts'

export interface Talker {
  readonly url: string
  /** The one resource that changes. */
  readonly uri: string
  /** Legacy: the URIs that sessions subscribed to, in order. */
  readonly subscribed: readonly string[]
  /** Open streams on which clients listen. */
  listeners(): number
  /** Says that the resource changed. */
  touch(): void
  /** Legacy: says a log line on the stream of every session. */
  log(text: string): void
  /** Legacy: asks the client of the newest session for its roots. */
  roots(): Promise<readonly { uri: string }[]>
  /** Legacy: forgets all sessions, as a restart does. */
  forget(): void
  close(): Promise<void>
}

const uri = 'note://changing'

function build(): McpServer {
  const capabilities = { tools: {}, resources: { subscribe: true }, logging: {} }
  const server = new McpServer({ name: 'talker', version: '1' }, { capabilities })
  server.registerResource('note', uri, {}, () => ({ contents: [{ uri, text: 'now' }] }))
  const inputSchema = fromJsonSchema<Record<string, unknown>>({ type: 'object', properties: {} })
  server.registerTool('hello', { inputSchema }, () => ({ content: [{ type: 'text', text: 'hello' }] }))
  return server
}

/** Starts one on a free loopback port. */
export async function startTalker(era: 'legacy' | 'modern'): Promise<Talker> {
  const sessions = new Map<string, { server: McpServer; transport: WebStandardStreamableHTTPServerTransport }>()
  const subscribed: string[] = []
  let listening = 0

  const legacy = async (request: Request): Promise<Response> => {
    const id = request.headers.get('mcp-session-id')
    if (id !== null) {
      const known = sessions.get(id)
      return known === undefined ? new Response('no session', { status: 404 }) : known.transport.handleRequest(request)
    }
    const server = build()
    server.server.setRequestHandler('resources/subscribe', ({ params }) => {
      subscribed.push(params.uri)
      return {}
    })
    server.server.setRequestHandler('resources/unsubscribe', () => ({}))
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void sessions.set(session, { server, transport }),
    })
    await server.connect(transport)
    return transport.handleRequest(request)
  }
  const modern = createMcpHandler(build, { legacy: 'reject' })
  const handle = toNodeHandler({ fetch: (request) => (era === 'legacy' ? legacy(request) : modern.fetch(request)) })
  const http = await listen((request, response) => {
    const isStream = request.method === 'GET' || request.headers['mcp-method'] === 'subscriptions/listen'
    if (isStream) {
      listening += 1
      response.once('close', () => (listening -= 1))
    }
    void handle(request as NodeIncomingMessageLike, response)
  })
  const each = (act: (server: McpServer) => Promise<unknown>) => {
    for (const { server } of sessions.values()) void act(server).catch(() => undefined)
  }
  return {
    url: `${http.url}/mcp`,
    uri,
    subscribed,
    listeners: () => listening,
    touch: () => {
      modern.notify.resourceUpdated(uri)
      each((server) => server.server.sendResourceUpdated({ uri }))
    },
    log: (text) => each((server) => server.server.sendLoggingMessage({ level: 'error', data: text })),
    roots: async () => {
      const newest = [...sessions.values()].at(-1)
      if (newest === undefined) throw new Error('no session')
      const { roots } = await newest.server.server.listRoots(undefined, { timeout: 30_000 })
      return roots
    },
    forget: () => {
      for (const { server } of sessions.values()) void server.close()
      sessions.clear()
    },
    close: async () => {
      for (const { server } of sessions.values()) await server.close()
      await modern.close()
      await http.close()
    },
  }
}
