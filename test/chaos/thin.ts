// A caller that is nothing but the protocol: it sends every call exactly once, answers what it is asked, resumes a stream
// that broke where it has an event id, and never repeats a call.

import { legacyRevision, modernRevision } from '../peers/wire.ts'
import { Line } from './http.ts'
import type { Arriving, Sent } from './http.ts'
import type { Outcome } from './outcome.ts'
import { wantedWord } from './tool.ts'
import type { Message, Work } from './tool.ts'

const RESUMES = 5
const RESUME_PAUSE_MS = 200
const ANSWER_MS = 5_000

export type Era = 'modern' | 'legacy'

export interface ThinOptions {
  /** Where to connect. */
  readonly port: number
  /** The endpoint's URL as the edge knows it. */
  readonly url: string
  readonly era: Era
  readonly token: string
}

export interface Call {
  readonly tool: 'work' | 'ask'
  readonly work: Work
  readonly deadlineMs: number
  /** Leaves after so long, whatever has arrived. */
  readonly leaveMs?: number
  /** Stops reading for so long once something has arrived. */
  readonly pauseMs?: number
}

/** Ends a wait, with what it ended with. */
class Ended extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super(outcome.kind)
    this.outcome = outcome
  }
}

export class Thin {
  readonly #options: ThinOptions
  readonly #line: Line
  readonly #path: string
  #session: string | undefined
  #opening: Promise<void> | undefined
  #counter = 0
  /** Streams that were taken up again after they broke. */
  resumed = 0

  constructor(options: ThinOptions) {
    this.#options = options
    const { host, pathname } = new URL(options.url)
    this.#line = new Line(options.port, host)
    this.#path = pathname
  }

  async call(call: Call): Promise<Outcome> {
    const stop = new AbortController()
    const end = (kind: 'hung' | 'left') => (): void => stop.abort(new Ended({ kind }))
    const timers = [setTimeout(end('hung'), call.deadlineMs)]
    if (call.leaveMs !== undefined) timers.push(setTimeout(end('left'), call.leaveMs))
    try {
      await this.#ready(stop.signal)
      const outcome = await this.#perform(call, stop.signal, {})
      if (outcome.kind === 'refused' && outcome.reason === 'session_not_found') this.#session = undefined
      return outcome
    } catch (error) {
      if (error instanceof Ended) return error.outcome
      if (stop.signal.reason instanceof Ended) return stop.signal.reason.outcome
      return { kind: 'lost', what: error instanceof Error ? error.message : String(error) }
    } finally {
      for (const timer of timers) clearTimeout(timer)
    }
  }

  /** Holds the stream on which the edge says what changed, until it ends. Rejects when it cannot be had or breaks. */
  async listen(signal: AbortSignal, opened: () => void, heard: (method: string) => void): Promise<'ended'> {
    const { era } = this.#options
    await this.#ready(signal)
    const params = { notifications: { toolsListChanged: true } }
    const arriving =
      era === 'legacy'
        ? await this.#send({ method: 'GET', signal }, {})
        : await this.#post({ method: 'subscriptions/listen', params }, signal)
    if (arriving.status !== 200) {
      for await (const { text } of arriving.messages) throw new Ended(refusal(arriving.status, text))
      throw new Error(`HTTP ${arriving.status}`)
    }
    opened()
    for await (const { text } of arriving.messages) {
      if (text === '') continue
      const message = JSON.parse(text) as Message
      this.#asked(message)
      if (message.method !== undefined) heard(message.method)
    }
    return 'ended'
  }

