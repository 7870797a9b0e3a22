// The URLs of joining. Every request ends in exactly one audit event, except a nonce that was given: it lets nobody in.

import { Fault } from '../../protocol/fault.ts'
import { JOIN, MAX_JOIN_BODY, PROOF_HEADER } from '../../protocol/join.ts'
import { type Asked, Gate, type GateHost, type Trace } from './gate.ts'
import { Refusal } from './refusal.ts'

const BODY_MS = 10_000

export type JoinStep = 'nonce' | 'join' | 'session' | 'connect'

export interface Attempt {
  readonly step: JoinStep | 'unknown'
  readonly trace: Trace
  /** Absent: let in. */
  readonly refusal: Refusal | undefined
  readonly status: number
  readonly milliseconds: number
  readonly request: Request
}

export interface LinkHost extends GateHost {
  /** As uplinks must call it, without a trailing slash. */
  readonly publicUrl: string
  /** Must not throw. */
  audit(attempt: Attempt): void
}

/** Answers whatever is asked below `/link/`. Never throws. */
export async function joinRoutes(request: Request, host: LinkHost): Promise<Response> {
  const started = host.now()
  const trace: Trace = {}
  // Two Host headers, or one that names no host, make a URL that cannot be read.
  const pathname = URL.parse(request.url)?.pathname ?? ''
  const step = stepOf(pathname, request.method)
  let response: Response
  let refusal: Refusal | undefined
  try {
    if (step === undefined) throw new Refusal('invalid_request', `${request.method} ${pathname.slice(0, 64)}`)
    response = await answer(step, request, `${host.publicUrl}${pathname}`, new Gate(host), trace)
  } catch (error) {
    refusal = error instanceof Refusal ? error : new Refusal('unavailable', detailOf(error))
    response = refusal.response()
  }
  if (refusal !== undefined || step !== 'nonce') {
    const { status } = response
    const milliseconds = host.now() - started
    host.audit({ step: step ?? 'unknown', trace, refusal, status, milliseconds, request })
  }
  return response
}

async function answer(step: JoinStep, request: Request, url: string, gate: Gate, trace: Trace): Promise<Response> {
  const asked: Asked = {
    method: request.method,
    url,
    proof: request.headers.get(PROOF_HEADER) ?? undefined,
    bearer: bearerOf(request.headers.get('authorization')),
    body: step === 'connect' ? undefined : await bodyOf(request),
  }
  if (step === 'connect') {
    if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket')
      throw new Refusal('invalid_request', 'no upgrade', { message: 'This is for WebSockets.' })
    return gate.connect(asked, request.headers.get('sec-websocket-protocol') ?? undefined, trace)
  }
  const reply = await gate[step](asked, trace)
  return Response.json(reply, { headers: { 'cache-control': 'no-store' } })
}

function stepOf(path: string, method: string): JoinStep | undefined {
  const post = method === 'POST'
  if (path === JOIN.nonce && post) return 'nonce'
  if (path === JOIN.join && post) return 'join'
  if (path === JOIN.session && post) return 'session'
  return path === JOIN.connect && method === 'GET' ? 'connect' : undefined
}

function bearerOf(authorization: string | null): string | undefined {
  return authorization === null ? undefined : /^bearer +([A-Za-z0-9._~+/-]+=*)$/iu.exec(authorization)?.[1]
}

async function bodyOf(request: Request): Promise<Uint8Array> {
  const reader = request.body?.getReader()
  if (reader === undefined) return new Uint8Array()
  const bytes = new Uint8Array(MAX_JOIN_BODY)
  let size = 0
  // A reader that is cancelled ends its read.
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), BODY_MS)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return bytes.slice(0, size)
      if (size + value.length > MAX_JOIN_BODY) throw new Refusal('invalid_request', 'body is too large')
      bytes.set(value, size)
      size += value.length
    }
  } finally {
    clearTimeout(timer)
    void reader.cancel().catch(() => undefined)
  }
}

function detailOf(error: unknown): string {
  if (error instanceof Fault) return `${error.reason}: ${error.detail ?? error.message}`.slice(0, 200)
  console.error(JSON.stringify({ msg: 'internal_error', error: String(error).slice(0, 300) }))
  return 'internal error'
}
