// HTTP of one thin caller: JSON-RPC messages of a response as they arrive, whole or as events, with its connections its own.

import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'

export interface Sent {
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** Pauses reading once for so long: a slow reader. */
  readonly pauseMs?: number
}

export interface Arriving {
  readonly status: number
  readonly session: string | undefined
  /** Every message with the event id it came with; throws when the connection ends too early. */
  readonly messages: AsyncGenerator<{ readonly text: string; readonly eventId: string | undefined }, void, void>
  /** Reads no further. */
  leave(): void
}

const MAX_BUFFER = 4 * 1024 * 1024

export class Line {
  readonly #port: number
  readonly #host: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8, timeout: 3_000 })

  /** `port` is where to connect, `host` what to say in `Host`. */
  constructor(port: number, host: string) {
    this.#port = port
    this.#host = host
  }

  /** Rejects when there is no response; `signal` ends everything. */
  async send({ method, path, headers, body, signal, pauseMs }: Sent): Promise<Arriving> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const out = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          method,
          path,
          agent: this.#agent,
          signal,
          headers: { host: this.#host, accept: 'application/json, text/event-stream', ...headers },
        },
        resolve,
      )
      out.once('error', reject)
      out.end(body)
    })
    const isStream = (response.headers['content-type'] ?? '').startsWith('text/event-stream')
    const session = response.headers['mcp-session-id']
    return {
      status: response.statusCode ?? 0,
      session: typeof session === 'string' ? session : undefined,
      messages: read(response, isStream, pauseMs),
      leave: () => void response.destroy(),
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

async function* read(
  response: IncomingMessage,
  isStream: boolean,
  pauseMs = 0,
): AsyncGenerator<{ readonly text: string; readonly eventId: string | undefined }, void, void> {
  response.setEncoding('utf8')
  let buffer = ''
  let paused = false
  for await (const chunk of response as AsyncIterable<string>) {
    buffer += chunk
    if (buffer.length > MAX_BUFFER) throw new Error('the response is too large')
    if (pauseMs > 0 && !paused) {
      paused = true
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    if (!isStream) continue
    const parts = buffer.split(/\r?\n\r?\n/)
    buffer = parts.pop() ?? ''
    for (const part of parts) yield event(part)
  }
  if (!response.complete) throw new Error('the response is incomplete')
  if (!isStream && buffer !== '') yield { text: buffer, eventId: undefined }
}

function event(part: string): { text: string; eventId: string | undefined } {
  const lines = part.split(/\r?\n/)
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''))
  const id = lines.find((line) => line.startsWith('id:'))
  return { text: data.join('\n'), eventId: id?.slice(3).trim() }
}
