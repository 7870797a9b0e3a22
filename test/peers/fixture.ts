// The conformance fixture: a server with the names that the conformance suite calls, in both eras on one URL.
// Legacy clients get real sessions (server-to-client requests need them), modern clients are served statelessly.

import { toNodeHandler } from '@modelcontextprotocol/node'
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  fromJsonSchema,
  isLegacyRequest,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server'
import { randomUUID } from 'node:crypto'
import { addPrompts, addResources } from './fixture-content.ts'
import { Events, reconnection } from './fixture-events.ts'
import { roundTools, states } from './fixture-rounds.ts'
import { addSkills, SKILLS } from './fixture-skills.ts'
import { Tasks, taskTools, TASKS } from './fixture-tasks.ts'
import { plainTools } from './fixture-tools.ts'
import type { Announce, FixtureTool } from './fixture-tools.ts'
import { text } from './fixture-tools.ts'
import { hostHeaderAllowed, listen } from './listen.ts'

export interface Fixture {
  /** `http://127.0.0.1:<port>/mcp` */
  readonly url: string
  /** Adds a tool while clients are connected, and says so to those that listen. */
  offer(name: string): void
  close(): Promise<void>
}

const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
}

const extensions = { [TASKS]: {}, [SKILLS]: { directoryRead: true } }
const tools = [...plainTools, ...roundTools, ...taskTools, reconnection]

function addTool(server: McpServer, tool: FixtureTool, announce: Announce): void {
  server.registerTool(
    tool.name,
    {
      description: tool.description,
      inputSchema: fromJsonSchema<Record<string, unknown>>(tool.inputSchema ?? { type: 'object', properties: {} }),
    },
    (args, ctx) => tool.run(args, ctx, announce),
  )
}

function build(announce: Announce, era: 'legacy' | 'modern'): McpServer {
  const server = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    {
      capabilities: era === 'modern' ? { ...capabilities, extensions } : capabilities,
      requestState: { verify: (state, ctx) => states.verify(state, ctx) },
    },
  )
  for (const tool of tools) addTool(server, tool, announce)
  addPrompts(server)
  addResources(server)
  if (era === 'modern') addSkills(server)
  if (era === 'legacy') {
    server.server.setRequestHandler('resources/subscribe', () => ({}))
    server.server.setRequestHandler('resources/unsubscribe', () => ({}))
  }
  return server
}

interface Session {
  readonly transport: WebStandardStreamableHTTPServerTransport
  readonly server: McpServer
}

/** Real 2025 sessions, one server each. */
class Sessions {
  readonly #sessions = new Map<string, Session>()
  readonly #build: () => McpServer
  readonly #resumable: boolean

  constructor(build: () => McpServer, resumable: boolean) {
    this.#build = build
    this.#resumable = resumable
  }

  async fetch(request: Request): Promise<Response> {
    const id = request.headers.get('mcp-session-id')
    if (id !== null) {
      const known = this.#sessions.get(id)
      return known === undefined
        ? Response.json(
            { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } },
            { status: 404 },
          )
        : known.transport.handleRequest(request)
    }
    const server = this.#build()
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (sessionId) => void this.#sessions.set(sessionId, { transport, server }),
      onsessionclosed: (sessionId) => void this.#sessions.delete(sessionId),
      ...(this.#resumable && { eventStore: new Events(), retryInterval: 50 }),
    })
    await server.connect(transport)
    return transport.handleRequest(request)
  }

  each(action: (server: McpServer) => void): void {
    for (const { server } of this.#sessions.values()) action(server)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(({ server }) => server.close()))
    this.#sessions.clear()
  }
}

/** What a fixture is like: which eras it speaks, and whether streams of legacy sessions can be resumed. */
export interface FixtureOptions {
  readonly eras?: 'both' | 'legacy' | 'modern'
  readonly resumable?: boolean
  readonly port?: number
}

/** Starts the fixture on a free loopback port; without options it speaks both eras and forgets its streams. */
export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const eras = options.eras ?? 'both'
  const announce: Announce = {
    toolsChanged: () => {
      modern.notify.toolsChanged()
      sessions.each((server) => server.sendToolListChanged())
    },
    promptsChanged: () => {
      modern.notify.promptsChanged()
      sessions.each((server) => server.sendPromptListChanged())
    },
  }
  const late: FixtureTool[] = []
  const make = (era: 'legacy' | 'modern') => {
    const server = build(announce, era)
    for (const tool of late) addTool(server, tool, announce)
    return server
  }
  const modern = createMcpHandler(() => make('modern'), { legacy: 'reject' })
  const sessions = new Sessions(() => make('legacy'), options.resumable ?? false)
  const tasks = new Tasks()
  const handle = toNodeHandler({
    fetch: async (request) => {
      if (!hostHeaderAllowed(request)) return new Response('Host or Origin not allowed', { status: 403 })
      if (eras === 'legacy') return sessions.fetch(request)
      if (eras === 'both' && (await isLegacyRequest(request))) return sessions.fetch(request)
      return (await tasks.answer(request)) ?? modern.fetch(request)
    },
  })
  const server = await listen(
    (request, response) => void handle(request as NodeIncomingMessageLike, response),
    options.port,
  )
  return {
    url: `${server.url}/mcp`,
    offer: (name) => {
      const tool: FixtureTool = { name, description: 'Offered late', run: () => text('late') }
      late.push(tool)
      modern.notify.toolsChanged()
      // A connected server tells its own listeners.
      sessions.each((session) => addTool(session, tool, announce))
    },
    close: async () => {
      tasks.close()
      await sessions.close()
      await modern.close()
      await server.close()
    },
  }
}
