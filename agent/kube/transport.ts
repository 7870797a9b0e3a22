// HTTP to the API server: one attempt of one request over a few kept connections, with deadlines and bounds.
// Watches have connections of their own: they would otherwise hold all of those that requests need.
// Over Node's own client: the library that would do this costs the operator a seventh of the memory it may have.

import { Agent as HttpAgent, request as http, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as https } from 'node:https'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { createSecureContext } from 'node:tls'
import type { Access } from './access.ts'
import { KubeError } from './error.ts'
import type { Fence } from './fence.ts'

const CONNECT_MS = 10_000
const IDLE_MS = 60_000
/** A page of 500 of the largest objects that etcd takes would be more; nothing near that is ever asked for. */
const MAX_BODY = 128 * 1024 * 1024

export interface Attempt {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query, below the server's own path. */
  readonly path: string
  readonly accept: string
  readonly contentType?: string
  readonly body?: string
  readonly signal: AbortSignal
  readonly fence?: Fence | undefined
}

export interface Answer {
  readonly status: number
  readonly retryAfterMs: number | undefined
  /** The server's deprecation and validation warnings. */
  readonly warnings: readonly string[]
  readonly text: string
}

export class Transport {
  readonly #access: Access
  readonly #url: URL
  readonly #prefix: string
  readonly #requests: HttpAgent
  readonly #watches: HttpAgent
  readonly #underWay = new Set<ClientRequest>()

  /** `connections`: how many requests may be under way at once. */
  constructor(access: Access, connections: number) {
    this.#access = access
    this.#url = new URL(access.server)
    this.#prefix = this.#url.pathname.replace(/\/$/, '')
    this.#requests = this.#agent({ maxSockets: connections, scheduling: 'fifo' })
    this.#watches = this.#agent({})
  }

  /** Any status is an answer. Throws a KubeError with status 0 when there is none, and the signal's reason when it aborts. */
  async send(attempt: Attempt): Promise<Answer> {
    return guarded(attempt, this.#dispatch(this.#requests, attempt).then(read))
  }

  /** Opens a stream; a status other than 200 is read and returned as an answer. */
  async open(attempt: Attempt): Promise<Answer | Readable> {
    const response = await guarded(attempt, this.#dispatch(this.#watches, attempt))
    return response.statusCode === 200 ? response : guarded(attempt, read(response))
  }

  async close(): Promise<void> {
    for (const sent of this.#underWay) sent.destroy(new Error('closed'))
    this.#requests.destroy()
    this.#watches.destroy()
  }

  #agent(options: { readonly maxSockets?: number; readonly scheduling?: 'fifo' }): HttpAgent {
    const keep = { keepAlive: true, keepAliveMsecs: 15_000, timeout: IDLE_MS, ...options }
    const { ca, cert, key, serverName, insecure } = this.#access
    if (this.#url.protocol === 'http:') return new HttpAgent(keep)
    // One context for all connections: each would have its own otherwise.
    const secureContext = createSecureContext({
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    })
    return new HttpsAgent({
      ...keep,
      secureContext,
      ...(serverName !== undefined && { servername: serverName }),
      ...(insecure === true && { rejectUnauthorized: false }),
    })
  }

  async #dispatch(agent: HttpAgent, attempt: Attempt): Promise<IncomingMessage> {
    const authorization = await this.#access.authorization()
    const { method, path, accept, contentType, body, signal } = attempt
    signal.throwIfAborted()
    const { protocol, hostname, port } = this.#url
    const sent = (protocol === 'http:' ? http : https)({
      agent,
      method,
      // An IPv6 address stands in brackets in a URL, and nowhere else.
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: this.#prefix + path,
      headers: {
        accept,
        'user-agent': 'waggle-agent',
        ...(authorization !== undefined && { authorization }),
        ...(contentType !== undefined && { 'content-type': contentType }),
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      },
    })
    this.#underWay.add(sent)
    const abort = (): void => void sent.destroy(new Error('aborted', { cause: signal.reason }))
    signal.addEventListener('abort', abort, { once: true })
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    sent.on('error', reject)
    sent.once('response', resolve)
    sent.once('close', () => {
      signal.removeEventListener('abort', abort)
      this.#underWay.delete(sent)
      // An answer that wants another protocol ends the connection without an error.
      reject(new Error('closed without an answer'))
    })
    sent.once('socket', (socket) => begin(sent, socket, attempt))
    return promise
  }
}

/**
 * Asks the fence when the request is next on its socket, and the socket connected: it may have waited for a connection since it was
 * made. Nothing is on the wire before.
 */
function begin(sent: ClientRequest, socket: Socket, { body, fence }: Attempt): void {
  const write = (): void => {
    try {
      fence?.check()
      sent.end(body)
    } catch (error) {
      sent.destroy(error instanceof Error ? error : new Error('fenced', { cause: error }))
    }
  }
  const isSecure = 'secureConnecting' in socket
  if (!(isSecure ? socket.secureConnecting === true : socket.connecting)) return write()
  const timer = setTimeout(() => sent.destroy(new Error('no connection in time')), CONNECT_MS)
  sent.once('close', () => clearTimeout(timer))
  socket.once(isSecure ? 'secureConnect' : 'connect', () => {
    clearTimeout(timer)
    write()
  })
}

async function guarded<T>(attempt: Attempt, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason
    attempt.fence?.check()
    throw unreachable(error)
  }
}

/** What broke before an answer was complete, as a KubeError with status 0. Only the code is told: messages may hold addresses. */
export function unreachable(error: unknown): KubeError {
  if (error instanceof KubeError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return new KubeError(
    { status: 0, reason: 'Unreachable', message: `no answer from the API server (${code})` },
    { cause: error },
  )
}

async function read(response: IncomingMessage): Promise<Answer> {
  const { headers } = response
  return {
    status: response.statusCode ?? 0,
    retryAfterMs: retryAfter(headers['retry-after']),
    warnings: readWarnings(response.headersDistinct['warning'] ?? []),
    text: await readBounded(response),
  }
}

function readBounded(body: Readable): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  let size = 0
  body.on('data', (chunk: Buffer) => {
    size += chunk.length
    chunks.push(chunk)
    if (size <= MAX_BODY) return
    const message = `the API server's answer is larger than ${MAX_BODY} bytes`
    body.destroy(new KubeError({ status: 0, reason: 'Malformed', message }))
  })
  body.once('end', () => resolve(Buffer.concat(chunks, size).toString('utf8')))
  body.once('error', reject)
  body.once('close', () => reject(new Error('closed half way')))
  return promise
}

function retryAfter(header: string | undefined): number | undefined {
  const seconds = Number(header)
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined
}

const MAX_WARNINGS = 8

/** RFC 9111 §5.5 as the API server writes it: `299 - "text"`. */
function readWarnings(lines: readonly string[]): string[] {
  return lines
    .slice(0, MAX_WARNINGS)
    .flatMap((line) => /"((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? [])
}
