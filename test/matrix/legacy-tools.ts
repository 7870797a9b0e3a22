// The tools of the matrix's legacy servers, registered on SDK v1. The modern ones (modern.ts) have the same names and answers.

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { bigText, blob, form, notes, patience, question, url } from './content.ts'
import { hangUp } from './connection.ts'
import type { Journal } from './journal.ts'

/** What one server process shares between its connections. */
export interface Shared {
  readonly journal: Journal
  /** Tools that were added late. */
  readonly grown: Set<string>
  /** Adds a tool to every connected server; each tells its own client. */
  grow(name: string): void
  /** Tells every connection that subscribed to a resource that it changed. */
  touch(uri: string): Promise<void>
}

/** A server for one connection, and the URIs that its client subscribed to. */
export interface Connected {
  readonly server: McpServer
  readonly subscribed: ReadonlySet<string>
}

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })
const keyed = { inputSchema: { key: z.string() } }

/** `stateless` servers offer nothing that needs a connection that lasts. `drop` breaks the connection that a call waits on. */
export function build(shared: Shared, kind: 'stateful' | 'stateless', drop: () => void = hangUp): Connected {
  const lasting = kind === 'stateful'
  const server = new McpServer(
    { name: 'matrix', version: '1.0.0' },
    {
      capabilities: {
        logging: {},
        tools: { listChanged: lasting },
        resources: { subscribe: lasting, listChanged: lasting },
      },
    },
  )
  const subscribed = new Set<string>()
  addPlain(server, shared)
  addLong(server, shared.journal, drop)
  // Questions without a session lead nowhere: who asks them gives up soon, so that tests need not wait.
  addAsking(server, lasting ? 10_000 : 1_500)
  for (const name of shared.grown) addGrown(server, name)
  for (const uri of notes) {
    server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: uri }] }))
  }
  if (lasting) {
    server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
      subscribed.add(params.uri)
      return {}
    })
    server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
      subscribed.delete(params.uri)
      return {}
    })
  }
  return { server, subscribed }
}

/** Adds a tool while clients are connected. */
export function addGrown(server: McpServer, name: string): void {
  server.registerTool(name, { description: 'Added late' }, () => text('late'))
}

function addPlain(server: McpServer, shared: Shared): void {
  server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => text(String(a + b)))
  server.registerTool('big', {}, () => text(bigText))
  server.registerTool('big_blob', {}, () => ({
    content: [{ type: 'resource', resource: { uri: 'blob://big', blob } }],
  }))
  server.registerTool('log', {}, async (extra) => {
    for (const level of ['debug', 'info'] as const) {
      await server.sendLoggingMessage({ level, data: `${level} of the session` }, extra.sessionId)
    }
    const params = { level: 'info' as const, data: 'info of the call' }
    await extra.sendNotification({ method: 'notifications/message', params })
    await sleep(patience)
    return text('logged')
  })
  server.registerTool('touch', { inputSchema: { uri: z.string() } }, async ({ uri }) => {
    await shared.touch(uri)
    return text('touched')
  })
  server.registerTool('grow', { inputSchema: { name: z.string() } }, ({ name }) => {
    shared.grow(name)
    return text('grown')
  })
}

function addLong(server: McpServer, journal: Journal, drop: () => void): void {
  server.registerTool('slow', {}, async (extra) => {
    const progressToken = extra._meta?.progressToken
    for (const progress of [1, 2, 3]) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: 3 }
        await extra.sendNotification({ method: 'notifications/progress', params })
      }
      await sleep(patience)
    }
    return text('done')
  })
  server.registerTool('wait', keyed, async ({ key }, extra) => {
    await journal.wait(key, extra.signal)
    return text('waited')
  })
  // Says something first: clients of revisions without priming events learn the stream's first event id from it.
  server.registerTool('resumable', keyed, async ({ key }, extra) => {
    const progressToken = extra._meta?.progressToken
    if (progressToken !== undefined) {
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
    }
    await journal.wait(key, extra.signal)
    return text(`resumed ${key}`)
  })
  server.registerTool('cut', keyed, async ({ key }) => {
    journal.began(key)
    await sleep(patience)
    drop()
    await sleep(patience)
    return text(`survived ${key}`)
  })
  // Leaves its own call (SEP-1699): who wants the answer must come back for it.
  server.registerTool('leave', keyed, async ({ key }, extra) => {
    journal.began(key)
    extra.closeSSEStream?.()
    await sleep(3 * patience)
    return text(`survived ${key}`)
  })
}

function addAsking(server: McpServer, timeout: number): void {
  const ask = server.server
  server.registerTool('ask_form', {}, async (extra) => {
    const answer = await ask.elicitInput(form, { relatedRequestId: extra.requestId, timeout })
    return text(`${answer.action} ${String(answer.content?.['name'] ?? '')}`)
  })
  // Most servers do not say which call a question belongs to: it comes on the stream of the session.
  server.registerTool('ask_unrelated', {}, async () => {
    const answer = await ask.elicitInput(form, { timeout })
    return text(`${answer.action} ${String(answer.content?.['name'] ?? '')}`)
  })
  server.registerTool('ask_url', {}, async (extra) => {
    const answer = await ask.elicitInput(
      { mode: 'url', elicitationId: 'matrix-1', ...url },
      { relatedRequestId: extra.requestId, timeout },
    )
    return text(answer.action)
  })
  server.registerTool('ask_model', {}, async (extra) => {
    const answer = await ask.createMessage(question, { relatedRequestId: extra.requestId, timeout })
    return text(!Array.isArray(answer.content) && answer.content.type === 'text' ? answer.content.text : '')
  })
  server.registerTool('ask_roots', {}, async (extra) => {
    const { roots } = await ask.listRoots(undefined, { relatedRequestId: extra.requestId, timeout })
    return text(roots.map((root) => root.uri).join(' '))
  })
}
