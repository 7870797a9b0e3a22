// A legacy server as SDK v1 writes it, with an event store: its streams may be cut, by itself or by whoever stands between,
// and gone on with. It counts what it executes, so that tests see a call that was sent twice.

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import { SetLevelRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Events } from '../peers/fixture-events.ts'
import { listen } from '../peers/listen.ts'

/** How the stream of a call loses its connection. */
export type Cut = 'closed by the server' | 'cut by the network' | 'not at all'

type ToolExtra = RequestHandlerExtra<ServerRequest, ServerNotification>

export interface Resumable {
  readonly url: string
  /** How often the tool ran. */
  readonly ran: () => number
  /** GET streams that are open now. */
  readonly open: () => number
  /** `Last-Event-ID` of the GETs so far. */
  readonly resumed: string[]
  /** Log levels that were set. */
  readonly levels: string[]
  /** Says something that belongs to no call, to every session. */
  say(text: string): Promise<void>
  close(): Promise<void>
}

/** Starts it with a tool `count`, which tells three steps 150 ms apart and loses its connection after the first; `linger`, the same with seconds between; and `large`. */
export async function startResumable(
  transport: 'streamable-http' | 'sse',
  cut: Cut = 'not at all',
): Promise<Resumable> {
  const servers = new Set<McpServer>()
  const streams = new Set<ServerResponse>()
  const posts = new Set<ServerResponse>()
  const transports = new Map<string, StreamableHTTPServerTransport | SSEServerTransport>()
  const resumed: string[] = []
  const levels: string[] = []
  let ran = 0

  function build(): McpServer {
    const server = new McpServer({ name: 'resumable', version: '1.0.0' }, { capabilities: { logging: {} } })
    const count = async (extra: ToolExtra, pauseMs: number) => {
      ran += 1
      const progressToken = extra._meta?.progressToken
      for (const progress of [1, 2, 3]) {
        if (progressToken !== undefined)
          await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress } })
        if (progress === 1) await sleep(50)
        if (progress === 1 && cut === 'closed by the server') extra.closeSSEStream?.()
        if (progress === 1 && cut === 'cut by the network') for (const response of posts) response.destroy()
        await sleep(pauseMs)
      }
      return { content: [{ type: 'text' as const, text: 'three' }] }
    }
    server.registerTool('count', { description: 'Counts to three' }, (extra) => count(extra, 150))
    server.registerTool('linger', { description: 'Counts slowly' }, (extra) => count(extra, 5_000))
    server.registerTool('large', { description: 'Tells 20 MB' }, () => ({
      content: [{ type: 'text', text: 'x'.repeat(20_000_000) }],
    }))
    server.server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
      levels.push(params.level)
      return {}
    })
    servers.add(server)
    return server
  }

  async function streamable(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const known = transports.get(String(request.headers['mcp-session-id']))
    if (known instanceof StreamableHTTPServerTransport) {
      await known.handleRequest(request, response)
      return
    }
    if (request.headers['mcp-session-id'] !== undefined) {
      response.writeHead(404).end()
      return
    }
    const made = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new Events(),
      retryInterval: 100,
      onsessioninitialized: (id) => void transports.set(id, made),
    })
    await build().connect(made)
    await made.handleRequest(request, response)
  }

  async function sse(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      const made = new SSEServerTransport('/messages', response)
      transports.set(made.sessionId, made)
      await build().connect(made)
      return
    }
    const known = transports.get(new URL(request.url ?? '', 'http://peer').searchParams.get('sessionId') ?? '')
    if (known instanceof SSEServerTransport) await known.handlePostMessage(request, response)
    else response.writeHead(404).end()
  }

  const server = await listen((request, response) => {
    const kind = request.method === 'GET' ? streams : posts
    kind.add(response)
    response.on('close', () => void kind.delete(response))
    const after = request.headers['last-event-id']
    if (typeof after === 'string') resumed.push(after)
    const handle = transport === 'sse' ? sse : streamable
    handle(request, response).catch(() => response.destroy())
  })
  return {
    url: `${server.url}/${transport === 'sse' ? 'sse' : 'mcp'}`,
    ran: () => ran,
    open: () => streams.size,
    resumed,
    levels,
    say: async (data) => {
      // Sessions that have ended are not connected any more.
      await Promise.allSettled([...servers].map((one) => one.server.sendLoggingMessage({ level: 'info', data })))
    },
    close: async () => {
      await Promise.all([...servers].map((one) => one.close()))
      await server.close()
    },
  }
}
