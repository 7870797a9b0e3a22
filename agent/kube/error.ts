// What can go wrong between the agent and the API server, and what reconciling makes of it.
// A KubeError carries the server's own status, never a token or the body that was sent.

export interface Cause {
  readonly reason?: string
  readonly message?: string
  readonly field?: string
}

export interface KubeErrorInit {
  /** The HTTP status, or 0 when there was no answer. */
  readonly status: number
  /** The server's reason (`NotFound`, `Conflict`, `Expired`, …) or one of ours: `Unreachable`, `Timeout`, `Malformed`. */
  readonly reason: string
  readonly message: string
  readonly retryAfterMs?: number | undefined
  readonly causes?: readonly Cause[]
}

export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly status: number
  readonly reason: string
  readonly retryAfterMs: number | undefined
  readonly causes: readonly Cause[]

  constructor(init: KubeErrorInit, options?: ErrorOptions) {
    super(init.message, options)
    this.status = init.status
    this.reason = init.reason
    this.retryAfterMs = init.retryAfterMs
    this.causes = init.causes ?? []
  }
}

/** Thrown by a reconciler when trying again cannot help before something changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError'
}

/** Thrown instead of a write by whoever is not the leader any more. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.status === 409
export const isForbidden = (error: unknown): boolean => error instanceof KubeError && error.status === 403

/** The version to read from is gone: only a new list helps. */
export const isExpired = (error: unknown): boolean =>
  error instanceof KubeError && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone')

/**
 * The server understood the object and will never take it: invalid (422, 400), or a field its schema does not know,
 * which server-side apply answers with 500 "field not declared in schema" and no reason of its own.
 */
export const isRejected = (error: unknown): boolean =>
  error instanceof KubeError &&
  (error.status === 422 ||
    error.status === 400 ||
    (error.status === 500 && error.message.includes('field not declared in schema')))

interface Status {
  kind?: unknown
  message?: unknown
  reason?: unknown
  code?: unknown
  details?: { causes?: unknown; retryAfterSeconds?: unknown }
}

const MAX_MESSAGE = 2_000
const MAX_CAUSES = 32

/** An error of the server's `Status` object (or of any other body), as an HTTP answer or inside a watch. */
export function statusError(status: number, body: unknown, retryAfterMs?: number): KubeError {
  const said = typeof body === 'object' && body !== null ? (body as Status) : {}
  const code = status === 0 && typeof said.code === 'number' ? said.code : status
  const seconds = said.details?.retryAfterSeconds
  const inBody = typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : undefined
  return new KubeError({
    status: code,
    reason: typeof said.reason === 'string' && said.reason !== '' ? said.reason : `Status${code}`,
    message: (typeof said.message === 'string' ? said.message : `the API server answered ${code}`).slice(
      0,
      MAX_MESSAGE,
    ),
    retryAfterMs: retryAfterMs ?? inBody,
    causes: readCauses(said.details?.causes),
  })
}

function readCauses(causes: unknown): Cause[] {
  if (!Array.isArray(causes)) return []
  return causes.slice(0, MAX_CAUSES).map((cause: Record<string, unknown>) => ({
    ...(typeof cause['reason'] === 'string' && { reason: cause['reason'] }),
    ...(typeof cause['message'] === 'string' && { message: cause['message'].slice(0, MAX_MESSAGE) }),
    ...(typeof cause['field'] === 'string' && { field: cause['field'] }),
  }))
}
