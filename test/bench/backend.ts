// The backend behind every row: the cheapest MCP server that node:http allows, in a process of its own.
// One process plays any number of servers, told apart by path: `/<modern|legacy>/<tools>/<name>`.
// Modern paths are stateless (2026-07-28); legacy ones speak 2025-06-18 and insist on the session they gave out.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { flow, flooded, FLOW_TOOLS } from './flow.ts'

interface Message {
  readonly id?: number | string
  /** Absent in an answer to what this server asked. */
  readonly method?: string
  readonly params?: {
    readonly protocolVersion?: string
    readonly name?: string
    readonly arguments?: { readonly text?: string; readonly bytes?: number }
    readonly inputResponses?: { readonly word?: Elicited }
  }
  readonly result?: Elicited
}

interface Elicited {
  readonly content?: { readonly word?: string }
}

const ADDRESS = /^\/(modern|legacy)\/(\d{1,5})\/([a-z0-9-]{1,63})$/
const MAX_SESSIONS = 10_000
const catalogs = new Map<string, string>()
const sessions = new Set<string>()
/** Calls of `ask` that wait for their answer, by the id of the question. */
const asked = new Map<string, (word: string) => void>()
let lists = 0

/** What `ask`, the first tool of servers called `asking-…`, wants to know; the word is its answer. */
const QUESTION = {
  mode: 'form',
  message: 'What is the word?',
  requestedSchema: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
}

/** The tools of one server: `echo` (or `ask`) first, then synthetic ones of about 280 bytes each, the same on every run. */
function tools(server: string, count: number): readonly unknown[] {
  if (server.startsWith('flow-')) return FLOW_TOOLS
  const echo = {
    name: server.startsWith('asking-') ? 'ask' : 'echo',
    description: 'Returns the text it was given',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  }
  const synthetic = Array.from({ length: count - 1 }, (_, index) => ({
    name: `tool_${index + 1}`,
    description: `Tool ${index + 1} of ${server}, which does something mildly useful for the benchmark`,
    inputSchema: {
      type: 'object',
      properties: {
        subject: { type: 'string', description: 'What to look at' },
        limit: { type: 'integer', description: 'How many results' },
      },
      required: ['subject'],
    },
  }))
  return [echo, ...synthetic]
}

function listed(era: string, count: number, server: string): string {
  const key = `${era} ${count} ${server}`
  const known = catalogs.get(key)
  if (known !== undefined) return known
  const fresh = JSON.stringify({ ...caching(era), tools: tools(server, count) })
  if (count > 10) catalogs.set(key, fresh)
  return fresh
}

/** A tool's answer, as the JSON text of the result. */
function text(era: string, content = ''): string {
  return JSON.stringify({
    ...(era === 'modern' ? { resultType: 'complete' } : {}),
    content: [{ type: 'text', text: content }],
  })
}

/** `ask` of a legacy server: a request on the stream of the call, whose answer comes with a POST of its own. */
function ask(response: ServerResponse, message: Message): void {
  if (asked.size >= MAX_SESSIONS) asked.clear()
  const id = randomUUID()
  const event = (value: object): string => `data: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  asked.set(id, (word) => {
    response.end(`data: {"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${text('legacy', word)}}\n\n`)
  })
  response.write(event({ id, method: 'elicitation/create', params: QUESTION }))
}

function caching(era: string): object {
  return era === 'modern' ? { resultType: 'complete', ttlMs: 600_000, cacheScope: 'public' } : {}
}

/** The JSON text of the result, or undefined for a method that this era does not have. */
function answer(era: string, count: number, server: string, message: Message): string | undefined {
  const identity = { capabilities: { tools: {} }, serverInfo: { name: server, version: '1.0.0' } }
  switch (message.method) {
    case 'tools/call': {
      const { name, arguments: given, inputResponses } = message.params ?? {}
      if (name === 'ask' && inputResponses === undefined) {
        const inputRequests = { word: { method: 'elicitation/create', params: QUESTION } }
        return JSON.stringify({ resultType: 'input_required', inputRequests, requestState: 'asked' })
      }
      return text(era, name === 'ask' ? inputResponses?.word?.content?.word : given?.text)
    }
    case 'tools/list':
      lists++
      return listed(era, count, server)
    case 'server/discover':
      return era === 'modern'
        ? JSON.stringify({ ...caching(era), supportedVersions: ['2026-07-28'], ...identity })
        : undefined
    case 'initialize':
      return era === 'legacy'
        ? JSON.stringify({ protocolVersion: message.params?.protocolVersion ?? '2025-06-18', ...identity })
        : undefined
    case 'ping':
      return era === 'legacy' ? '{}' : undefined
    case undefined:
    default:
      return undefined
  }
}

function send(response: ServerResponse, status: number, body: string, session?: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(session === undefined ? {} : { 'mcp-session-id': session }),
  })
  response.end(body)
}

function refusal(id: unknown, code: number, message: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error: { code, message } })
}

function post(request: IncomingMessage, response: ServerResponse, body: string): void {
  const [, era, count, server] = ADDRESS.exec(request.url ?? '') ?? []
  if (era === undefined || server === undefined) return send(response, 404, refusal(null, -32600, 'No such server'))
  const message = JSON.parse(body) as Message
  if (message.method === undefined) {
    const id = String(message.id)
    asked.get(id)?.(message.result?.content?.word ?? '')
    asked.delete(id)
  }
  if (message.id === undefined || message.method === undefined) return send(response, 202, '')
  const session = request.headers['mcp-session-id']
  if (era === 'legacy' && message.method !== 'initialize' && !sessions.has(String(session)))
    return send(response, 404, refusal(message.id, -32600, 'Session not found'))
  if (era === 'legacy' && message.method === 'tools/call' && message.params?.name === 'ask')
    return ask(response, message)
  if (server.startsWith('flow-') && message.method === 'tools/call') return flow(response, message)
  const result = answer(era, Number(count), server, message)
  if (result === undefined)
    return send(response, era === 'modern' ? 404 : 200, refusal(message.id, -32601, 'Method not found'))
  const opened = message.method === 'initialize' ? randomUUID() : undefined
  if (opened !== undefined) {
    if (sessions.size >= MAX_SESSIONS) sessions.clear()
    sessions.add(opened)
  }
  send(response, 200, `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${result}}`, opened)
}

const server = createServer((request, response) => {
  if (request.url === '/lists') return send(response, 200, String(lists))
  if (request.url === '/flooded') return send(response, 200, String(flooded))
  if (request.method !== 'POST') {
    if (request.method === 'DELETE') sessions.delete(String(request.headers['mcp-session-id']))
    response.writeHead(405, { allow: 'POST' }).end()
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (chunk: string) => (body += chunk))
  request.on('end', () => post(request, response, body))
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
