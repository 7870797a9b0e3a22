// How a proxy of the cluster is called: over HTTP at its Service, or in this very process. What is in a request follows from the link's
// frame by allow-lists, in both directions: a header that nobody thought of goes nowhere.

import { Readable } from 'node:stream'
import { Agent, errors } from 'undici'
import { CALL_HEADERS } from '../../protocol/link.ts'

/** Requests of one call are short; what streams for hours is ended by whoever listens. */
export interface DoorRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  /** Whole where it is known whole. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal
}

export interface DoorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Reading it must not be left off without `return`, or an aborted signal. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Calls one proxy. Rejects with `Unreached` when nothing of the request can have got there. */
export type Door = (request: DoorRequest) => Promise<DoorAnswer>

/** No connection came about, so the call may be made elsewhere. */
export class Unreached extends Error {}

/**
 * What the edge acts on, besides `mcp-*`. Not `www-authenticate`: it names URLs inside of the cluster, for clients of the proxy itself;
 * the status says enough.
 */
const OUTWARD: ReadonlySet<string> = new Set(['content-length', 'content-type', 'retry-after'])

export function inward(headers: Readonly<Record<string, string>>): Record<string, string> {
  return pick(Object.entries(headers), CALL_HEADERS)
}

/** Of several values under one name the first counts; compressed bodies are not asked for, and pass as they are. */
export function outward(
  headers: Iterable<readonly [string, string | readonly string[] | undefined]>,
): Record<string, string> {
  return pick(headers, OUTWARD)
}

function pick(
  headers: Iterable<readonly [string, string | readonly string[] | undefined]>,
  allowed: ReadonlySet<string>,
): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [given, values] of headers) {
    const name = given.toLowerCase()
    const value = typeof values === 'object' ? values[0] : values
    if (value !== undefined && (allowed.has(name) || MCP.test(name))) found[name] = value
  }
  return found
}

/** What fits into a frame: see protocol/frame.ts. */
const MCP = /^mcp-[a-z0-9-]{1,60}$/u

const CONNECT_MS = 1_500
const KEEP_ALIVE_MS = 15_000

/** Doors of Services, over connections that are kept for a while. */
export class HttpDoors {
  readonly #agent = new Agent({
    connect: { timeout: CONNECT_MS },
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    // How long an answer may take is the caller's to say.
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 1,
  })

  door(url: string): Door {
    const { origin, pathname: path } = new URL(url)
    return async ({ method, headers, body, signal }) => {
      try {
        const sent = body === undefined || body instanceof Uint8Array ? (body ?? null) : stream(body)
        const answer = await this.#agent.request({ origin, path, method, headers, signal, body: sent })
        return { status: answer.statusCode, headers: outward(Object.entries(answer.headers)), body: answer.body }
      } catch (error) {
        if (isUnsent(error)) throw new Unreached('no connection', { cause: error })
        throw error
      }
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

/** Reads no more ahead than one piece: the rest waits where credit is counted. */
function stream(body: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(body, { objectMode: false, highWaterMark: 1 })
}

const CODES: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTDOWN',
])

/** Errors of connecting, that is before anything is written. A kept connection that breaks says nothing of the kind. */
function isUnsent(error: unknown): boolean {
  if (error instanceof errors.ConnectTimeoutError) return true
  if (!(error instanceof Error) || !('code' in error) || !CODES.has(error.code)) return false
  return !('syscall' in error) || (error.syscall !== 'read' && error.syscall !== 'write')
}
