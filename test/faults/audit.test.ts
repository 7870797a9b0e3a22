// Every request ends in exactly one audit event, however it ends, and one id and one trace join it with what the backend saw.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { AuditEvent, TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { Refusal, startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'
import type { Ask } from '../peers/wire.ts'

const secret = 'a-secret-argument'

describe('the audit trail', () => {
  let edge: TestEdge
  let backend: Recorder
  let endpoint: string
  let token: string

  before(async () => {
    backend = await startRecorder({ era: 'both' })
    edge = await startEdge({ resources: [entry('backend', backend.url), virtual('all', ['backend'])] })
    endpoint = edge.endpoint('all')
    await edge.lists(endpoint, ['echo'])
    token = await edge.token(endpoint)
  })
  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  /** The events that `action` causes; waits until there are as many as there should be, and then none for a while. */
  async function eventsOf(action: () => Promise<unknown>, expected = 1): Promise<AuditEvent[]> {
    const before = await edge.settled()
    await action()
    for (const deadline = Date.now() + 30_000; edge.audit().length < before + expected; await sleep(50))
      if (Date.now() > deadline) break
    await edge.settled()
    return edge.audit().slice(before)
  }

  const raw = (init: RequestInit & { path?: string }): Promise<Response> =>
    fetch(init.path ?? endpoint, {
      method: 'POST',
      ...init,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(init.headers as Record<string, string> | undefined),
      },
      signal: AbortSignal.timeout(30_000),
    })
  const ask = (one: Ask) => (): Promise<unknown> => exchange(endpoint, { token, ...one })
  const call = (name: string): Ask => ({ method: 'tools/call', params: { name, arguments: { value: secret } } })

  const cases: readonly {
    what: string
    act: () => Promise<unknown>
    type: string
    outcome: string
    events?: number
  }[] = [
    { what: 'a call', act: ask(call('echo')), type: 'mcp_tool_call', outcome: 'success' },
    { what: 'a call of an unknown tool', act: ask(call('nope')), type: 'mcp_tool_call', outcome: 'failure' },
    { what: 'a list', act: ask({ method: 'tools/list' }), type: 'mcp_tools_list', outcome: 'success' },
    { what: 'a list of prompts', act: ask({ method: 'prompts/list' }), type: 'mcp_prompts_list', outcome: 'success' },
    { what: 'a discover', act: ask({ method: 'server/discover' }), type: 'mcp_initialize', outcome: 'success' },
    {
      what: 'a legacy initialize',
      act: ask({
        method: 'initialize',
        era: 'legacy',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'n', version: 'v' } },
      }),
      type: 'mcp_initialize',
      outcome: 'success',
    },
    {
      what: 'a notification',
      act: ask({ method: 'notifications/initialized', era: 'legacy', notify: true }),
      type: 'mcp_notification',
      outcome: 'success',
    },
    { what: 'a ping', act: ask({ method: 'ping', era: 'legacy' }), type: 'mcp_ping', outcome: 'success' },
    {
      what: 'a body that is no JSON',
      act: () => raw({ body: '{"jsonrpc":' }),
      type: 'http_request',
      outcome: 'failure',
    },
    { what: 'an array of nothing', act: () => raw({ body: '[]' }), type: 'http_request', outcome: 'failure' },
    { what: 'a GET', act: () => raw({ method: 'GET' }), type: 'http_request', outcome: 'failure' },
    {
      what: 'a DELETE without a session',
      act: () => raw({ method: 'DELETE' }),
      type: 'http_request',
      outcome: 'failure',
    },
    {
      what: 'a body of another content type',
      act: () => raw({ body: 'x', headers: { 'content-type': 'text/plain' } }),
      type: 'http_request',
      outcome: 'failure',
    },
    {
      what: 'a body that is too large',
      act: () => raw({ body: `{"jsonrpc":"2.0","pad":"${'x'.repeat(9 << 20)}"}` }).catch(() => undefined),
      type: 'http_request',
      outcome: 'failure',
    },
    {
      what: 'a header that contradicts the body',
      act: ask({ ...call('echo'), headers: { 'mcp-name': 'other' } }),
      type: 'mcp_tool_call',
      outcome: 'failure',
    },
    {
      what: 'a token that is refused',
      act: ask({ ...call('echo'), token: 'wrong' }),
      type: 'http_request',
      outcome: 'denied',
    },
    {
      what: 'a foreign origin',
      act: ask({ ...call('echo'), headers: { origin: 'https://evil.example' } }),
      type: 'http_request',
      outcome: 'denied',
    },
    {
      what: 'a session that does not exist',
      act: ask({ method: 'tools/list', era: 'legacy', session: 'invented' }),
      type: 'mcp_tools_list',
      outcome: 'denied',
    },
    {
      what: 'a batch of two',
      act: () =>
        raw({
          body: '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]',
          headers: { 'mcp-protocol-version': '2025-03-26' },
        }),
      type: 'mcp_ping',
      outcome: 'success',
      events: 2,
    },
  ]
  for (const { what, act, type, outcome, events = 1 } of cases) {
    test(`${what}: ${events === 1 ? 'one event' : `${events} events`}, ${type}, ${outcome}`, async () => {
      const seen = await eventsOf(act, events)
      assert.deepEqual(
        seen.map((event) => `${event.type} ${event.outcome}`),
        Array.from({ length: events }, () => `${type} ${outcome}`),
        JSON.stringify(seen),
      )
      for (const event of seen) {
        assert.ok(event.audit_id)
        assert.ok(event['logged_at'])
        assert.equal((event['target'] as Record<string, unknown>)['endpoint'], 'test/all')
      }
      assert.ok(!JSON.stringify(seen).includes(secret), 'arguments are redacted by default')
    })
  }

  test('an error that the backend answers, and one that its tool reports, are told apart', async () => {
    backend.on('tools/call', () => {
      throw new Refusal('{"code":-31000,"message":"no"}')
    })
    assert.deepEqual(
      (await eventsOf(ask(call('echo')))).map(({ outcome }) => outcome),
      ['error'],
    )
    backend.on('tools/call', () => '{"content":[],"isError":true}')
    assert.deepEqual(
      (await eventsOf(ask(call('echo')))).map(({ outcome }) => outcome),
      ['application_error'],
    )
    backend.on('tools/call', () => '{"content":[]}')
  })

  test('many requests at once leave exactly as many events, each with an id of its own', async () => {
    const events = await eventsOf(() => Promise.all(Array.from({ length: 100 }, ask(call('echo')))), 100)
    assert.equal(events.length, 100)
    assert.equal(new Set(events.map((event) => event.audit_id)).size, 100)
  })

  test('the trace of the caller goes on at the backend and in the event', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const parent = `00-${traceId}-00f067aa0ba902b7-01`
    backend.received.length = 0
    const [event] = await eventsOf(ask({ ...call('echo'), headers: { traceparent: parent } }))
    const [sent] = backend.calls('tools/call')
    const header = String(sent?.headers['traceparent'])
    assert.match(header, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    assert.notEqual(header, parent)
    assert.ok(JSON.stringify(event).includes(traceId))
  })

  test('a legacy session that is ended serves no more', async () => {
    const session = await openSession(endpoint, token)
    const list: Ask = { method: 'tools/list', era: 'legacy', token, session }
    assert.equal((await exchange(endpoint, list)).status, 200)
    const ended = await fetch(endpoint, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': session ?? '' },
    })
    assert.ok(ended.ok)
    assert.equal((await exchange(endpoint, list)).status, 404)
  })
})
