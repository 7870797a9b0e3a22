// Carries the commands of @upstash/redis over its REST protocol, in place of the client's own HTTP layer, which would retry
// (so increments count twice), drop a leading U+FEFF when it decodes, and put the whole command, values included, into errors.
// One attempt, one deadline, a bounded reply; what goes wrong is a Fault without content.

import { Redis } from '@upstash/redis/cloudflare'
import type { Requester } from '@upstash/redis/cloudflare'
import { unavailable } from './unavailable.ts'

export interface RestOptions {
  readonly url: string
  readonly token: string
  /** For each request, in milliseconds. */
  readonly deadlineMs: number
  /** Replaces the global `fetch`, such as a network service that may reach private addresses. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** Upstash itself answers with at most 10 MB; escaping may inflate that. */
const MAX_REPLY_BYTES = 32 * 1024 * 1024

/** A Redis client whose values are plain text, as stored, and whose every failure is a `Fault` with reason `store_unavailable`. */
export class Rest extends Redis {
  constructor(options: RestOptions) {
    super({
      url: options.url,
      token: options.token,
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
    })
    this.client = requester(options)
  }
}

function requester({ url, token, deadlineMs, fetch: send = globalFetch }: RestOptions): Requester {
  const base = url.replace(/\/$/, '')
  // Lets a replica answer later reads of this client only once it has seen the client's writes.
  let sync = ''
  return {
    async request({ path = [], body }) {
      let response: Response
      let text: string
      try {
        response = await send([base, ...path].join('/'), {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            ...(sync === '' ? {} : { 'upstash-sync-token': sync }),
          },
          body: JSON.stringify(body),
          redirect: 'manual',
          signal: AbortSignal.timeout(deadlineMs),
        })
        text = await bounded(response)
      } catch (error) {
        throw unavailable(`upstash: ${error instanceof Error ? `${error.name}: ${error.message}` : 'request failed'}`)
      }
      sync = response.headers.get('upstash-sync-token') ?? ''
      const reply = parse(text)
      if (!response.ok || reply === null || reply.error !== undefined || reply.result === undefined) {
        throw unavailable(`upstash: HTTP ${response.status} ${cause(reply?.error)}`)
      }
      return reply as { result?: never }
    },
  }
}

/** A method of the global object: detached, workerd refuses to call it. */
function globalFetch(url: string, init: RequestInit): Promise<Response> {
  return globalThis.fetch(url, init)
}

async function bounded(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let text = ''
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > MAX_REPLY_BYTES) throw new Error(`reply of more than ${MAX_REPLY_BYTES} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function parse(text: string): { result?: unknown; error?: unknown } | null {
  try {
    const reply: unknown = JSON.parse(text)
    return typeof reply === 'object' && reply !== null && !Array.isArray(reply) ? reply : null
  } catch {
    return null
  }
}

/** Redis repeats arguments after the first sentence of an error, so only the words before the first quote or comma are kept. */
function cause(error: unknown): string {
  return typeof error === 'string' ? (error.split(/['"`,:]/, 1)[0] ?? '').slice(0, 80) : 'without an error text'
}
