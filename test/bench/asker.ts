// A virtual user of a legacy session with a channel: it calls a tool that asks it something on the stream of the call, answers
// with a POST of its own and reads the result on the stream. Like User it checks every answer.
import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { CLIENT, VERSION } from './user.ts'
import type { Target, Worker } from './user.ts'

const DEADLINE_MS = 20_000
const CAPABILITIES = { elicitation: {} }

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly result?: { readonly content?: readonly { readonly text?: string }[] }
}

export class Asker implements Worker {
  readonly #target: Target
  readonly #token: string | undefined
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })
  #session: string | undefined
  #count = 0
  sent = 0

  constructor(target: Target, index: number) {
    this.#target = target
    this.#token = target.tokens[index % target.tokens.length]
  }

  async open(): Promise<void> {
    const params = { protocolVersion: VERSION.legacy, capabilities: CAPABILITIES, clientInfo: CLIENT }
    const opened = await this.#post({ id: 0, method: 'initialize', params })
    const session = opened.headers['mcp-session-id']
    const body = await text(opened)
    if (typeof session !== 'string') throw new Error(`initialize answered ${opened.statusCode}: ${body.slice(0, 300)}`)
    this.#session = session
    await text(await this.#post({ method: 'notifications/initialized' }))
  }

  async run(): Promise<number> {
    const id = ++this.#count
    const word = `word ${id}`
    const params = { name: this.#target.tool, arguments: {} }
    const response = await this.#post({ id, method: 'tools/call', params })
    let size = 0
    let answered: Promise<void> | undefined
    for await (const message of messages(response)) {
      size += message.length
      const { id: found, method, result } = JSON.parse(message) as Message
      if (found !== undefined && method === 'elicitation/create') answered = this.#answer(found, word)
      else if (found === id && result?.content?.[0]?.text === word) {
        await answered
        return size
      } else if (method === undefined) throw new Error(`tools/call answered ${message.slice(0, 300)}`)
    }
    throw new Error(`tools/call: the stream ended without an answer, HTTP ${response.statusCode}`)
  }

  close(): void {
    this.#agent.destroy()
  }

  async #answer(id: number | string, word: string): Promise<void> {
    const response = await this.#post({ id, result: { action: 'accept', content: { word } } })
    const body = await text(response)
    if (response.statusCode !== 202) throw new Error(`the answer met ${response.statusCode}: ${body.slice(0, 300)}`)
  }

  #post(message: object): Promise<IncomingMessage> {
    this.sent++
    const url = new URL(this.#target.url)
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION.legacy,
      ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
      ...(this.#session !== undefined && { 'mcp-session-id': this.#session }),
    }
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(DEADLINE_MS)
      request(url, { method: 'POST', agent: this.#agent, headers, signal }, resolve)
        .once('error', reject)
        .end(JSON.stringify({ jsonrpc: '2.0', ...message }))
    })
  }
}

/** The JSON-RPC messages of a response: one, or one per event. */
async function* messages(response: IncomingMessage): AsyncGenerator<string, void, void> {
  if (!(response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
    yield await text(response)
    return
  }
  let buffer = ''
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    const events = (buffer + chunk).split('\n\n')
    buffer = events.pop() ?? ''
    for (const event of events) {
      const data = event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trim())
        .join('\n')
      if (data !== '') yield data
    }
  }
}
