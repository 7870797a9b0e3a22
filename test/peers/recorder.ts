// A scripted MCP backend of either era over node:http. It keeps every request that reaches it, headers and body as
// received, and answers with raw JSON text, so that tests can speak about bytes. A test may take a request over whole.

import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { listen } from './listen.ts'

/** What a backend was sent. */
export interface Received {
  readonly httpMethod: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The body as text, exactly as received. */
  readonly body: string
  readonly message: Message | undefined
}

export interface Message {
  readonly id?: string | number
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
}

/** Returns the raw JSON text of `result`, or of the whole `error` object when it throws a `Refusal`. */
export type Script = (message: Message, received: Received) => string

/** Answers a request instead of the script; returns false to decline. */
export type Takeover = (received: Received, response: ServerResponse) => boolean

export interface RecorderOptions {
  /** What the backend speaks; `both` on one URL. Default `modern`. */
  readonly era?: 'modern' | 'legacy' | 'both'
  readonly reply?: 'json' | 'sse'
  /** The raw JSON text of each tool in `tools/list`. */
  readonly tools?: readonly string[]
}

export interface Recorder {
  /** `http://127.0.0.1:<port>/mcp` */
  readonly url: string
  readonly received: Received[]
  /** What arrived for one JSON-RPC method. */
  calls(method: string): Received[]
  /** Replaces the script of one method. */
  on(method: string, script: Script): void
  /** Looks at every request before the scripts do. */
  takeover: Takeover | undefined
  era: 'modern' | 'legacy' | 'both'
  reply: 'json' | 'sse'
  tools: readonly string[]
  /** Forgets all legacy sessions, as a restarted backend does. */
  forgetSessions(): void
  sessionCount(): number
  close(): Promise<void>
}

/** Thrown by a script: becomes the `error` of the reply. */
export class Refusal extends Error {
  readonly error: string
  /** `error` is the raw JSON text of the error object. */
  constructor(error: string) {
    super('refused by the script')
    this.error = error
  }
}

const defaultTool =
  '{"name":"echo","description":"Echoes its arguments","inputSchema":{"type":"object","additionalProperties":true}}'

const modernOnly = new Set(['server/discover', 'subscriptions/listen'])

