// What a refusal tells about the era that a server speaks now, which may not be the one it spoke when its catalog was read
// (MCP 2026-07-28, basic/versioning). Only refusals tell: nothing was executed, so the call may be sent in the other era.

import type { Message } from '../../protocol/envelope.ts'
import type { Rejected, Reply } from './upstream.ts'

/** Header mismatch, missing capability, unsupported version: only modern servers know these. */
const MODERN_CODES: ReadonlySet<unknown> = new Set([-32020, -32021, -32022])
/** How transports of the legacy revisions report their own errors. */
const isLegacyCode = (code: unknown): boolean => typeof code === 'number' && code <= -32000 && code > -32020

/** Whether a modern call was refused as only a server does that does not know the modern era. */
export function speaksLegacy({ status, message, code }: Rejected): boolean {
  if (status !== 400 && status !== 404 && status !== 405 && status !== 422) return false
  return !MODERN_CODES.has(code) && (message === undefined || isLegacyCode(code))
}

/** Whether a legacy call, or its `initialize`, was refused as only a server does that speaks the modern era alone. */
export function speaksModern(reply: Reply, initializing: boolean): boolean {
  if (reply.kind === 'message') return isVersionError(reply.message)
  if (reply.kind !== 'rejected') return false
  const { status, code } = reply
  if (MODERN_CODES.has(code)) return true
  // A request without the modern envelope has invalid params to them; `initialize` is a method they do not have.
  if (code === -32602) return status === 400
  return initializing && (status === 400 || ((status === 404 || status === 405) && code === -32601))
}

/** Whether the session is what was refused: it is gone (404), or the server does not speak its revision any more. */
export function lostSession({ status, message, code }: Rejected): boolean {
  return status === 404 || (status === 400 && (message === undefined || isLegacyCode(code)))
}

const isVersionError = ({ error }: Message): boolean => error?.['code'] === -32020 || error?.['code'] === -32022
