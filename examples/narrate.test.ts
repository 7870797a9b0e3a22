import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEvent } from '../protocol/audit.ts'
import { eventOf, narrate } from './narrate.ts'

const event: AuditEvent = {
  msg: 'audit_event',
  level: 'AUDIT',
  audit_id: '1',
  type: 'mcp_tool_call',
  logged_at: '2026-11-22T14:02:11.000Z',
  outcome: 'success',
  component: 'edge',
  source: { type: 'network', value: '127.0.0.1', extra: {} },
  subjects: { user: 'ben', user_id: 'http://127.0.0.1:8788 ben' },
  target: { endpoint: 'demo/tools', method: 'tools/call', type: 'tool', name: 'board_list_incidents' },
  metadata: { extra: { duration_ms: 11.6, backend_name: 'demo/board' } },
}

test('a call is one line that says who, what, where and how it ended', () => {
  const line = narrate(event).replace(/ +/g, ' ')
  assert.equal(line, '14:02:11 ben tools/call board_list_incidents → demo/board ✓ 12 ms')
})

test('a refusal says why', () => {
  const denied: AuditEvent = {
    ...event,
    outcome: 'denied',
    metadata: { extra: { reason: 'insufficient_scope' } },
  }
  assert.match(narrate(denied), /✗ denied {2}insufficient scope$/)
})

test('names from clients cannot steer the terminal', () => {
  const line = narrate({ ...event, target: { method: 'tools/call', name: '\u001b[2Jgone\r' } })
  assert.ok(!line.includes('\u001b') && !line.includes('\r'))
})

test('lines that are no audit events are left alone', () => {
  assert.equal(eventOf('workerd: listening'), undefined)
  assert.equal(eventOf('{"msg":"other"}'), undefined)
  assert.equal(eventOf('{broken'), undefined)
  assert.equal(eventOf(JSON.stringify(event))?.outcome, 'success')
})
