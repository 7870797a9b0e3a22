// Why an uplink is not let in: the reason and words that it may learn, and the detail that only the audit trail has.

import type { JoinReason, JoinRefused } from '../../protocol/join.ts'

/** Thrown by every step of joining. `detail` never holds a token or a key, only thumbprints and claims that are not secret. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reason: JoinReason
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(reason: JoinReason, detail?: string, more: { message?: string; retryAfterSeconds?: number } = {}) {
    super(more.message ?? TEXTS[reason])
    this.reason = reason
    this.detail = detail
    this.retryAfterSeconds = more.retryAfterSeconds ?? RETRY_SECONDS[reason]
  }

  response(): Response {
    const body: JoinRefused = { error: { reason: this.reason, message: this.message } }
    const retry = this.retryAfterSeconds
    const headers = { 'cache-control': 'no-store', ...(retry !== undefined && { 'retry-after': String(retry) }) }
    return Response.json(body, { status: STATUSES[this.reason], headers })
  }
}

/** The refusal that another part of the edge answered with; undefined for any other answer. */
export async function refusalOf(response: Response): Promise<Refusal | undefined> {
  if (response.status < 400) return undefined
  const body = (await response.json().catch(() => undefined)) as Partial<JoinRefused> | undefined
  const { reason, message } = body?.error ?? {}
  if (reason === undefined || !Object.hasOwn(TEXTS, reason))
    return new Refusal('unavailable', `HTTP ${response.status}`)
  const retry = Number(response.headers.get('retry-after') ?? Number.NaN)
  return new Refusal(reason, response.headers.get(DETAIL_HEADER) ?? undefined, {
    ...(message !== undefined && { message }),
    ...(!Number.isNaN(retry) && { retryAfterSeconds: retry }),
  })
}

/** Carries the detail between parts of the edge; it never leaves the edge. */
export const DETAIL_HEADER = 'waggle-refusal-detail'

const TEXTS: Readonly<Record<JoinReason, string>> = {
  invalid_request: 'The request is not one that an uplink makes.',
  invalid_proof: 'The proof of possession is not valid for this request.',
  clock_skew: 'The proof was made too long ago or in the future. Use the time that came with the nonce.',
  stale_nonce: 'The nonce is not valid any more. Ask for a new one.',
  replayed: 'This proof has been used before. Make a new one for every request.',
  not_admitted:
    'This cluster is not admitted with these credentials. See `waggle cluster list` and the audit trail of the edge, which says why.',
  token_expired: 'The ServiceAccount token has expired. Read it anew from its file for every session.',
  wrong_audience: 'The ServiceAccount token is meant for another audience: it must name this edge and this cluster.',
  wrong_subject: 'The ServiceAccount token belongs to another ServiceAccount than the cluster entry names.',
  token_bound: 'This ServiceAccount token has been used with another key. Wait for a new token.',
  session_expired: 'The session is not valid any more. Ask for a new one.',
  too_many: 'This cluster connects too often. Wait before the next attempt.',
  unavailable: 'The edge cannot decide this now. Try again.',
}

const STATUSES: Readonly<Record<JoinReason, number>> = {
  invalid_request: 400,
  invalid_proof: 401,
  clock_skew: 401,
  stale_nonce: 401,
  replayed: 401,
  not_admitted: 403,
  token_expired: 401,
  wrong_audience: 403,
  wrong_subject: 403,
  token_bound: 403,
  session_expired: 401,
  too_many: 429,
  unavailable: 503,
}

/** Waiting helps with these: an admin adds the cluster, the kubelet brings another token. */
const RETRY_SECONDS: Readonly<Partial<Record<JoinReason, number>>> = {
  not_admitted: 10,
  token_expired: 5,
  wrong_audience: 30,
  wrong_subject: 30,
  token_bound: 30,
  unavailable: 2,
}
