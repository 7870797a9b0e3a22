// The scripted backend is a server that real clients accept, in both eras and both forms of reply.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRecorder } from './recorder.ts'
import { exchange, openSession } from './wire.ts'

for (const era of ['modern', 'legacy', 'both'] as const) {
  for (const reply of ['json', 'sse'] as const) {
    test(`a real client lists and calls the recorder (${era}, ${reply})`, async (t) => {
      const recorder = await startRecorder({ era, reply })
      t.after(() => recorder.close())
      const client = new Client({ name: 't', version: '1' }, { versionNegotiation: { mode: 'auto' } })
      await client.connect(new StreamableHTTPClientTransport(new URL(recorder.url)))
      const { tools } = await client.listTools()
      assert.deepEqual(
        tools.map(({ name }) => name),
        ['echo'],
      )
      const { content } = await client.callTool({ name: 'echo', arguments: { big: 1 } })
      assert.deepEqual(content, [{ type: 'text', text: '{"big":1}' }])
      assert.equal(client.getProtocolEra(), era === 'legacy' ? 'legacy' : 'modern')
      assert.equal(recorder.calls('tools/call').length, 1)
      await client.close()
    })
  }
}

test('a legacy recorder refuses a request without a session, and one whose session it forgot', async (t) => {
  const recorder = await startRecorder({ era: 'legacy' })
  t.after(() => recorder.close())
  const list = { method: 'tools/list', era: 'legacy' } as const
  assert.equal((await exchange(recorder.url, list)).status, 400)
  const session = await openSession(recorder.url, undefined)
  assert.equal((await exchange(recorder.url, { ...list, session })).status, 200)
  recorder.forgetSessions()
  assert.equal((await exchange(recorder.url, { ...list, session })).status, 404)
})
