import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditEvent } from '../protocol/audit.ts'
import { Fault, type Reason } from '../protocol/fault.ts'
import { RequestRecord } from './record.ts'
import { caller, request } from './sample.ts'

const START = Date.UTC(2026, 10, 1)

function recording(headers: Record<string, string> = {}) {
  const events: AuditEvent[] = []
  let time = START
  const host = {
    component: 'edge',
    source: '192.0.2.1',
    now: () => time,
    audit: (event: AuditEvent) => void events.push(event),
  }
  const pass = (ms: number) => {
    time += ms
  }
  return { events, pass, record: new RequestRecord(new Headers(headers), 'ns/a', host) }
}

test('an event says who asked what of whom, when, and how it ended', () => {
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const { events, pass, record } = recording({
    'cf-connecting-ip': '192.0.2.1',
    'user-agent': `agent ${'u'.repeat(500)}`,
    traceparent: `00-${trace}-b7ad6b7169203331-01`,
    authorization: 'Bearer secret-token',
  })
  record.principal = caller([], { clientId: 'client' })
  record.describe(request('tools/call', { name: 'a_get', arguments: { password: 'secret-argument' } }))
  record.client = { name: 'c', version: '1' }
  record.era = 'modern'
  record.server = 'ns/s'
  pass(12)
  record.finish('application_error', 345)
  assert.deepEqual(events, [
    {
      msg: 'audit_event',
      level: 'AUDIT',
      audit_id: record.id,
      type: 'mcp_tool_call',
      logged_at: '2026-11-01T00:00:00.012Z',
      outcome: 'application_error',
      component: 'edge',
      source: {
        type: 'network',
        value: '192.0.2.1',
        extra: { user_agent: `agent ${'u'.repeat(122)}`, request_id: record.id },
      },
      subjects: {
        user: 'alice',
        user_id: 'https://idp alice',
        client_id: 'client',
        client_name: 'c',
        client_version: '1',
      },
      target: { endpoint: 'ns/a', method: 'tools/call', name: 'a_get', type: 'tools' },
      metadata: {
        extra: {
          duration_ms: 12,
          transport: 'http',
          trace_id: trace,
          era: 'modern',
          backend_name: 'ns/s',
          response_size_bytes: 345,
        },
      },
    },
  ])
  assert.doesNotMatch(JSON.stringify(events), /secret/)
})

test('a request that never became a message has its event too', () => {
  const { events, record } = recording()
  record.fail(new Fault('unauthenticated', 'Log in.', { detail: 'exact reason' }))
  const [event] = events
  assert.deepEqual([event?.type, event?.outcome, event?.subjects], ['http_request', 'denied', {}])
  assert.deepEqual(event?.target, { endpoint: 'ns/a', method: '' })
  const { reason, detail, jsonrpc_error_code: code } = event.metadata.extra
  assert.deepEqual([reason, detail, code], ['unauthenticated', 'exact reason', 1401])
})

test('there is exactly one event, and it is the first ending that counts', async () => {
  const step = fc.constantFrom('finish', 'fail', 'describe')
  await fc.assert(
    fc.asyncProperty(fc.array(step), async (steps) => {
      const { events, record } = recording()
      for (const one of [...steps, 'finish']) {
        if (one === 'finish') record.finish('success', 0)
        else if (one === 'fail') record.fail(new Fault('internal', 'Internal error.'))
        else record.describe(request('ping'))
      }
      await record.settled()
      assert.equal(events.length, 1)
      const first = steps.find((one) => one !== 'describe') ?? 'finish'
      assert.equal(events[0]?.outcome, first === 'finish' ? 'success' : 'error')
    }),
  )
})

test('a record that is released says nothing, since others speak for it', async () => {
  const { events, record } = recording()
  record.release()
  record.finish('success', 0)
  record.fail(new Fault('internal', 'Internal error.'))
  await record.settled()
  assert.deepEqual(events, [])
})

describe('a fault', () => {
  const cases: readonly [reason: Reason, outcome: string][] = [
    ['unauthenticated', 'denied'],
    ['insufficient_scope', 'denied'],
    ['forbidden', 'denied'],
    ['session_not_found', 'denied'],
    ['invalid_params', 'failure'],
    ['invalid_json', 'failure'],
    ['header_mismatch', 'failure'],
    ['method_not_found', 'failure'],
    ['cancelled', 'failure'],
    ['backend_timeout', 'error'],
    ['backend_refused', 'error'],
    ['store_unavailable', 'error'],
    ['internal', 'error'],
  ]
  for (const [reason, outcome] of cases) {
    test(`of ${reason} ends in ${outcome}, and in "denied" where policy hides what exists`, () => {
      for (const denied of [false, true]) {
        const { events, record } = recording()
        record.fail(new Fault(reason, 'm'), denied)
        assert.equal(events[0]?.outcome, denied ? 'denied' : outcome)
      }
    })
  }
})

test('what a caller sends is bounded, and names only what the method names', () => {
  const { events, record } = recording()
  record.describe(request('resources/read', { uri: 'u'.repeat(5000), name: 'no' }))
  record.finish('success', 0)
  assert.deepEqual(events[0]?.target, {
    endpoint: 'ns/a',
    method: 'resources/read',
    name: 'u'.repeat(256),
    type: 'resources',
  })
  for (const [method, params] of [
    ['m'.repeat(5000), { name: 'x' }],
    ['tools/call', { name: { secret: 1 } }],
  ] as const) {
    const other = recording()
    other.record.describe(request(method, params))
    other.record.finish('success', 0)
    assert.deepEqual(other.events[0]?.target, { endpoint: 'ns/a', method: method.slice(0, 128) })
  }
})

test('the trace of the message goes before that of the header', () => {
  const [header, body] = ['a'.repeat(32), 'b'.repeat(32)]
  const { record } = recording({ traceparent: `00-${header}-${'1'.repeat(16)}-01` })
  assert.equal(record.trace.traceId, header)
  record.describe(request('ping', { _meta: { traceparent: `00-${body}-${'1'.repeat(16)}-00` } }))
  assert.deepEqual([record.trace.traceId, record.trace.flags], [body, '00'])
})

test('ids are UUIDs, and no two records share one', () => {
  const ids = Array.from({ length: 1000 }, () => recording().record.id)
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})
