// The servers behind the edge while it is fuzzed: their handshakes and lists are right, or there would be nothing to call,
// and every call is answered as the call itself says (`answers.ts`).

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { listen } from '../peers/listen.ts'
import type { Answer } from './answers.ts'

export interface Puppet {
  /** What the edge is told to call. */
  readonly url: string
  /** Misbehaves in its lists and handshakes as well, once, from the next request on. */
  distort: Answer | undefined
  close(): Promise<void>
}

interface Message {
  readonly id?: unknown
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>> | null
}

const sse = 'text/event-stream'
const capabilities =
  '{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}'
const open = '{"type":"object","additionalProperties":true}'
const mirrored =
  '{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"a"},"b":{"type":"object","properties":{"c":{"type":"integer","x-mcp-header":"B"}}}}}'
const lists: Readonly<Record<string, string>> = {
  'tools/list': `"tools":[{"name":"echo","inputSchema":${open}},{"name":"ask","inputSchema":${open}},{"name":"param","inputSchema":${mirrored}}]`,
  'prompts/list': '"prompts":[{"name":"greet","arguments":[{"name":"answer"}]}]',
  'resources/list': '"resources":[{"uri":"x://a","name":"a"}]',
  'resources/templates/list':
    '"resourceTemplates":[{"uriTemplate":"x://q/{+answer}","name":"q"},{"uriTemplate":"x://t/{id}","name":"t"}]',
}

/** First events of the old transport that lead nowhere good. */
const endpointsElsewhere = [
  'event: endpoint\ndata: http://169.254.169.254/message\n\n',
  'event: endpoint\ndata: http://[\n\n',
  'event: endpoint\ndata: \n\n',
  'event: message\ndata: {}\n\n',
  ': nothing\n\n',
  'event: endpoint\ndata: /message\ndata: /message\n\n',
  'event: endpoint\ndata: //user:secret@127.0.0.1:9/message\n\n',
]

