// A modern (2026-07-28) MCP server of our own: an incident board with tools, a prompt, a resource, a resource template,
// completion, progress and change notifications. Every request gets a server of its own; all share one board.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
  type NodeIncomingMessageLike,
} from '@modelcontextprotocol/node'
import {
  completable,
  createMcpHandler,
  McpServer,
  ResourceTemplate,
  type McpHttpHandler,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { describe, Incidents, severities, type Incident } from './incidents.ts'

export interface ModernServer {
  /** The MCP endpoint. */
  readonly url: string
  close(): Promise<void>
}

/** Starts the board on loopback. Throws what `listen` throws, so a taken port is an `EADDRINUSE`. */
export async function startModern(options: { port?: number } = {}): Promise<ModernServer> {
  const incidents = new Incidents()
  const handler: McpHttpHandler = createMcpHandler(() => board(incidents, () => handler.notify), { legacy: 'reject' })
  const serveMcp = toNodeHandler(handler)
  const [hostAllowed, originAllowed] = [localhostHostValidation(), localhostOriginValidation()]
  const server = createServer((request, response) => {
    if (!hostAllowed(request, response) || !originAllowed(request, response)) return
    if (new URL(request.url ?? '/', 'http://localhost').pathname !== '/mcp') {
      response.writeHead(404).end('The MCP endpoint is /mcp\n')
      return
    }
    // The adapter's types leave out `undefined` where Node's have it.
    void serveMcp(request as NodeIncomingMessageLike, response)
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('modern: no port to listen on')
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    close: async () => {
      await handler.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const incidentShape = z.object({
  id: z.string(),
  title: z.string(),
  service: z.string(),
  severity: z.enum(severities),
  status: z.enum(['open', 'resolved']),
  opened: z.string(),
  notes: z.array(z.string()),
  resolution: z.string().optional(),
})
const incidentId = () => z.string().describe('Incident id, such as INC-101')
const id = incidentId()

function board(incidents: Incidents, notify: () => McpHttpHandler['notify']): McpServer {
  const server = new McpServer(
    { name: 'incident-board', title: 'Incident board', version: '1.0.0' },
    { instructions: 'Incidents of the company. List them before you change one; resolve only what is really over.' },
  )
  const changed = () => {
    notify().resourcesChanged()
    notify().resourceUpdated('board://incidents')
  }
  addReading(server, incidents)
  addChanging(server, incidents, changed)
  addPrompt(server, incidents)
  addResources(server, incidents)
  return server
}

function addReading(server: McpServer, incidents: Incidents): void {
  server.registerTool(
    'list_incidents',
    {
      title: 'List incidents',
      description: 'The incidents on the board, oldest first.',
      inputSchema: z.object({ status: z.enum(['open', 'resolved', 'all']).default('open') }),
      outputSchema: z.object({ incidents: z.array(incidentShape) }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ status }) => {
      const found = incidents.list(status)
      const text = found.map((one) => `${one.id} [${one.severity}, ${one.status}] ${one.title}`).join('\n')
      return {
        content: [{ type: 'text', text: text === '' ? 'None.' : text }],
        structuredContent: { incidents: found },
      }
    },
  )
  server.registerTool(
    'get_incident',
    {
      title: 'Read an incident',
      description: 'One incident with its notes.',
      inputSchema: z.object({ id }),
      outputSchema: incidentShape,
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async (input) => answer(incidents.get(input.id)),
  )
  server.registerTool(
    'diagnose_service',
    {
      title: 'Diagnose a service',
      description: 'Runs the checks of a service one after the other and reports progress on the way.',
      inputSchema: z.object({ service: z.string().describe('Service name, such as checkout') }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ service }, context) => {
      const checks = ['DNS', 'certificate', 'database', 'queue', 'error rate']
      for (const [index, check] of checks.entries()) {
        await progress(context, index, checks.length, `checking ${check}`)
        await sleep(100, undefined, { signal: context.mcpReq.signal })
      }
      const open = incidents.list().filter((incident) => incident.service === service)
      const verdict = open.length === 0 ? 'all is well' : `known trouble: ${open.map((one) => one.id).join(', ')}`
      return { content: [{ type: 'text', text: `${service}: ${checks.length} checks done, ${verdict}` }] }
    },
  )
}

function addChanging(server: McpServer, incidents: Incidents, changed: () => void): void {
  server.registerTool(
    'open_incident',
    {
      title: 'Open an incident',
      description: 'Puts a new incident on the board.',
      inputSchema: z.object({
        title: z.string().min(3).max(120),
        service: z.string().min(1).max(60),
        severity: z.enum(severities).default('low'),
      }),
      outputSchema: incidentShape,
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
    },
    async ({ title, service, severity }) => {
      const incident = incidents.open(title, service, severity)
      changed()
      return answer(incident)
    },
  )
  server.registerTool(
    'add_note',
    {
      title: 'Add a note',
      description: 'Adds a note to an incident.',
      inputSchema: z.object({ id, text: z.string().min(1).max(500) }),
      outputSchema: incidentShape,
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: false },
    },
    async (input) => {
      const incident = incidents.note(input.id, input.text)
      changed()
      return answer(incident)
    },
  )
  server.registerTool(
    'resolve_incident',
    {
      title: 'Resolve an incident',
      description: 'Closes an incident and says what ended it.',
      inputSchema: z.object({ id, resolution: z.string().min(3).max(500) }),
      outputSchema: incidentShape,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    },
    async (input) => {
      const incident = incidents.resolve(input.id, input.resolution)
      changed()
      return answer(incident)
    },
  )
  server.registerTool(
    'reset_board',
    {
      title: 'Reset the board',
      description: 'Throws all incidents away and starts over with three examples.',
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    },
    async () => {
      incidents.clear()
      changed()
      return { content: [{ type: 'text', text: 'The board is as it was in the beginning.' }] }
    },
  )
}

function addPrompt(server: McpServer, incidents: Incidents): void {
  server.registerPrompt(
    'postmortem',
    {
      title: 'Write a postmortem',
      description: 'Asks for a blameless postmortem of one incident.',
      argsSchema: z.object({
        // A schema of its own each time: completable marks the one it is given, once.
        id: completable(incidentId(), (start) =>
          incidents.list('all').flatMap((one) => (one.id.startsWith(start) ? [one.id] : [])),
        ),
      }),
    },
    (input) => {
      const incident = incidents.get(input.id)
      const text = `Write a blameless postmortem (timeline, causes, what we change) of this incident:\n\n${describe(incident)}`
      return { messages: [{ role: 'user', content: { type: 'text', text } }] }
    },
  )
}

function addResources(server: McpServer, incidents: Incidents): void {
  server.registerResource(
    'board',
    'board://incidents',
    { title: 'The whole board', description: 'All incidents as Markdown.', mimeType: 'text/markdown' },
    (uri) => {
      const text = incidents.list('all').map(describe).join('\n\n')
      return { contents: [{ uri: uri.href, mimeType: 'text/markdown', text }] }
    },
  )
  const template = new ResourceTemplate('board://incidents/{id}', {
    list: () => ({
      resources: incidents.list().map((one) => ({
        uri: `board://incidents/${one.id}`,
        name: one.id,
        title: one.title,
        mimeType: 'text/markdown',
      })),
    }),
    complete: {
      id: (start) => incidents.list('all').flatMap((one) => (one.id.startsWith(start) ? [one.id] : [])),
    },
  })
  server.registerResource(
    'incident',
    template,
    { title: 'One incident', description: 'An incident as Markdown.', mimeType: 'text/markdown' },
    (uri, variables) => {
      const text = describe(incidents.get(String(variables['id'])))
      return { contents: [{ uri: uri.href, mimeType: 'text/markdown', text }] }
    },
  )
}

function answer(incident: Incident) {
  return { content: [{ type: 'text' as const, text: describe(incident) }], structuredContent: { ...incident } }
}

async function progress(context: ServerContext, done: number, total: number, message: string): Promise<void> {
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) return
  await context.mcpReq.notify({
    method: 'notifications/progress',
    params: { progressToken, progress: done, total, message },
  })
}
