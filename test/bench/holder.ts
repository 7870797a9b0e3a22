// Holds idle streams open, a process of its own: GET streams of legacy sessions, or `subscriptions/listen` of modern clients,
// each with a token, a user and a connection of its own.
import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { CLIENT, VERSION } from './user.ts'
import type { Target } from './user.ts'

/** Opens one stream per token, or says how many are open. */
export type HoldOrder = { readonly hold: Target } | { readonly count: true }

export interface Held {
  /** Streams that are open now, of all orders. */
  readonly open: number
  /** Messages that came on them, keep-alives apart. */
  readonly messages: number
}

const WIDTH = 16
const DEADLINE_MS = 30_000

const agent = new Agent({ keepAlive: true, maxSockets: WIDTH })
let open = 0
let messages = 0

function send(
  target: Target,
  token: string,
  method: 'GET' | 'POST',
  headers: Record<string, string>,
  message?: object,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // A stream keeps its connection to itself.
    const stream =
      method === 'GET' || (message !== undefined && 'method' in message && message.method === 'subscriptions/listen')
    const out = request(
      new URL(target.url),
      {
        method,
        ...(!stream && { agent }),
        headers: {
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${token}`,
          'mcp-protocol-version': VERSION[target.era],
          ...(message !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (response) => {
        clearTimeout(timer)
        resolve(response)
      },
    )
    const timer = setTimeout(() => out.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS)
    out.once('error', reject)
    out.end(message === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...message }))
  })
}

async function legacy(target: Target, token: string): Promise<IncomingMessage> {
  const params = { protocolVersion: VERSION.legacy, capabilities: {}, clientInfo: CLIENT }
  const opened = await send(target, token, 'POST', {}, { id: 1, method: 'initialize', params })
  await text(opened)
  const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) }
  await text(await send(target, token, 'POST', session, { method: 'notifications/initialized' }))
  return send(target, token, 'GET', session)
}

function modern(target: Target, token: string): Promise<IncomingMessage> {
  const method = 'subscriptions/listen'
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION.modern,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const params = { _meta, notifications: { toolsListChanged: true } }
  return send(target, token, 'POST', { 'mcp-method': method }, { id: 1, method, params })
}

async function hold(target: Target): Promise<void> {
  const tokens = [...target.tokens]
  const worker = async (): Promise<void> => {
    for (let token = tokens.pop(); token !== undefined; token = tokens.pop()) {
      const response = await (target.era === 'legacy' ? legacy(target, token) : modern(target, token))
      if (response.statusCode !== 200) {
        throw new Error(`a stream was answered ${response.statusCode}: ${(await text(response)).slice(0, 300)}`)
      }
      open++
      response.once('close', () => open--)
      response.on('data', (chunk: Buffer) => {
        if (chunk.includes('data:')) messages++
      })
      response.on('error', () => undefined)
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}

process.on('message', (order: HoldOrder) => {
  const work = 'hold' in order ? hold(order.hold) : Promise.resolve()
  work.then(
    () => process.send?.({ open, messages } satisfies Held),
    (error: unknown) => process.send?.({ failed: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