/** Starts a server of one era; `sse` is the transport of 2024-11-05. */
export async function startPuppet(era: 'modern' | 'legacy' | 'sse'): Promise<Puppet> {
  const later = new Map<string, Answer>()
  const streams = new Map<string, ServerResponse>()
  const listeners = new Set<ServerResponse>()
  let distort: Answer | undefined

  function result(message: Message): string | undefined {
    const list = Object.hasOwn(lists, message.method ?? '') ? lists[message.method ?? ''] : undefined
    const cache = era === 'modern' ? ',"resultType":"complete","ttlMs":60000,"cacheScope":"public"' : ''
    if (list !== undefined) return `{${list}${cache}}`
    if (message.method === 'server/discover' && era === 'modern')
      return `{"supportedVersions":["2026-07-28"],"capabilities":${capabilities}${cache}}`
    if (message.method !== 'initialize' || era === 'modern') return undefined
    const revision = era === 'sse' ? '2024-11-05' : '2025-11-25'
    return `{"protocolVersion":"${revision}","capabilities":${capabilities},"serverInfo":{"name":"puppet","version":"1"}}`
  }

  async function perform(answer: Answer, message: Message, response: ServerResponse): Promise<void> {
    const meta = message.params?.['_meta'] as { progressToken?: unknown } | null | undefined
    const fill = (chunk: string): string =>
      chunk
        .replaceAll('<id>', () => JSON.stringify(message.id ?? null))
        .replaceAll('<progress>', () => JSON.stringify(meta?.progressToken ?? null))
    if (answer.raw === true) {
      for (const chunk of answer.chunks) response.socket?.write(fill(chunk), 'latin1')
      response.socket?.end()
      return
    }
    // Node refuses some heads that a server could send: then the connection ends, as it would on a crash.
    response.writeHead(
      answer.status ?? 200,
      (answer.headers ?? []).flatMap(([name, value]) => [name, value]),
    )
    await write(answer, fill, response)
  }

  async function write(
    { chunks, end }: Answer,
    fill: (chunk: string) => string,
    response: ServerResponse,
  ): Promise<void> {
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0) await new Promise((resolve) => setImmediate(resolve))
      response.write(fill(chunk))
    }
    if (end === 'reset') response.socket?.resetAndDestroy()
    else if (end !== 'hang') response.end()
  }

  async function post(body: string, session: string, response: ServerResponse): Promise<void> {
    const message = parse(body)
    const known = result(message)
    if (distort !== undefined && (known !== undefined || message.method === undefined)) {
      const once = distort
      distort = undefined
      return perform(once, message, response)
    }
    if (message.id === undefined || message.method === undefined) {
      response.writeHead(202).end()
      return
    }
    const told = instruction(message)
    if (told?.later !== undefined) announce(told.later, session)
    if (message.method === 'subscriptions/listen' && era === 'modern') return attend(response, message)
    if (known === undefined && told !== undefined) return perform(told, message, response)
    const missing = era === 'modern' ? message.method === 'initialize' : message.method === 'server/discover'
    const outcome = missing
      ? '"error":{"code":-32601,"message":"Method not found"}'
      : `"result":${known ?? '{"content":[{"type":"text","text":"puppet"}]}'}`
    if (message.method === 'initialize') response.setHeader('mcp-session-id', randomUUID())
    response.writeHead(missing && era === 'modern' ? 404 : 200, { 'content-type': 'application/json' })
    response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},${outcome}}`)
  }

  /** Keeps the response open for what is said outside of calls. */
  function attend(response: ServerResponse, message: Message): void {
    listeners.add(response)
    response.on('close', () => listeners.delete(response))
    response.writeHead(200, { 'content-type': sse })
    const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":${JSON.stringify(message.id ?? null)}}`
    const acknowledged = `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},${meta}}}`
    response.write(era === 'modern' ? `data: ${acknowledged}\n\n` : ':\n\n')
  }

  /** For the next stream that the session resumes, and at once for everybody who listens. */
  function announce(answer: Answer, session: string): void {
    if (later.size < 1000) later.set(session, answer)
    for (const listener of listeners) for (const chunk of answer.chunks) listener.write(chunk)
  }

  /** The old transport: what a POST is answered with goes out on the stream of its session. */
  async function postOld(body: string, session: string, response: ServerResponse): Promise<void> {
    response.writeHead(202).end()
    const stream = streams.get(session)
    const message = parse(body)
    if (stream === undefined || message.id === undefined || message.method === undefined) return
    const known = result(message)
    const told = known === undefined ? instruction(message) : undefined
    if (told === undefined) {
      stream.write(
        `data: {"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${known ?? '{"content":[]}'}}\n\n`,
      )
      return
    }
    const isStream = told.headers?.some(([, value]) => value === sse) === true
    for (const chunk of told.chunks) {
      const text = chunk.replaceAll('<id>', () => JSON.stringify(message.id)).replaceAll('<progress>', '1')
      stream.write(isStream ? text : `data: ${text}\n\n`)
    }
    if (told.end === 'reset') stream.socket?.resetAndDestroy()
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    const session = String(request.headers['mcp-session-id'] ?? '')
    if (era === 'sse' && request.method === 'GET') {
      const id = randomUUID()
      streams.set(id, response)
      response.on('close', () => streams.delete(id))
      const right = `event: endpoint\ndata: /message?session=${id}\n\n`
      const wrong = distort === undefined ? undefined : endpointsElsewhere[later.size % endpointsElsewhere.length]
      distort = undefined
      response.writeHead(200, { 'content-type': sse }).write(wrong ?? right)
      return
    }
    if (era === 'sse')
      return postOld(body, new URL(request.url ?? '/', 'http://x').searchParams.get('session') ?? '', response)
    if (request.method === 'POST') return post(body, session, response)
    const next = later.get(session)
    later.delete(session)
    if (request.method === 'GET' && next !== undefined) return perform(next, {}, response)
    if (request.method === 'GET' && era === 'legacy') return attend(response, {})
    response.writeHead(request.method === 'DELETE' ? 204 : 405).end()
  }

  const server = await listen((request, response) => {
    response.on('error', () => undefined)
    serve(request, response).catch(() => response.destroy())
  })
  return {
    url: `${server.url}/${era === 'sse' ? 'sse' : 'mcp'}`,
    get distort() {
      return distort
    },
    set distort(answer) {
      distort = answer
    },
    close: () => server.close(),
  }
}

function parse(body: string): Message {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** The answer that a call asks for, wherever it carries it. */
function instruction({ params }: Message): Answer | undefined {
  const nested = params?.['arguments'] as Readonly<Record<string, unknown>> | null | undefined
  const uri = params?.['uri']
  const query = typeof uri === 'string' && uri.startsWith('x://q/') ? uri.slice(6) : undefined
  const found = nested?.['answer'] ?? params?.['answer'] ?? query
  const value = typeof found === 'string' ? tolerant(found) : found
  return typeof value === 'object' && value !== null && Array.isArray((value as Partial<Answer>).chunks)
    ? (value as Answer)
    : undefined
}

function tolerant(text: string): unknown {
  try {
    return JSON.parse(text.startsWith('{') ? text : decodeURIComponent(text))
  } catch {
    return undefined
  }
}
