// A legacy client of SDK v1 that answers what servers ask, and remembers what it was asked.

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { ClientCapabilities, ElicitRequest, ElicitResult } from '@modelcontextprotocol/sdk/types.js'

export interface Answering {
  readonly client: Client
  readonly transport: StreamableHTTPClientTransport
  /** Requests of servers, in the order in which they came. */
  readonly asked: { readonly method: string; readonly params: Readonly<Record<string, unknown>> }[]
  /** Calls a tool and returns the text of its first block. */
  call(name: string, args?: Record<string, unknown>): Promise<string>
  close(): Promise<void>
}

export interface Answers {
  readonly capabilities?: ClientCapabilities
  /** Default: accepts, with every required property filled in. */
  readonly elicit?: (params: ElicitRequest['params']) => Promise<ElicitResult> | ElicitResult
}

const everything: ClientCapabilities = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
}

/** Connects with these capabilities (default: all). */
export async function connectAnswering(url: string, token: string, answers: Answers = {}): Promise<Answering> {
  const capabilities = answers.capabilities ?? everything
  const client = new Client({ name: 'answering', version: '1.0.0' }, { capabilities })
  const asked: { method: string; params: Readonly<Record<string, unknown>> }[] = []
  if (capabilities.elicitation !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ method, params }) => {
      asked.push({ method, params })
      return (answers.elicit ?? filled)(params)
    })
  }
  if (capabilities.sampling !== undefined) {
    client.setRequestHandler(CreateMessageRequestSchema, ({ method, params }) => {
      asked.push({ method, params })
      return { model: 'none', role: 'assistant', content: { type: 'text', text: 'sampled' } }
    })
  }
  if (capabilities.roots !== undefined) {
    client.setRequestHandler(ListRootsRequestSchema, ({ method, params }) => {
      asked.push({ method, params: params ?? {} })
      return { roots: [{ uri: 'file:///work', name: 'work' }] }
    })
  }
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit })
  await client.connect(transport, { timeout: 60_000 })
  return {
    client,
    transport,
    asked,
    call: async (name, args = {}) => {
      const result = await client.callTool({ name, arguments: args }, undefined, { timeout: 60_000 })
      const [block] = result.content as { text?: string }[]
      return block?.text ?? JSON.stringify(result)
    },
    close: async () => {
      await transport.terminateSession().catch(() => undefined)
      await client.close()
    },
  }
}

function filled(params: ElicitRequest['params']): ElicitResult {
  if (!('requestedSchema' in params)) return { action: 'accept' }
  const entries = Object.entries(params.requestedSchema.properties).map(
    ([name, { type }]): [string, boolean | string] => [name, type === 'boolean' ? true : 'blue'],
  )
  return { action: 'accept', content: Object.fromEntries(entries) }
}
