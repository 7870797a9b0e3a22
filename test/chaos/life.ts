// One life of a backend, from start to restart: what its process would hold in memory.

import type { ServerResponse } from 'node:http'
import type { Execute } from './tool.ts'

/** `plain` and `asking` are legacy over streamable HTTP; only the latter asks and has event ids. `old` is HTTP+SSE and asks. */
export type BackendKind = 'modern' | 'plain' | 'asking' | 'old'

export interface Life {
  readonly kind: BackendKind
  readonly execute: Execute
  readonly signal: AbortSignal
  /** Sessions by their id. */
  readonly sessions: Map<string, Session>
  /** Streams that want to know of changes. */
  readonly listeners: Set<(message: object) => void>
  generation: number
}

export interface Session {
  close(): void
}

/** Answers an HTTP error with a JSON-RPC one in it. */
export function refuse(
  response: ServerResponse,
  status: number,
  id: string | number | undefined,
  code: number,
  what: string,
): void {
  const error = JSON.stringify({ jsonrpc: '2.0', id: id ?? null, error: { code, message: what } })
  response.writeHead(status, { 'content-type': 'application/json' }).end(error)
}
