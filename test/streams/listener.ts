// A client that listens: opens an event stream and keeps what arrives, as events.

import { setTimeout as sleep } from 'node:timers/promises'
import { readSse, type SseEvent } from '../../protocol/sse.ts'
import { legacyRevision, modernRevision } from '../peers/wire.ts'

export interface Heard {
  readonly status: number
  readonly headers: Headers
  readonly events: readonly SseEvent[]
  /** Messages of the events that have data. */
  messages(): { method?: string; params?: Record<string, unknown>; id?: unknown; result?: unknown }[]
  /** Waits (30 s) until a message matches. */
  until(match: (message: ReturnType<Heard['messages']>[number]) => boolean): Promise<void>
  /** Waits (`ms`) until the stream has ended. */
  ended(ms?: number): Promise<boolean>
  leave(): void
}

/** The GET stream of a session. */
export async function listen(
  url: string,
  token: string | undefined,
  session: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Heard> {
  return open(url, {
    method: 'GET',
    headers: {
      accept: 'text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      'mcp-session-id': session,
      'mcp-protocol-version': legacyRevision,
      ...headers,
    },
  })
}

/** `subscriptions/listen` with this filter. */
export async function subscribe(
  url: string,
  token: string | undefined,
  notifications: Readonly<Record<string, unknown>>,
): Promise<Heard> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': modernRevision,
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return open(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      'mcp-protocol-version': modernRevision,
      'mcp-method': 'subscriptions/listen',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 'l1',
      method: 'subscriptions/listen',
      params: { notifications, _meta },
    }),
  })
}

async function open(url: string, init: RequestInit): Promise<Heard> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), 240_000)
  const response = await fetch(url, { ...init, signal: stop.signal })
  const events: SseEvent[] = []
  let done = false
  const pump = async () => {
    if (response.body !== null) for await (const event of readSse(response.body, 1 << 20)) events.push(event)
  }
  const pumped = pump()
    .catch(() => undefined)
    .finally(() => {
      done = true
      clearTimeout(timer)
    })
  const messages: Heard['messages'] = () =>
    events
      .filter(({ data }) => data !== '')
      .map(({ data }) => JSON.parse(data) as ReturnType<Heard['messages']>[number])
  return {
    status: response.status,
    headers: response.headers,
    events,
    messages,
    until: async (match) => {
      const deadline = Date.now() + 30_000
      while (!messages().some((one) => match(one))) {
        if (Date.now() > deadline || done) throw new Error(`not heard among ${JSON.stringify(messages())}`)
        await sleep(50)
      }
    },
    ended: async (ms = 30_000) => {
      const late = new AbortController()
      await Promise.race([pumped, sleep(ms, undefined, { signal: late.signal }).catch(() => undefined)])
      late.abort()
      return done
    },
    leave: () => stop.abort(),
  }
}
