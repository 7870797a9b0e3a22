import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, modernStatus, wire, type Reason } from './fault.ts'

/** Every reason with the HTTP status it ends in; the compiler sees to it that none is missing. */
const statuses: Readonly<Record<Reason, number>> = {
  unauthenticated: 401,
  insufficient_scope: 403,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  unsupported_media_type: 415,
  too_large: 413,
  conflict: 409,
  invalid_resource: 422,
  invalid_json: 400,
  invalid_request: 400,
  invalid_params: 200,
  invalid_envelope: 400,
  method_not_found: 200,
  session_not_found: 404,
  header_mismatch: 400,
  missing_capability: 400,
  unsupported_version: 400,
  backend_unavailable: 200,
  backend_timeout: 200,
  backend_protocol: 200,
  backend_refused: 200,
  backend_overloaded: 200,
  store_unavailable: 503,
  overloaded: 503,
  cancelled: 200,
  internal: 500,
}
const reasons = Object.keys(statuses) as Reason[]

/** Codes that JSON-RPC 2.0 and MCP 2026-07-28 define and that we use for what they mean. */
const prescribed = new Set([-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022])

test('every reason has its wire form', () => {
  for (const reason of reasons) assert.equal(wire(reason).status, statuses[reason], reason)
})

test('codes are prescribed ones, or ours outside the reserved range', () => {
  for (const reason of reasons) {
    const { code } = wire(reason)
    assert.ok(Number.isInteger(code), reason)
    if (!prescribed.has(code)) assert.ok(code < -32768 || code > -32000, `${reason}: ${code}`)
  }
})

test('what a server did to a call travels in band, each failure with its own code', () => {
  const failures = reasons.filter((reason) => reason.startsWith('backend_'))
  assert.equal(new Set(failures.map((reason) => wire(reason).code)).size, failures.length)
  for (const reason of failures) assert.equal(wire(reason).status, 200)
})

test('modern responses have the status that their error prescribes', () => {
  const cases: readonly [code: unknown, status: number][] = [
    [-32601, 404],
    [-32020, 400],
    [-32021, 400],
    [-32022, 400],
    [-32602, 200],
    [1504, 200],
    [undefined, 200],
    ['-32601', 200],
  ]
  for (const [code, status] of cases) assert.equal(modernStatus(code), status, String(code))
})

test('a fault keeps what is public apart from what is not', () => {
  const cause = new Error('cause')
  const fault = new Fault('forbidden', 'No.', { data: { server: 'a/b' }, detail: 'exact', cause })
  assert.deepEqual([fault.name, fault.message, fault.detail], ['Fault', 'No.', 'exact'])
  assert.equal(fault.cause, cause)
  assert.equal(Object.hasOwn(new Fault('forbidden', 'No.'), 'cause'), false)
})
