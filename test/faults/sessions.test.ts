// State between a client and a legacy backend, or between two rounds of a modern call, belongs to one caller and one
// backend, and outlives what it can: a backend that restarts, or that changes its era.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'

describe('sessions and rounds', () => {
  let edge: TestEdge
  let legacy: Recorder
  let modern: Recorder

  before(async () => {
    legacy = await startRecorder({ era: 'legacy' })
    const tools = ['echo', 'other'].map((name) => `{"name":"${name}","inputSchema":{"type":"object"}}`)
    modern = await startRecorder({ tools })
    edge = await startEdge({
      resources: [
        entry('legacy', legacy.url),
        entry('modern', modern.url),
        virtual('legacy', ['legacy']),
        virtual('modern', ['modern']),
      ],
    })
    await edge.lists(edge.endpoint('legacy'), ['echo'])
    await edge.lists(edge.endpoint('modern'), ['echo'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all([legacy?.close(), modern?.close()])
  })

  /** A call at the legacy backend; modern without a session, else legacy. */
  async function call(subject: string, session?: string): Promise<Exchange> {
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint, { sub: subject })
    const era = session === undefined ? 'modern' : 'legacy'
    return exchange(endpoint, { method: 'tools/call', params: { name: 'echo', arguments: {} }, token, era, session })
  }

  const sessionsOfCalls = (): (string | undefined)[] =>
    legacy.calls('tools/call').map(({ headers }) => headers['mcp-session-id'] as string | undefined)

  test('every legacy client session has a backend session of its own, opened once', async () => {
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint)
    legacy.received.length = 0
    const [one, two] = [await openSession(endpoint, token), await openSession(endpoint, token)]
    for (const session of [one, two, one, two, one]) assert.ok((await call('ada', session)).answer?.result)
    const [first, second] = sessionsOfCalls()
    assert.ok(first && second && first !== second)
    assert.deepEqual(sessionsOfCalls(), [first, second, first, second, first])
    assert.equal(legacy.calls('initialize').length, 2)
    for (const { headers } of legacy.calls('tools/call')) {
      assert.notEqual(headers['mcp-session-id'], one)
      assert.notEqual(headers['mcp-session-id'], two)
    }
  })

  test('ending a client session ends its backend session, and no other', async () => {
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint)
    const [one, two] = [await openSession(endpoint, token), await openSession(endpoint, token)]
    await Promise.all([call('ada', one), call('ada', two)])
    const before = legacy.sessionCount()
    const headers = { authorization: `Bearer ${token}`, 'mcp-session-id': one ?? '' }
    assert.ok((await fetch(endpoint, { method: 'DELETE', headers })).ok)
    const deadline = Date.now() + 30_000
    while (legacy.sessionCount() === before) {
      assert.ok(Date.now() < deadline, 'the backend session was never ended')
      await sleep(50)
    }
    assert.equal(legacy.sessionCount(), before - 1)
    assert.ok((await call('ada', two)).answer?.result)
  })

  test('modern callers share no backend session with other principals, and keep their own', async () => {
    legacy.received.length = 0
    for (const subject of ['ada', 'ben', 'ada', 'ben']) assert.ok((await call(subject)).answer?.result)
    const [ada, ben] = sessionsOfCalls()
    assert.ok(ada && ben && ada !== ben)
    assert.deepEqual(sessionsOfCalls(), [ada, ben, ada, ben])
  })

  test('many first calls at once open one backend session per caller', async () => {
    legacy.received.length = 0
    const calls = await Promise.all(Array.from({ length: 20 }, () => call('crowd')))
    assert.ok(calls.every(({ answer }) => answer?.result !== undefined))
    assert.ok(new Set(sessionsOfCalls()).size <= 2, `${new Set(sessionsOfCalls()).size} sessions`)
  })

  test('a backend that forgot all sessions is initialized again, for all callers at once', async () => {
    const endpoint = edge.endpoint('legacy')
    const session = await openSession(endpoint, await edge.token(endpoint))
    await call('ada', session)
    legacy.forgetSessions()
    const calls = await Promise.all([call('ada', session), call('ada'), call('ben'), call('ada', session)])
    for (const { answer, body } of calls) assert.ok(answer?.result, body)
  })

  for (const [from, to] of [
    ['legacy', 'modern'],
    ['modern', 'legacy'],
  ] as const) {
    test(`a backend that turns from ${from} to ${to} is served again within seconds`, async () => {
      assert.equal(legacy.era, from)
      legacy.era = to
      legacy.forgetSessions()
      const deadline = Date.now() + 60_000
      for (;;) {
        const { answer, body } = await call('ada')
        if (answer?.result !== undefined) break
        assert.ok(Date.now() < deadline, body)
        await sleep(200)
      }
    })
  }

  test('the state of a round belongs to one caller and one tool, and reaches the backend as it left it', async () => {
    const state = 'a state with "quotes" and \u00e9'
    modern.on('tools/call', ({ params }) =>
      params?.['requestState'] === undefined
        ? `{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list","params":{}}},"requestState":${JSON.stringify(state)}}`
        : '{"content":[]}',
    )
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint)
    const call = { method: 'tools/call', token } as const
    const asked = await exchange(endpoint, { ...call, params: { name: 'echo', arguments: {} } })
    const requestState = asked.answer?.result?.['requestState']
    assert.ok(typeof requestState === 'string' && !requestState.includes('quotes'), asked.body)
    modern.received.length = 0
    const inputResponses = { k: { roots: [] } }
    const answer = (name: string, sealed: string, bearer = token): Promise<Exchange> => {
      const params = { name, arguments: {}, inputResponses, requestState: sealed }
      return exchange(endpoint, { ...call, params, token: bearer })
    }
    for (const refused of [
      await answer('other', requestState),
      await answer('echo', requestState, await edge.token(endpoint, { sub: 'eve' })),
      await answer('echo', `${requestState}x`),
      await answer('echo', state),
    ]) {
      assert.equal(refused.answer?.error?.code, -32602, refused.body)
    }
    assert.equal(modern.calls('tools/call').length, 0)
    assert.ok((await answer('echo', requestState)).answer?.result)
    const [sent] = modern.calls('tools/call')
    assert.equal(sent?.message?.params?.['requestState'], state)
    assert.deepEqual(sent.message.params['inputResponses'], inputResponses)
  })
})
