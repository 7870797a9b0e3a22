// A server may come back as another one: of the other era, or of an older revision. Calls do not wait for the catalog to notice.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connectV1, connectV2 } from '../clients/sdk.ts'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import type { Fixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'

type Era = 'legacy' | 'modern'

describe('servers that change', () => {
  let edge: TestEdge
  let recorder: Recorder
  let fixture: Fixture

  before(async () => {
    recorder = await startRecorder({ era: 'legacy' })
    fixture = await startFixture({ eras: 'modern' })
    edge = await startEdge({
      resources: [
        entry('recorder', recorder.url),
        entry('fixture', fixture.url),
        virtual('recorder', ['recorder']),
        virtual('fixture', ['fixture']),
      ],
    })
    await edge.lists(edge.endpoint('recorder'), ['echo'])
    await edge.lists(edge.endpoint('fixture'), ['test_simple_text'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all([recorder?.close(), fixture?.close()])
  })

  /** Restarts the fixture where it was, speaking one era. */
  async function restart(eras: Era): Promise<void> {
    await fixture.close()
    fixture = await startFixture({ eras, port: Number(new URL(fixture.url).port) })
  }

  const text = { content: [{ type: 'text', text: 'This is a simple text response for testing.' }] }

  for (const era of ['legacy', 'modern'] as const) {
    test(`the first calls after an SDK server came back ${era} are answered, for clients of both eras`, async () => {
      const endpoint = edge.endpoint('fixture')
      const token = await edge.token(endpoint)
      const clients = [await connectV1(endpoint, token), await connectV2(endpoint, token, { pin: '2026-07-28' })]
      for (const client of clients) assert.ok(await client.callTool('test_simple_text', {}))
      await restart(era)
      for (const client of clients) {
        const result = (await client.callTool('test_simple_text', {})) as typeof text
        assert.deepEqual(result.content, text.content)
        await client.close()
      }
    })
  }

  for (const [to, by] of [
    ['modern', 'session'],
    ['legacy', 'session'],
    ['modern', 'principal'],
    ['legacy', 'principal'],
  ] as const) {
    test(`a call of a ${by} is executed once by a server that turned ${to} just before`, async () => {
      const endpoint = edge.endpoint('recorder')
      const token = await edge.token(endpoint)
      const session = by === 'session' ? await openSession(endpoint, token) : undefined
      const era = by === 'session' ? ('legacy' as const) : ('modern' as const)
      const call = { method: 'tools/call', params: { name: 'echo', arguments: {} }, token, era, session }
      assert.ok((await exchange(endpoint, call)).answer?.result)
      let executed = 0
      recorder.on('tools/call', () => {
        executed += 1
        return '{"content":[]}'
      })
      recorder.era = to
      recorder.forgetSessions()
      const { answer, body } = await exchange(endpoint, call)
      assert.ok(answer?.result, body)
      assert.equal(executed, 1)
      // The catalog follows, so that later calls need no second attempt.
      recorder.received.length = 0
      await edge.lists(endpoint, ['echo'])
    })
  }

  test('a refusal that is about the call is answered as it is, also when the other era was tried', async () => {
    const endpoint = edge.endpoint('recorder')
    const token = await edge.token(endpoint)
    assert.equal(recorder.era, 'legacy')
    const session = await openSession(endpoint, token)
    const call = {
      method: 'tools/call',
      params: { name: 'echo', arguments: {} },
      token,
      era: 'legacy',
      session,
    } as const
    assert.ok((await exchange(endpoint, call)).answer?.result)
    recorder.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      response.writeHead(400, { 'content-type': 'application/json' })
      const error = { code: -32602, message: 'arguments.text is required' }
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, error }))
      return true
    }
    try {
      const { answer, body } = await exchange(endpoint, call)
      assert.equal(answer?.error?.message, 'arguments.text is required', body)
    } finally {
      recorder.takeover = undefined
    }
  })

  test('a server that came back with an older revision is spoken to in that one', async () => {
    const endpoint = edge.endpoint('recorder')
    const token = await edge.token(endpoint)
    const session = await openSession(endpoint, token)
    const call = {
      method: 'tools/call',
      params: { name: 'echo', arguments: {} },
      token,
      era: 'legacy',
      session,
    } as const
    const revisions = ['2025-11-25', '2025-06-18', '2025-03-26']
    for (const revision of revisions) {
      recorder.on(
        'initialize',
        () => `{"protocolVersion":"${revision}","capabilities":{"tools":{}},"serverInfo":{"name":"r","version":"1"}}`,
      )
      recorder.forgetSessions()
      recorder.received.length = 0
      const { answer, body } = await exchange(endpoint, call)
      assert.ok(answer?.result, body)
      const sent = recorder.calls('tools/call').at(-1)?.headers['mcp-protocol-version']
      assert.equal(sent, revision === '2025-03-26' ? undefined : revision)
    }
  })
})