  /** Ends the session, if there is one. */
  async leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    if (session !== undefined) {
      const signal = AbortSignal.timeout(5_000)
      const arriving = await this.#send({ method: 'DELETE', signal }, { 'mcp-session-id': session })
      for await (const _ of arriving.messages);
    }
    this.#line.close()
  }

  /** Opens a session where one is needed, once however many wait for it. */
  async #ready(signal: AbortSignal): Promise<void> {
    if (this.#options.era === 'modern' || this.#session !== undefined) return
    this.#opening ??= this.#open(signal).finally(() => (this.#opening = undefined))
    await this.#opening
  }

  async #open(signal: AbortSignal): Promise<void> {
    const params = {
      protocolVersion: legacyRevision,
      capabilities: { elicitation: {} },
      clientInfo: { name: 'thin', version: '1' },
    }
    const arriving = await this.#post({ method: 'initialize', params }, signal)
    for await (const { text } of arriving.messages) {
      const message = text === '' ? undefined : (JSON.parse(text) as Message)
      if (message?.result === undefined) throw new Ended(refusal(arriving.status, text))
    }
    if (arriving.session === undefined) throw new Error(`initialize: HTTP ${arriving.status} without a session`)
    this.#session = arriving.session
    const told = await this.#post({ method: 'notifications/initialized' }, signal)
    for await (const _ of told.messages);
  }

  async #perform(call: Call, signal: AbortSignal, more: object): Promise<Outcome> {
    const { tool, work, pauseMs } = call
    const id = ++this.#counter
    const _meta = work.steps > 0 ? { progressToken: `p${id}` } : {}
    const params = { name: tool, arguments: work, _meta, ...more }
    const pause = pauseMs === undefined ? {} : { pauseMs }
    let arriving = await this.#post({ id, method: 'tools/call', params }, signal, pause)
    let eventId: string | undefined
    for (let attempt = 0; ; attempt++) {
      try {
        for await (const one of arriving.messages) {
          eventId = one.eventId ?? eventId
          if (one.text === '') continue
          const message = JSON.parse(one.text) as Message
          if (message.method !== undefined) {
            this.#asked(message)
            continue
          }
          if (message.id !== id) return refusal(arriving.status, one.text)
          arriving.leave()
          return await this.#settle(call, message, arriving.status, signal)
        }
        throw new Error(`HTTP ${arriving.status} ended without an answer`)
      } catch (error) {
        if (eventId === undefined || attempt >= RESUMES || signal.aborted || arriving.status !== 200) throw error
        arriving = await this.#resume(eventId, signal)
      }
    }
  }

  /** The rest of a stream. Throws when it cannot be had. */
  async #resume(eventId: string, signal: AbortSignal): Promise<Arriving> {
    for (let attempt = 1; ; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, RESUME_PAUSE_MS))
      try {
        const arriving = await this.#send({ method: 'GET', signal }, { 'last-event-id': eventId })
        if (arriving.status !== 200) throw new Ended({ kind: 'lost', what: `resume: HTTP ${arriving.status}` })
        this.resumed += 1
        return arriving
      } catch (error) {
        if (error instanceof Ended || attempt >= RESUMES || signal.aborted) throw error
      }
    }
  }

  async #settle(call: Call, message: Message, status: number, signal: AbortSignal): Promise<Outcome> {
    const { result } = message
    if (result === undefined) return refusal(status, JSON.stringify(message))
    if (result['resultType'] === 'input_required') {
      const asked = result['inputRequests'] as { readonly word?: { readonly params?: unknown } } | undefined
      const inputResponses = { word: accept(wantedWord(asked?.word?.params)) }
      return this.#perform(call, signal, { inputResponses, requestState: result['requestState'] })
    }
    const [content] = result['content'] as readonly { readonly text?: string }[]
    return { kind: 'result', text: content?.text ?? '', isError: result['isError'] === true }
  }

  /** Answers a question, if it is one, once. Nobody waits for that: the call says how it went. */
  #asked({ id, method, params }: Message): void {
    if (id === undefined || method === undefined) return
    const send = async (): Promise<void> => {
      const arriving = await this.#post({ id, result: accept(wantedWord(params)) }, AbortSignal.timeout(ANSWER_MS))
      for await (const _ of arriving.messages);
    }
    send().catch(() => undefined)
  }

  #post(message: object, signal: AbortSignal, more: Partial<Sent> = {}): Promise<Arriving> {
    const modern = this.#options.era === 'modern'
    const { method, params } = message as { readonly method?: string; readonly params?: Record<string, unknown> }
    const own = params?.['_meta'] ?? {}
    const full = modern ? { ...message, params: { ...params, _meta: { ...own, ...envelope } } } : message
    const id =
      'id' in message || method === undefined || method.startsWith('notifications/') ? {} : { id: ++this.#counter }
    const name = params?.['name']
    return this.#send(
      { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', ...id, ...full }), signal, ...more },
      {
        'content-type': 'application/json',
        ...(modern && { 'mcp-method': method ?? '' }),
        ...(modern && typeof name === 'string' && { 'mcp-name': name }),
      },
    )
  }

  #send(sent: Omit<Sent, 'path' | 'headers'>, headers: Record<string, string>): Promise<Arriving> {
    const { era, token } = this.#options
    return this.#line.send({
      ...sent,
      path: this.#path,
      headers: {
        authorization: `Bearer ${token}`,
        'mcp-protocol-version': era === 'modern' ? modernRevision : legacyRevision,
        ...(this.#session !== undefined && { 'mcp-session-id': this.#session }),
        ...headers,
      },
    })
  }
}

const envelope = {
  'io.modelcontextprotocol/protocolVersion': modernRevision,
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
  'io.modelcontextprotocol/clientInfo': { name: 'thin', version: '1' },
}

const accept = (word: string): object => ({ action: 'accept', content: { word } })

function refusal(status: number, text: string): Outcome {
  let error: { readonly code?: number; readonly data?: { readonly reason?: string } } | undefined
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error
  } catch {
    // No JSON, no reason: the verdict says so.
  }
  return { kind: 'refused', status, code: error?.code ?? 0, reason: error?.data?.reason }
}
