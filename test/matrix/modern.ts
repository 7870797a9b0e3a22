// The matrix's modern server on SDK v2: 2026-07-28 only, asking by input_required.

import { toNodeHandler } from '@modelcontextprotocol/node'
import type { NodeIncomingMessageLike } from '@modelcontextprotocol/node'
import {
  acceptedContent,
  createMcpHandler,
  inputRequired,
  inputResponse,
  McpServer,
} from '@modelcontextprotocol/server'
import type { CallToolResult, InputRequest, ServerContext } from '@modelcontextprotocol/server'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { listen } from '../peers/listen.ts'
import { bigText, blob, form, notes, patience, question, url } from './content.ts'
import { hangUp, within } from './connection.ts'
import { Journal } from './journal.ts'
import type { Server } from './servers.ts'

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })
const keyed = { inputSchema: z.object({ key: z.string() }) }

interface Announce {
  grow(name: string): void
  touch(uri: string): void
}

export async function startModern(): Promise<Server> {
  const journal = new Journal()
  const grown = new Set<string>()
  const announce: Announce = {
    grow: (name) => {
      grown.add(name)
      handler.notify.toolsChanged()
    },
    touch: (uri) => handler.notify.resourceUpdated(uri),
  }
  const handler = createMcpHandler(() => build(journal, grown, announce), { legacy: 'reject' })
  const handle = toNodeHandler(handler)
  const listening = await listen(
    (request, response) => void within(response, () => handle(request as NodeIncomingMessageLike, response)),
  )
  return {
    url: `${listening.url}/mcp`,
    journal,
    close: async () => {
      await handler.close()
      await listening.close()
    },
  }
}

function build(journal: Journal, grown: ReadonlySet<string>, announce: Announce): McpServer {
  const server = new McpServer(
    { name: 'matrix', version: '1.0.0' },
    {
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
      },
    },
  )
  addPlain(server, announce)
  addLong(server, journal)
  addAsking(server)
  for (const name of grown) server.registerTool(name, { description: 'Added late' }, () => text('late'))
  for (const uri of notes) {
    server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: uri }] }))
  }
  return server
}

function addPlain(server: McpServer, announce: Announce): void {
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) =>
    text(String(a + b)),
  )
  server.registerTool('big', {}, () => text(bigText))
  server.registerTool('big_blob', {}, () => ({
    content: [{ type: 'resource', resource: { uri: 'blob://big', blob } }],
  }))
  server.registerTool('log', {}, async (ctx) => {
    for (const level of ['debug', 'info'] as const) await ctx.mcpReq.log(level, `${level} of the call`)
    await sleep(patience)
    return text('logged')
  })
  server.registerTool('touch', { inputSchema: z.object({ uri: z.string() }) }, ({ uri }) => {
    announce.touch(uri)
    return text('touched')
  })
  server.registerTool('grow', { inputSchema: z.object({ name: z.string() }) }, ({ name }) => {
    announce.grow(name)
    return text('grown')
  })
}

async function progress(ctx: ServerContext, step: number): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken
  if (progressToken === undefined) return
  await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: step } })
}

function addLong(server: McpServer, journal: Journal): void {
  server.registerTool('slow', {}, async (ctx) => {
    for (const step of [1, 2, 3]) {
      await progress(ctx, step)
      await sleep(patience)
    }
    return text('done')
  })
  server.registerTool('wait', keyed, async ({ key }, ctx) => {
    await journal.wait(key, ctx.mcpReq.signal)
    return text('waited')
  })
  server.registerTool('resumable', keyed, async ({ key }, ctx) => {
    await progress(ctx, 1)
    await journal.wait(key, ctx.mcpReq.signal)
    return text(`resumed ${key}`)
  })
  server.registerTool('cut', keyed, async ({ key }) => {
    journal.began(key)
    await sleep(patience)
    hangUp()
    return text(`survived ${key}`)
  })
}

function addAsking(server: McpServer): void {
  const asking = (name: string, request: InputRequest, answered: (ctx: ServerContext) => string | undefined): void => {
    server.registerTool(name, {}, (ctx) => {
      const answer = answered(ctx)
      return answer === undefined ? inputRequired({ inputRequests: { it: request } }) : text(answer)
    })
  }
  asking('ask_form', inputRequired.elicit(form), (ctx) => {
    const name = acceptedContent(ctx.mcpReq.inputResponses, 'it')?.['name']
    return typeof name === 'string' ? `accept ${name}` : undefined
  })
  asking('ask_url', inputRequired.elicitUrl(url), (ctx) => {
    const view = inputResponse(ctx.mcpReq.inputResponses, 'it')
    return view.kind === 'elicit' ? view.action : undefined
  })
  asking('ask_model', inputRequired.createMessage(question), (ctx) => {
    const view = inputResponse(ctx.mcpReq.inputResponses, 'it')
    if (view.kind !== 'sampling') return undefined
    const { content } = view.result
    return !Array.isArray(content) && content.type === 'text' ? content.text : undefined
  })
  asking('ask_roots', inputRequired.listRoots(), (ctx) => {
    const view = inputResponse(ctx.mcpReq.inputResponses, 'it')
    return view.kind === 'roots' ? view.roots.map((root) => root.uri).join(' ') : undefined
  })
}
