// A server of SDK v1 on the old HTTP+SSE transport that asks: its questions and its answers all travel on one stream.

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { RootsListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { listen } from '../peers/listen.ts'

export interface Elder {
  readonly url: string
  /** How many roots it was told of, each time it asked because they changed. */
  readonly roots: number[]
  close(): Promise<void>
}

/** Starts it with one tool, `ask`, which asks a form, a sample and the roots, and tells what it heard. */
export async function startElder(): Promise<Elder> {
  const transports = new Map<string, SSEServerTransport>()
  const servers: McpServer[] = []
  const known: number[] = []

  function build(): McpServer {
    const mcp = new McpServer({ name: 'elder', version: '1.0.0' })
    const { server } = mcp
    mcp.registerTool('ask', { description: 'Asks three things' }, async () => {
      const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } } as const
      const { action, content } = await server.elicitInput({ message: 'Who?', requestedSchema })
      const sample = await server.createMessage({
        messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }],
        maxTokens: 5,
      })
      const { roots } = await server.listRoots()
      const heard = [action, content?.['name'], sample.model, roots.length].join(' ')
      return { content: [{ type: 'text', text: heard }] }
    })
    server.setNotificationHandler(RootsListChangedNotificationSchema, async () => {
      known.push((await server.listRoots()).roots.length)
    })
    servers.push(mcp)
    return mcp
  }

  const server = await listen((request, response) => {
    const serve = async (): Promise<void> => {
      if (request.method === 'GET') {
        const transport = new SSEServerTransport('/messages', response)
        transports.set(transport.sessionId, transport)
        await build().connect(transport)
        return
      }
      const session = new URL(request.url ?? '', 'http://peer').searchParams.get('sessionId') ?? ''
      await transports.get(session)?.handlePostMessage(request, response)
    }
    serve().catch(() => response.destroy())
  })
  return {
    url: `${server.url}/sse`,
    roots: known,
    close: async () => {
      await Promise.all(servers.map((one) => one.close()))
      await server.close()
    },
  }
}
