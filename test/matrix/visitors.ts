// One client of each revision, from the SDK that speaks it, behind the same few methods. Each declares all that its revision
// lets a server ask, and answers it.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import type { McpSubscription } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js'
import { Wire } from './wire.ts'

export const revisions = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const

export type Revision = (typeof revisions)[number]

export interface Answer {
  readonly isError?: boolean | undefined
  readonly content: readonly Readonly<Record<string, unknown>>[]
}

export interface CallOptions {
  readonly onprogress?: (step: { progress: number }) => void
  readonly signal?: AbortSignal
  /** Milliseconds; 15 s unless told. */
  readonly timeout?: number
}

export interface Heard {
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
}

export interface Visitor {
  readonly revision: Revision
  readonly wire: Wire
  /** What servers asked, by method; URL mode is `elicitation/create url`. */
  readonly asked: readonly string[]
  /** Notifications that are about no call. */
  readonly heard: readonly Heard[]
  readonly capabilities: Readonly<Record<string, unknown>>
  call(name: string, args?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<Answer>
  tools(): Promise<string[]>
  setLevel(level: 'info'): Promise<void>
  /** Asks for news of these resources and of the tools. */
  subscribe(uris: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** What each revision lets a client declare. */
const declared = {
  '2025-03-26': { sampling: {}, roots: {} },
  '2025-06-18': { sampling: {}, roots: {}, elicitation: {} },
  '2025-11-25': { sampling: {}, roots: {}, elicitation: { form: {}, url: {} } },
  '2026-07-28': { sampling: {}, roots: {}, elicitation: { form: {}, url: {} } },
} as const

const info = { name: 'matrix-client', version: '1.0.0' }
const deadline = { timeout: 60_000 }
const reconnectionOptions = {
  initialReconnectionDelay: 100,
  maxReconnectionDelay: 1_000,
  reconnectionDelayGrowFactor: 1.5,
  maxRetries: 10,
}

/** Connects a client of a revision; `silent` ones declare nothing. */
export async function visit(revision: Revision, url: string, token: string, silent = false): Promise<Visitor> {
  const isOld = revision === '2025-03-26' || revision === '2025-06-18'
  return isOld ? visitV1(revision, url, token, silent) : visitV2(revision, url, token, silent)
}

const elicited = { action: 'accept' as const, content: { name: 'Ada' } }
const visited = { action: 'accept' as const }
const sampled = {
  model: 'matrix-model',
  role: 'assistant' as const,
  content: { type: 'text' as const, text: 'Paris' },
}
const roots = { roots: [{ uri: 'file:///hive' }, { uri: 'file:///meadow' }] }

/** SDK v1 knows 2025-11-25 and asks for it; here it asks for an older revision, as older releases of it do. */
class OlderTransport extends TransportV1 {
  readonly #revision: Revision

  constructor(revision: Revision, url: URL, options: ConstructorParameters<typeof TransportV1>[1]) {
    super(url, options)
    this.#revision = revision
  }

  override send(
    message: JSONRPCMessage | JSONRPCMessage[],
    options?: Parameters<TransportV1['send']>[1],
  ): Promise<void> {
    if (Array.isArray(message) || !('method' in message) || message.method !== 'initialize') {
      return super.send(message, options)
    }
    return super.send({ ...message, params: { ...message.params, protocolVersion: this.#revision } }, options)
  }
}

async function visitV1(revision: Revision, url: string, token: string, silent: boolean): Promise<Visitor> {
  const wire = new Wire()
  const asked: string[] = []
  const heard: Heard[] = []
  const capabilities = silent ? {} : declared[revision]
  const client = new ClientV1(info, { capabilities })
  if ('elicitation' in capabilities) {
    client.setRequestHandler(ElicitRequestSchema, ({ method, params }) => {
      asked.push(params.mode === 'url' ? `${method} url` : method)
      return params.mode === 'url' ? visited : elicited
    })
  }
  if ('sampling' in capabilities) {
    client.setRequestHandler(CreateMessageRequestSchema, ({ method }) => (asked.push(method), sampled))
  }
  if ('roots' in capabilities) {
    client.setRequestHandler(ListRootsRequestSchema, ({ method }) => (asked.push(method), roots))
  }
  client.fallbackNotificationHandler = async (note) => void heard.push(note)
  const transport = new OlderTransport(revision, new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: wire.fetch,
    reconnectionOptions,
  })
  await client.connect(transport, deadline)
  if (transport.protocolVersion !== revision) throw new Error(`negotiated ${transport.protocolVersion ?? 'nothing'}`)
  return {
    revision,
    wire,
    asked,
    heard,
    capabilities: { ...client.getServerCapabilities() },
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: { ...args } }, undefined, { ...deadline, ...options })) as Answer,
    tools: async () => (await client.listTools(undefined, deadline)).tools.map((tool) => tool.name),
    setLevel: async (level) => void (await client.setLoggingLevel(level, deadline)),
    subscribe: async (uris) => {
      for (const uri of uris) await client.subscribeResource({ uri }, deadline)
    },
    close: async () => {
      await transport.terminateSession()
      await client.close()
    },
  }
}

async function visitV2(revision: Revision, url: string, token: string, silent: boolean): Promise<Visitor> {
  const wire = new Wire()
  const asked: string[] = []
  const heard: Heard[] = []
  const modern = revision === '2026-07-28'
  const capabilities = silent ? {} : declared[revision]
  const client = new ClientV2(info, {
    capabilities,
    versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'legacy' },
    ...(!modern && { supportedProtocolVersions: [revision] }),
  })
  if ('elicitation' in capabilities) {
    client.setRequestHandler('elicitation/create', ({ method, params }) => {
      asked.push(params.mode === 'url' ? `${method} url` : method)
      return params.mode === 'url' ? visited : elicited
    })
  }
  if ('sampling' in capabilities) {
    client.setRequestHandler('sampling/createMessage', ({ method }) => (asked.push(method), sampled))
  }
  if ('roots' in capabilities) client.setRequestHandler('roots/list', ({ method }) => (asked.push(method), roots))
  client.fallbackNotificationHandler = async (note) => void heard.push(note)
  const transport = new TransportV2(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: wire.fetch,
    reconnectionOptions,
  })
  await client.connect(transport, deadline)
  if (client.getNegotiatedProtocolVersion() !== revision)
    throw new Error(`negotiated ${client.getNegotiatedProtocolVersion() ?? 'nothing'}`)
  let level: string | undefined
  let listening: McpSubscription | undefined
  return {
    revision,
    wire,
    asked,
    heard,
    capabilities: { ...client.getServerCapabilities() },
    call: async (name, args, options) => {
      // In 2026-07-28 the level goes with the call; nobody else sets it.
      const meta = modern && level !== undefined && { _meta: { 'io.modelcontextprotocol/logLevel': level } }
      return client.callTool({ name, arguments: { ...args }, ...meta }, { ...deadline, ...options })
    },
    tools: async () => (await client.listTools(undefined, deadline)).tools.map((tool) => tool.name),
    setLevel: async (wanted) => {
      level = wanted
      if (!modern) await client.setLoggingLevel(wanted, deadline)
    },
    subscribe: async (uris) => {
      if (modern) {
        listening = await client.listen({ resourceSubscriptions: [...uris], toolsListChanged: true }, deadline)
        return
      }
      for (const uri of uris) await client.subscribeResource({ uri }, deadline)
    },
    close: async () => {
      await listening?.close()
      if (transport.sessionId !== undefined) await transport.terminateSession()
      await client.close()
    },
  }
}
