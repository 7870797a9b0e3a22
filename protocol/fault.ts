// Everything that can go wrong, as tagged reasons, and the one map from a reason to the wire.
// `message` of a Fault is public: it names the field or the server and what to do, never a token, a header or caller data.
// `detail` is exact and goes to the audit trail only.

export type Reason =
  | 'unauthenticated'
  | 'insufficient_scope'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'unsupported_media_type'
  | 'too_large'
  | 'conflict'
  | 'invalid_resource'
  | 'invalid_json'
  | 'invalid_request'
  | 'invalid_params'
  | 'invalid_envelope'
  | 'method_not_found'
  | 'session_not_found'
  | 'header_mismatch'
  | 'missing_capability'
  | 'unsupported_version'
  | 'backend_unavailable'
  | 'backend_timeout'
  | 'backend_protocol'
  | 'backend_refused'
  | 'backend_overloaded'
  | 'store_unavailable'
  | 'overloaded'
  | 'cancelled'
  | 'internal'

/** What the caller may learn: sent as `error.data`, so its keys are part of the public contract. */
export interface FaultData {
  /** Key of the server that failed: `<namespace>/<name>`. */
  server?: string
  /** The cluster of the instance that failed, where the server is in clusters. */
  cluster?: string
  retryAfterSeconds?: number
  [key: string]: unknown
}

export class Fault extends Error {
  override readonly name = 'Fault'
  readonly reason: Reason
  readonly data: FaultData | undefined
  /** For the audit trail only. */
  readonly detail: string | undefined
  /** Extra response headers, such as `WWW-Authenticate`. */
  readonly headers: Readonly<Record<string, string>> | undefined
  /** Provably nothing of the call has reached a server, so that it may be made elsewhere. Never on the wire. */
  readonly unsent: boolean
  /** It went wrong on the way, which says nothing about the server. Never on the wire. */
  readonly onTheWay: boolean

  constructor(
    reason: Reason,
    message: string,
    more: {
      data?: FaultData
      detail?: string
      headers?: Record<string, string>
      cause?: unknown
      unsent?: boolean
      onTheWay?: boolean
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.reason = reason
    this.data = more.data
    this.detail = more.detail
    this.headers = more.headers
    this.unsent = more.unsent ?? false
    this.onTheWay = more.onTheWay ?? this.unsent
  }
}

/** `error.data` of a fault: what it says, with its tag, and the key of an instance (`<namespace>/<name>@<cluster>`) in its two parts. */
export function publicData({ data, reason }: Fault): FaultData {
  const [server, cluster] = data?.server?.split('@') ?? []
  return { ...data, ...(server !== undefined && cluster !== undefined && { server, cluster }), reason }
}

export interface Wire {
  /** HTTP status of the response that carries the fault. */
  readonly status: number
  /** JSON-RPC error code. Ours lie outside the range that JSON-RPC and MCP reserve. */
  readonly code: number
}

/** HTTP status of a modern response that carries this JSON-RPC error (MCP 2026-07-28, basic/transports). */
export function modernStatus(code: unknown): number {
  switch (code) {
    case -32601:
      return 404
    case -32020:
    case -32021:
    case -32022:
      return 400
    default:
      return 200
  }
}

/**
 * The wire form of a reason. In-band failures travel with HTTP 200: clients treat other statuses as the death of the
 * connection and lose `error.data`. Statuses that MCP or OAuth prescribe stay as prescribed.
 */
export function wire(reason: Reason): Wire {
  switch (reason) {
    case 'unauthenticated':
      return { status: 401, code: 1401 }
    case 'insufficient_scope':
      return { status: 403, code: 1403 }
    case 'forbidden':
      return { status: 403, code: 1403 }
    case 'not_found':
      return { status: 404, code: 1404 }
    case 'method_not_allowed':
      return { status: 405, code: 1405 }
    case 'not_acceptable':
      return { status: 406, code: 1406 }
    case 'unsupported_media_type':
      return { status: 415, code: 1415 }
    case 'too_large':
      return { status: 413, code: 1413 }
    case 'conflict':
      return { status: 409, code: 1409 }
    case 'invalid_resource':
      return { status: 422, code: 1422 }
    case 'invalid_json':
      return { status: 400, code: -32700 }
    case 'invalid_request':
      return { status: 400, code: -32600 }
    case 'invalid_params':
      return { status: 200, code: -32602 }
    case 'invalid_envelope':
      return { status: 400, code: -32602 }
    case 'method_not_found':
      return { status: 200, code: -32601 }
    case 'session_not_found':
      return { status: 404, code: 1404 }
    case 'header_mismatch':
      return { status: 400, code: -32020 }
    case 'missing_capability':
      return { status: 400, code: -32021 }
    case 'unsupported_version':
      return { status: 400, code: -32022 }
    case 'backend_unavailable':
      return { status: 200, code: 1502 }
    case 'backend_timeout':
      return { status: 200, code: 1504 }
    case 'backend_protocol':
      return { status: 200, code: 1520 }
    case 'backend_refused':
      return { status: 200, code: 1521 }
    case 'backend_overloaded':
      return { status: 200, code: 1529 }
    case 'store_unavailable':
      return { status: 503, code: 1503 }
    case 'overloaded':
      return { status: 503, code: 1503 }
    case 'cancelled':
      return { status: 200, code: 1499 }
    case 'internal':
      return { status: 500, code: -32603 }
  }
}
