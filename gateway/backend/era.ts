// What a refusal tells about the era that a server speaks now, which may not be the one it spoke when its catalog was read
// (MCP 2026-07-28, basic/versioning). Only refusals tell: nothing was executed, so the call may be sent in the other era.

import { isObject } from '../../protocol/envelope.ts'
import { isLegacyRevision, MODERN_REVISION } from '../../protocol/revision.ts'
import type { Rejected, Reply } from './upstream.ts'

/** Header mismatch, missing capability, unsupported version: only modern servers know these. */
const MODERN_CODES: ReadonlySet<unknown> = new Set([-32020, -32021, -32022])
const VERSION_CODES: ReadonlySet<unknown> = new Set([-32020, -32022])
/** How transports of the legacy revisions report their own errors. */
const isLegacyCode = (code: unknown): boolean => typeof code === 'number' && code <= -32000 && code > -32020

/** Whether a modern call was refused as only a server does that does not know the modern era. */
export function speaksLegacy(rejected: Rejected): boolean {
  const { status, message, error } = rejected
  if (status !== 400 && status !== 404 && status !== 405 && status !== 422) return false
  const revisions = supported(rejected)
  if (revisions !== undefined) return revisions.length > 0 && revisions.every(isLegacyRevision)
  return !isModern(rejected) && (message === undefined || isLegacyCode(error?.['code']))
}

/** Whether a legacy call, or its `initialize`, was refused as only a server does that speaks the modern era alone. */
export function speaksModern(reply: Reply, initializing: boolean): boolean {
  if (reply.kind === 'message') {
    // With HTTP 200 it may be an error of the tool's own, after it did something: only a list of revisions tells.
    if (!initializing) return supported(reply)?.includes(MODERN_REVISION) === true
    return VERSION_CODES.has(reply.message.error?.['code'])
  }
  if (reply.kind !== 'rejected') return false
  const { status } = reply
  const code = reply.error?.['code']
  if (isModern(reply)) return true
  // A request without the modern envelope has invalid params to them; `initialize` is a method that they do not have.
  if (code === -32602) return status === 400
  return initializing && (status === 400 || ((status === 404 || status === 405) && code === -32601))
}

/** Whether this refusal could only come from a server of the modern era. */
export const isModern = ({ error }: Rejected): boolean => MODERN_CODES.has(error?.['code'])

/** Whether the session is what was refused: it is gone (404), or the server does not speak its revision any more. */
export function lostSession({ status, message, error }: Rejected): boolean {
  return status === 404 || (status === 400 && (message === undefined || isLegacyCode(error?.['code'])))
}

/** The revisions that a server says it supports when it refuses one; undefined when that is not what it says. */
export function supported(reply: Reply): string[] | undefined {
  const error = reply.kind === 'rejected' ? reply.error : reply.kind === 'message' ? reply.message.error : undefined
  const data = error?.['code'] === -32022 ? error['data'] : undefined
  const list = isObject(data) ? data['supported'] : undefined
  return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : undefined
}
