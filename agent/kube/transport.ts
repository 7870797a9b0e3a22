// HTTP to the API server: one attempt of one request over a few kept connections, with deadlines and bounds.
// Watches have connections of their own: they would otherwise hold all of those that requests need.

import type { Readable } from 'node:stream'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
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
  readonly #requests: Pool
  readonly #watches: Pool
  readonly #prefix: string

  /** `connections`: how many requests may be under way at once. */
  constructor(access: Access, connections: number) {
    const url = new URL(access.server)
    this.#access = access
    this.#prefix = url.pathname.replace(/\/$/, '')
    const options: Pool.Options = {
      allowH2: false,
      keepAliveTimeout: IDLE_MS,
      bodyTimeout: 0,
      headersTimeout: 0,
      connect: {
        timeout: CONNECT_MS,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
        ...(access.ca !== undefined && { ca: access.ca }),
        ...(access.cert !== undefined && { cert: access.cert }),
        ...(access.key !== undefined && { key: access.key }),
        ...(access.serverName !== undefined && { servername: access.serverName }),
        ...(access.insecure === true && { rejectUnauthorized: false }),
      },
    }
    this.#requests = new Pool(url.origin, { ...options, connections })
    this.#watches = new Pool(url.origin, options)
  }

  /** Any status is an answer. Throws a KubeError with status 0 when there is none, and the signal's reason when it aborts. */
  async send(attempt: Attempt): Promise<Answer> {
    const response = await this.#dispatch(this.#requests, attempt)
    return {
      status: response.statusCode,
      retryAfterMs: retryAfter(response.headers['retry-after']),
      warnings: readWarnings(response.headers['warning']),
      text: await guarded(attempt, readBounded(response.body)),
    }
  }

  /** Opens a stream; a status other than 200 is read and returned as an answer. */
  async open(attempt: Attempt): Promise<Answer | Readable> {
    const response = await this.#dispatch(this.#watches, attempt)
    if (response.statusCode === 200) return response.body
    return {
      status: response.statusCode,
      retryAfterMs: retryAfter(response.headers['retry-after']),
      warnings: [],
      text: await guarded(attempt, readBounded(response.body)),
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#requests.destroy(), this.#watches.destroy()])
  }

  async #dispatch(pool: Pool, attempt: Attempt): Promise<Dispatcher.ResponseData> {
    const authorization = await this.#access.authorization()
    const { fence } = attempt
    const dispatcher = fence === undefined ? pool : pool.compose(fenced(fence))
    return guarded(
      attempt,
      dispatcher.request({
        method: attempt.method,
        path: this.#prefix + attempt.path,
        headers: {
          accept: attempt.accept,
          'user-agent': 'waggle-agent',
          ...(authorization !== undefined && { authorization }),
          ...(attempt.contentType !== undefined && { 'content-type': attempt.contentType }),
        },
        body: attempt.body ?? null,
        signal: attempt.signal,
      }),
    )
  }
}

/** Asks the fence when the request is next on its socket: it may have waited for a connection since it was made. */
function fenced(fence: Fence): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart(controller, context) {
        try {
          fence.check()
        } catch (error) {
          controller.abort(error instanceof Error ? error : new Error('fenced', { cause: error }))
          return
        }
        handler.onRequestStart?.(controller, context)
      },
      onRequestUpgrade: (...said) => handler.onRequestUpgrade?.(...said),
      onResponseStart: (...said) => handler.onResponseStart?.(...said),
      onResponseData: (...said) => handler.onResponseData?.(...said),
      onResponseEnd: (...said) => handler.onResponseEnd?.(...said),
      onResponseError: (...said) => handler.onResponseError?.(...said),
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

async function readBounded(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) {
      throw new KubeError({
        status: 0,
        reason: 'Malformed',
        message: `the API server's answer is larger than ${MAX_BODY} bytes`,
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function retryAfter(header: string | string[] | undefined): number | undefined {
  const seconds = Number(Array.isArray(header) ? header[0] : header)
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined
}

const MAX_WARNINGS = 8

/** RFC 9111 §5.5 as the API server writes it: `299 - "text"`. */
function readWarnings(header: string | string[] | undefined): string[] {
  const lines = header === undefined ? [] : Array.isArray(header) ? header : [header]
  return lines
    .slice(0, MAX_WARNINGS)
    .flatMap((line) => /"((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? [])
}
