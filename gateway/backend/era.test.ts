import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage, type JsonObject } from '../../protocol/envelope.ts'
import { lostSession, speaksLegacy, speaksModern, supported } from './era.ts'
import type { Rejected } from './upstream.ts'

/** A refusal; `answers` when its error names the call. */
function refusal(status: number, code?: number, answers = false, data?: JsonObject): Rejected {
  const error = code === undefined ? undefined : { code, message: 'no', ...(data && { data }) }
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, error })
  return { kind: 'rejected', status, error, message: answers && error ? parseMessage(text) : undefined }
}

test('a modern call is refused by a legacy server as one without a session, never as one that is wrong in itself', () => {
  const legacy: Rejected[] = [
    refusal(400),
    refusal(404),
    refusal(405),
    refusal(422),
    refusal(400, -32000),
    refusal(400, -32000, true),
    refusal(404, -32001, true),
    refusal(400, -32600),
    refusal(400, -32022, true, { supported: ['2025-11-25', '2025-06-18'] }),
  ]
  for (const one of legacy) assert.equal(speaksLegacy(one), true, JSON.stringify(one))
  const modern: Rejected[] = [
    refusal(409),
    refusal(413),
    refusal(404, -32601, true),
    refusal(400, -32602, true),
    refusal(400, -32020),
    refusal(400, -32021, true),
    refusal(400, -32022, true, { supported: ['2027-01-01'] }),
    refusal(400, -32022, true, { supported: ['2027-01-01', '2025-11-25'] }),
    refusal(400, -32022, true, { supported: [] }),
  ]
  for (const one of modern) assert.equal(speaksLegacy(one), false, JSON.stringify(one))
})

test('a legacy call is refused by a modern server for its envelope or its revision', () => {
  for (const one of [
    refusal(400, -32022),
    refusal(400, -32020, true),
    refusal(400, -32021, true),
    refusal(400, -32602, true),
  ]) {
    assert.equal(speaksModern(one, false), true, JSON.stringify(one))
    assert.equal(speaksModern(one, true), true, JSON.stringify(one))
  }
  for (const one of [refusal(400), refusal(400, -32000, true), refusal(404, -32601, true), refusal(405, -32601)]) {
    assert.equal(speaksModern(one, false), false, JSON.stringify(one))
  }
  for (const one of [refusal(400), refusal(400, -32600), refusal(404, -32601, true), refusal(405, -32601)]) {
    assert.equal(speaksModern(one, true), true, JSON.stringify(one))
  }
  for (const one of [refusal(404), refusal(409), refusal(405)]) assert.equal(speaksModern(one, true), false)
  const inBand = (code: number, data = '{}') => ({
    kind: 'message' as const,
    message: parseMessage(`{"jsonrpc":"2.0","id":1,"error":{"code":${code},"message":"","data":${data}}}`),
  })
  assert.equal(speaksModern(inBand(-32022, '{"supported":["2026-07-28"]}'), false), true)
  assert.equal(speaksModern(inBand(-32022), true), true)
  for (const code of [-32020, -32022])
    assert.equal(speaksModern(inBand(code), false), false, 'it may have done something')
  assert.equal(speaksModern(inBand(-32602), false), false)
  assert.equal(speaksModern({ kind: 'accepted' }, true), false)
})

test('a session is lost by 404, and by a 400 that is about the session', () => {
  for (const one of [refusal(404), refusal(404, -32601, true), refusal(400), refusal(400, -32000, true)]) {
    assert.equal(lostSession(one), true, JSON.stringify(one))
  }
  for (const one of [refusal(400, -32602, true), refusal(405), refusal(422)]) assert.equal(lostSession(one), false)
})

test('supported revisions are read from a refusal of the version only', () => {
  assert.deepEqual(supported(refusal(400, -32022, true, { supported: ['a', 1, 'b'] })), ['a', 'b'])
  for (const one of [refusal(400, -32020, true, { supported: ['a'] }), refusal(400, -32022), refusal(400)]) {
    assert.equal(supported(one), undefined)
  }
})
