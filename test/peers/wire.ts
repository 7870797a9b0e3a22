// One MCP exchange over HTTP, as bytes: what tests use when a client library would hide or repair what is on the wire.

export interface Exchange {
  readonly status: number
  readonly headers: Headers
  /** The response body as text; of an event stream, all of it. */
  readonly body: string
  /** Every JSON-RPC message of the response as raw text, in order. */
  readonly texts: readonly string[]
  /** The last message, parsed: the answer. */
  readonly answer: Answer | undefined
}

export interface Answer {
  readonly id?: string | number | null
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: Readonly<Record<string, unknown>>
  }
}

export interface Ask {
  readonly method: string
  /** Raw JSON text of `params`, without `_meta` in modern era (it is added), or an object. */
  readonly params?: string | Readonly<Record<string, unknown>>
  readonly token?: string | undefined
  /** Asks for progress, in modern era. */
  readonly progressToken?: string | number
  /** Default modern. */
  readonly era?: 'modern' | 'legacy'
  readonly session?: string | undefined
  readonly id?: string | number
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds until the exchange is given up. Default 60 s. */
  readonly timeoutMs?: number
  /** Gives it up. */
  readonly signal?: AbortSignal
  /** Sends a notification: no id, no answer expected. */
  readonly notify?: boolean
}

export const modernRevision = '2026-07-28'
export const legacyRevision = '2025-11-25'

/** Names the header `Mcp-Name` must repeat, by method. */
const named: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }

const client =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},' +
  '"io.modelcontextprotocol/clientInfo":{"name":"wire","version":"1"}'

/** Sends one request and reads the whole response. */
export async function exchange(url: string, ask: Ask): Promise<Exchange> {
  return read(await send(url, ask))
}

/** Sends one request; its response is read by the caller. */
export async function send(url: string, ask: Ask): Promise<Response> {
  const era = ask.era ?? 'modern'
  const given = typeof ask.params === 'string' ? ask.params : JSON.stringify(ask.params ?? {})
  const params =
    era === 'modern' && !given.includes('io.modelcontextprotocol/protocolVersion')
      ? enclose(given, ask.progressToken)
      : given
  const id = ask.notify === true ? '' : `"id":${JSON.stringify(ask.id ?? 1)},`
  const body = `{"jsonrpc":"2.0",${id}"method":${JSON.stringify(ask.method)},"params":${params}}`
  const key = named[ask.method]
  const name: unknown = key === undefined ? undefined : (JSON.parse(params) as Record<string, unknown>)[key]
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(ask.token !== undefined && { authorization: `Bearer ${ask.token}` }),
    ...(ask.session !== undefined && { 'mcp-session-id': ask.session }),
    ...(era === 'modern' && { 'mcp-protocol-version': modernRevision, 'mcp-method': ask.method }),
    ...(era === 'modern' && typeof name === 'string' && { 'mcp-name': headerValue(name) }),
    ...(era === 'legacy' && ask.method !== 'initialize' && { 'mcp-protocol-version': legacyRevision }),
    ...ask.headers,
  }
  const late = AbortSignal.timeout(ask.timeoutMs ?? 60_000)
  const signal = ask.signal === undefined ? late : AbortSignal.any([late, ask.signal])
  return fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
}

/** Opens a legacy session and returns its id. */
export async function openSession(url: string, token: string | undefined): Promise<string | undefined> {
  const capabilities = {}
  const clientInfo = { name: 'wire', version: '1' }
  const params = { protocolVersion: legacyRevision, capabilities, clientInfo }
  const opened = await exchange(url, { method: 'initialize', era: 'legacy', token, params })
  if (opened.answer?.result === undefined) throw new Error(`initialize failed: ${opened.status} ${opened.body}`)
  const session = opened.headers.get('mcp-session-id') ?? undefined
  await exchange(url, { method: 'notifications/initialized', era: 'legacy', token, session, notify: true })
  return session
}

/** The names in the answer of a `tools/list`; none when it failed. */
export function toolNames({ answer }: Exchange): string[] {
  const tools = answer?.result?.['tools']
  return Array.isArray(tools) ? tools.map((tool: { name: string }) => tool.name) : []
}

async function read(response: Response): Promise<Exchange> {
  const body = await response.text()
  const type = response.headers.get('content-type') ?? ''
  let texts: string[] = []
  if (type.includes('text/event-stream')) texts = events(body)
  else if (type.includes('json') && body !== '') texts = [body]
  const last = texts.findLast((text) => /"(result|error)"\s*:/.test(text)) ?? texts.at(-1)
  const answer = last === undefined ? undefined : (JSON.parse(last) as Answer)
  return { status: response.status, headers: response.headers, body, texts, answer }
}

/** The data of every event in a finished event stream. */
function events(stream: string): string[] {
  return stream
    .split(/\r?\n\r?\n/)
    .map((event) =>
      event
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n'),
    )
    .filter((data) => data !== '')
}

function enclose(params: string, progressToken: string | number | undefined): string {
  const rest = params.trim().slice(1)
  const progress = progressToken === undefined ? '' : `,"progressToken":${JSON.stringify(progressToken)}`
  return `{"_meta":{${client}${progress}}${rest === '}' ? '' : ','}${rest}`
}

/** The header form of a value that may not be plain visible ASCII (SEP-2243). */
export function headerValue(value: string): string {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?base64?')
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}
