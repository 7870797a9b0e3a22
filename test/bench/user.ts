// A virtual user: one connection, one token, for legacy endpoints one MCP session. It checks every answer it gets,
// so that a gateway that answers fast but wrong shows up as errors.
import { Wire, header } from './wire.ts'
import type { Answer } from './wire.ts'

export type Era = 'modern' | 'legacy'
export type Operation = 'call' | 'list' | 'ask'

/** Where requests go and how they are spelled. */
export interface Target {
  readonly url: string
  readonly era: Era
  /** Bearer tokens; user n presents token n modulo their number. Empty: no Authorization header. */
  readonly tokens: readonly string[]
  /** Exposed name of the tool that returns its `text` argument. */
  readonly tool: string
  /** False for an endpoint that knows no sessions although the era has them (the static Worker). */
  readonly sessions: boolean
}

export const VERSION = { modern: '2026-07-28', legacy: '2025-11-25' } as const
export const CLIENT = { name: 'waggle-bench', version: '1.0.0' }
const ENVELOPE = {
  _meta: {
    'io.modelcontextprotocol/protocolVersion': VERSION.modern,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  },
}

/** Somebody who works at a target. */
export interface Worker {
  /** Opens the session where there is one. */
  open(): Promise<void>
  /** One operation; returns the size of the answer in bytes. Throws unless the answer is the right one. */
  run(operation: Operation): Promise<number>
  /** HTTP requests sent so far. */
  readonly sent: number
  close(): void
}

export class User implements Worker {
  readonly #wire: Wire
  readonly #target: Target
  readonly #heads: Readonly<Record<string, string>>
  #session = ''
  #count = 0
  #sent = 0
  #listed: number | undefined

  constructor(target: Target, index: number) {
    const url = new URL(target.url)
    this.#wire = new Wire(url)
    this.#target = target
    const token = target.tokens[index % target.tokens.length]
    const common =
      `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n` +
      `accept: application/json, text/event-stream\r\n${token === undefined ? '' : `authorization: Bearer ${token}\r\n`}`
    const version = `mcp-protocol-version: ${VERSION[target.era]}\r\n`
    const named = (method: string, name: string): string =>
      target.era === 'legacy' ? '' : `mcp-method: ${method}\r\n${name === '' ? '' : `mcp-name: ${name}\r\n`}`
    this.#heads = {
      initialize: common,
      'notifications/initialized': common + version,
      'tools/call': common + version + named('tools/call', target.tool),
      'tools/list': common + version + named('tools/list', ''),
    }
  }

  async open(): Promise<void> {
    if (this.#target.era === 'modern' || !this.#target.sessions) return
    const params = { protocolVersion: VERSION.legacy, capabilities: {}, clientInfo: CLIENT }
    const answer = await this.#post('initialize', { jsonrpc: '2.0', id: 0, method: 'initialize', params })
    if (answer.status !== 200) throw new Error(`initialize answered ${answer.status}: ${answer.body.slice(0, 300)}`)
    const session = header(answer.head, 'mcp-session-id')
    if (session !== undefined) this.#session = `mcp-session-id: ${session}\r\n`
    await this.#post('notifications/initialized', { jsonrpc: '2.0', method: 'notifications/initialized' })
  }

  get sent(): number {
    return this.#sent
  }

  close(): void {
    this.#wire.close()
  }

  /** `ask` is for an Asker. */
  async run(operation: Operation): Promise<number> {
    return operation === 'call' ? this.#call() : this.#list()
  }

  async #call(): Promise<number> {
    const id = ++this.#count
    const text = `hello ${id}`
    const params = { name: this.#target.tool, arguments: { text }, ...(this.#target.era === 'modern' ? ENVELOPE : {}) }
    const answer = await this.#post('tools/call', { jsonrpc: '2.0', id, method: 'tools/call', params })
    const right = answer.body.includes(`"text":"${text}"`) && answer.body.includes(`"id":${id}`)
    if (answer.status !== 200 || !right) throw unexpected('tools/call', answer)
    return answer.body.length
  }

  /** One page; returns the body as latin1 text. The id is always 1, so that the static Worker's bytes answer it too. */
  async page(cursor: string | undefined): Promise<string> {
    const params = { ...(this.#target.era === 'modern' ? ENVELOPE : {}), ...(cursor === undefined ? {} : { cursor }) }
    const answer = await this.#post('tools/list', { jsonrpc: '2.0', id: 1, method: 'tools/list', params })
    if (answer.status !== 200) throw unexpected('tools/list', answer)
    return answer.body
  }

  /** The first page, which must stay what it was. */
  async #list(): Promise<number> {
    const body = await this.page(undefined)
    if (this.#listed === undefined) {
      readPage(body)
      this.#listed = body.length
    }
    if (body.length !== this.#listed)
      throw new Error(`tools/list had ${this.#listed} bytes, now ${body.length}: ${body.slice(0, 300)}`)
    return body.length
  }

  #post(method: string, message: object): Promise<Answer> {
    const body = JSON.stringify(message)
    this.#sent++
    return this.#wire.send(
      `${this.#heads[method]}${this.#session}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }
}

/** How many tools a list reply holds and where it goes on; throws when it is none. */
export function readPage(body: string): { readonly tools: number; readonly nextCursor: string | undefined } {
  const reply = JSON.parse(body) as { readonly result?: { readonly tools?: unknown; readonly nextCursor?: string } }
  const tools = reply.result?.tools
  if (!Array.isArray(tools)) throw new Error(`tools/list answered without tools: ${body.slice(0, 300)}`)
  return { tools: tools.length, nextCursor: reply.result?.nextCursor }
}

function unexpected(what: string, answer: Answer): Error {
  return new Error(`${what} answered ${answer.status}: ${answer.body.slice(0, 300)}`)
}
