import assert from 'node:assert/strict'
import { test } from 'node:test'
import { continueTrace, traceparent } from './trace.ts'

const random = '0102030405060708090a0b0c0d0e0f10'
const id = '0af7651916cd43dd8448eb211c80319c'
const parent = 'b7ad6b7169203331'
const fresh = { traceId: '0102030405060708090a0b0c0d0e0f10', spanId: '090a0b0c0d0e0f10', flags: '01' }

test('a valid traceparent is continued with a span of our own', () => {
  const cases: readonly [header: string, flags: string][] = [
    [`00-${id}-${parent}-01`, '01'],
    [`00-${id}-${parent}-00`, '00'],
    [`01-${id}-${parent}-03`, '03'],
    [`cc-${id}-${parent}-01-what-the-future-brings`, '01'],
  ]
  for (const [header, flags] of cases) {
    const trace = continueTrace(header, random)
    assert.deepEqual(trace, { traceId: id, spanId: fresh.spanId, flags }, header)
    assert.equal(traceparent(trace), `00-${id}-${fresh.spanId}-${flags}`)
  }
})

test('anything else starts a new trace', () => {
  const headers = [
    null,
    undefined,
    '',
    'nonsense',
    `ff-${id}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id}-${parent}-01-extra`,
    `00-${id}-${parent}-01-`,
    `00-${id}-${parent}-1`,
    `00-${id.toUpperCase()}-${parent}-01`,
    `00-${id.slice(1)}-${parent}-01`,
    ` 00-${id}-${parent}-01`,
    `cc-${id}-${parent}-01.extra`,
  ]
  for (const header of headers) assert.deepEqual(continueTrace(header, random), fresh, String(header))
})