/** Starts a backend with one tool, `echo`, that returns its arguments as text. */
export async function startRecorder(options: RecorderOptions = {}): Promise<Recorder> {
  const received: Received[] = []
  const sessions = new Set<string>()
  const scripts = new Map<string, Script>()

  const recorder: Recorder = {
    url: '',
    received,
    calls: (method) => received.filter((one) => one.message?.method === method),
    on: (method, script) => void scripts.set(method, script),
    takeover: undefined,
    era: options.era ?? 'modern',
    reply: options.reply ?? 'json',
    tools: options.tools ?? [defaultTool],
    forgetSessions: () => sessions.clear(),
    sessionCount: () => sessions.size,
    close: () => server.close(),
  }

  const capabilities = '{"tools":{"listChanged":true},"prompts":{},"resources":{},"completions":{},"logging":{}}'
  scripts.set(
    'server/discover',
    () => `{"supportedVersions":["2026-07-28"],"capabilities":${capabilities},"ttlMs":60000,"cacheScope":"public"}`,
  )
  scripts.set('initialize', (message) => {
    const version = JSON.stringify(message.params?.['protocolVersion'] ?? '2025-11-25')
    return `{"protocolVersion":${version},"capabilities":${capabilities},"serverInfo":{"name":"recorder","version":"1"}}`
  })
  scripts.set('ping', () => '{}')
  scripts.set('logging/setLevel', () => '{}')
  scripts.set('tools/list', () => `{"tools":[${recorder.tools.join(',')}]}`)
  scripts.set('prompts/list', () => '{"prompts":[]}')
  scripts.set('resources/list', () => '{"resources":[]}')
  scripts.set('resources/templates/list', () => '{"resourceTemplates":[]}')
  scripts.set('tools/call', (message) => {
    const value = JSON.stringify(JSON.stringify(message.params?.['arguments'] ?? {}))
    return `{"content":[{"type":"text","text":${value}}]}`
  })

  /** The era that this request speaks, or the refusal that a server of the recorder's era gives it. */
  function admit(one: Received, message: Message): 'modern' | 'legacy' | { status: number; error?: string } {
    const meta = message.params?.['_meta']
    const modern = typeof meta === 'object' && meta !== null && 'io.modelcontextprotocol/protocolVersion' in meta
    if (modern) {
      // Before 2026 an unknown session, not the envelope, is what a server stumbles over.
      if (recorder.era === 'legacy')
        return { status: 400, error: '{"code":-32000,"message":"Bad Request: no session"}' }
      return 'modern'
    }
    if (recorder.era === 'modern') return { status: 400, error: '{"code":-32602,"message":"Missing _meta"}' }
    if (message.method === 'initialize') return 'legacy'
    const session = one.headers['mcp-session-id']
    if (typeof session !== 'string') return { status: 400, error: '{"code":-32000,"message":"No session"}' }
    return sessions.has(session) ? 'legacy' : { status: 404, error: '{"code":-32001,"message":"Session not found"}' }
  }

  function send(response: ServerResponse, status: number, payload: string, sse: boolean): void {
    response.writeHead(status, { 'content-type': sse ? 'text/event-stream' : 'application/json' })
    response.end(sse ? event(payload) : payload)
  }

  function post(one: Received, message: Message, response: ServerResponse): void {
    const id = JSON.stringify(message.id ?? null)
    const era = admit(one, message)
    if (typeof era === 'object') {
      send(response, era.status, `{"jsonrpc":"2.0","id":${id},"error":${era.error ?? '{}'}}`, false)
      return
    }
    if (message.id === undefined) {
      response.writeHead(202).end()
      return
    }
    const script = era === 'legacy' && modernOnly.has(message.method) ? undefined : scripts.get(message.method)
    if (script === undefined) {
      const missing = '{"code":-32601,"message":"Method not found"}'
      send(response, era === 'modern' ? 404 : 200, `{"jsonrpc":"2.0","id":${id},"error":${missing}}`, false)
      return
    }
    if (message.method === 'initialize') {
      const session = randomUUID()
      sessions.add(session)
      response.setHeader('mcp-session-id', session)
    }
    try {
      const result = script(message, one)
      const stamped = era === 'modern' && !result.includes('"resultType"') ? stamp(message.method, result) : result
      send(response, 200, `{"jsonrpc":"2.0","id":${id},"result":${stamped}}`, recorder.reply === 'sse')
    } catch (cause) {
      if (!(cause instanceof Refusal)) throw cause
      send(response, 200, `{"jsonrpc":"2.0","id":${id},"error":${cause.error}}`, recorder.reply === 'sse')
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    const one: Received = {
      httpMethod: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body,
      message: body === '' ? undefined : (JSON.parse(body) as Message),
    }
    received.push(one)
    if (recorder.takeover?.(one, response) === true) return
    if (one.message !== undefined) post(one, one.message, response)
    else if (one.httpMethod === 'DELETE' && sessions.delete(String(one.headers['mcp-session-id']))) {
      response.writeHead(204).end()
    } else response.writeHead(405, { allow: 'POST, DELETE' }).end()
  }

  const server = await listen((request, response) => {
    serve(request, response).catch((cause: unknown) => {
      response.destroy(cause instanceof Error ? cause : new Error(String(cause)))
    })
  })
  return Object.assign(recorder, { url: `${server.url}/mcp` })
}

/** One server-sent event; JSON may contain line breaks, which the framing must not lose. */
function event(payload: string): string {
  const lines = payload.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  return `event: message\n${lines.join('')}\n`
}

const cacheable = /^(server\/discover|tools\/list|prompts\/list|resources\/(list|templates\/list|read))$/

/** Adds the members that a modern result must have, leaving the rest of the text as it is. */
function stamp(method: string, result: string): string {
  const rest = result.trim().slice(1)
  const cache = cacheable.test(method) && !result.includes('"ttlMs"') ? ',"ttlMs":1000,"cacheScope":"public"' : ''
  return `{"resultType":"complete"${cache}${rest.trim() === '}' ? '' : ','}${rest}`
}
