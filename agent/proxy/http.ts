// Fetch over Node's own HTTP client: no redirects, no decompression, bodies as they arrive. The library that would do this
// costs an idle proxy 20 MB, a quarter of what it may have.

import { Agent as HttpAgent, request as http, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as https } from 'node:https'
import { Readable } from 'node:stream'
import type { LookupFunction } from 'node:net'
import type { Fetch } from '../../gateway/backend/upstream.ts'

const CONNECT_MS = 10_000
const IDLE_MS = 30_000
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

export interface Connecting {
  /** Resolves a name and decides which of its addresses may be connected to. */
  readonly lookup: LookupFunction
  /** PEM certificates to trust; undefined: the system's. */
  readonly ca: readonly string[] | undefined
}

/** Headers must be a record, a body text. Rejects when there is no answer; connections are kept for a while. */
export function fetchOver({ lookup, ca }: Connecting): Fetch {
  const keep = { keepAlive: true, keepAliveMsecs: 15_000, timeout: IDLE_MS, lookup }
  const plain = new HttpAgent(keep)
  const secure = new HttpsAgent({ ...keep, ...(ca !== undefined && { ca: [...ca] }) })
  return (url, { method = 'GET', headers = {}, body, signal }) => {
    const target = new URL(url)
    const text = typeof body === 'string' ? body : undefined
    const options = {
      method,
      headers: {
        'user-agent': 'waggle-agent',
        ...(headers as Record<string, string>),
        ...(text !== undefined && { 'content-length': Buffer.byteLength(text) }),
      },
      ...(signal !== undefined && signal !== null && { signal }),
    }
    return new Promise((resolve, reject) => {
      const sent =
        target.protocol === 'https:'
          ? https(target, { ...options, agent: secure })
          : http(target, { ...options, agent: plain })
      sent.on('error', reject)
      // An answer that wants another protocol ends the connection without an error.
      sent.once('close', () => reject(new Error('closed without an answer')))
      sent.once('response', (answer) => {
        try {
          resolve(respond(answer))
        } catch (error) {
          sent.destroy()
          reject(error)
        }
      })
      limitConnecting(sent)
      sent.end(text)
    })
  }
}

function respond(answer: IncomingMessage): Response {
  const { statusCode: status = 0, headersDistinct } = answer
  const headers = new Headers()
  for (const [name, values] of Object.entries(headersDistinct))
    for (const value of values ?? []) headers.append(name, value)
  if (!BODILESS.has(status))
    return new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, { status, headers })
  answer.resume()
  return new Response(null, { status, headers })
}

/** A place that swallows packets is as good as away, long before the call's own deadline. */
function limitConnecting(sent: ClientRequest): void {
  sent.once('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => sent.destroy(new Error('no connection in time')), CONNECT_MS)
    const done = () => clearTimeout(timer)
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', done)
    socket.once('close', done)
  })
}
