// Ways around a ToolPolicy: every reading of a message that some server may take must be one that the policy has judged.
// The proof is always what reached the backend, never what the caller was told.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DEFAULT_AGGREGATION, merge } from '../../gateway/catalog/merge.ts'
import type { Member } from '../../gateway/catalog/merge.ts'
import { judge } from '../../gateway/policy.ts'
import { anonymous } from '../../gateway/principal.ts'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, legacyRevision } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`

describe('around a policy', () => {
  let edge: TestEdge
  let backend: Recorder
  let lowly: Recorder
  let victim: Recorder
  let token: string

  before(async () => {
    backend = await startRecorder({ era: 'legacy', tools: ['read', 'drop'].map(tool) })
    victim = await startRecorder({ tools: ['b-drop'].map(tool) })
    lowly = await startRecorder({ tools: ['drop', 'noop'].map(tool) })
    edge = await startEdge({
      resources: [
        entry('backend', backend.url),
        virtual('guarded', ['backend']),
        policy('no-drop', 'guarded', [{ tools: ['drop'], groups: ['admins'] }]),
        entry('a', victim.url),
        entry('a-b', lowly.url),
        virtual('dashed', ['a', 'a-b'], {
          config: {
            aggregation: { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '{workload}-' } },
          },
        }),
        policy('no-dashed-drop', 'dashed', [{ tools: ['a-b-drop'], groups: ['admins'] }]),
      ],
    })
    await edge.lists(edge.endpoint('guarded'), ['read'])
    await edge.lists(edge.endpoint('dashed'), ['a-b-noop'])
    token = await edge.token(edge.endpoint('guarded'))
  })

  after(async () => {
    await edge?.close()
    for (const peer of [backend, lowly, victim]) await peer?.close()
  })

  /** Sends a body as it is, as a legacy client without a session. Returns what it made the backend receive. */
  async function send(body: string): Promise<string[]> {
    const before = backend.received.length
    const response = await fetch(edge.endpoint('guarded'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        'mcp-protocol-version': legacyRevision,
      },
      body,
      signal: AbortSignal.timeout(10_000),
    })
    await response.text()
    await sleep(100)
    const own = /"method":\s*"(initialize|notifications\/initialized|server\/discover|\w+\/(\w+\/)?list)"/
    return backend.received
      .slice(before)
      .map((one) => one.body)
      .filter((text) => text.includes('drop') || !own.test(text))
  }

  test('the policy holds for a plain call', async () => {
    assert.deepEqual(await send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}'), [])
    const allowed = await send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}')
    assert.equal(allowed.length, 1)
  })

  // Go's encoding/json finds members whatever their case, also by Unicode folding, and the last one wins.
  const twofold = [
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","Name":"drop"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","NAME":"drop","arguments":{}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"},"Params":{"name":"drop"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"},"param\\u017f":{"name":"drop"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","n\\u0061me":"drop"}}',
    '{"jsonrpc":"2.0","id":1,"method":"x/harmless","Method":"tools/call","params":{"name":"drop"}}',
  ]
  for (const body of twofold) {
    test(`a message that a lenient reader takes for another call goes nowhere: ${body}`, async () => {
      assert.deepEqual(await send(body), [])
    })
  }

  for (const method of ['tools/call', 'Tools/Call', 'tools/call ', '/tools/call', 'initialize', 'prompts/get']) {
    test(`a notification "${method}" is not forwarded: a server may execute what has no id`, async () => {
      const params = '{"name":"drop","arguments":{},"protocolVersion":"2025-11-25"}'
      assert.deepEqual(await send(`{"jsonrpc":"2.0","method":"${method}","params":${params}}`), [])
    })
  }

  for (const method of ['Tools/Call', 'tools/call ', ' tools/call', 'tools/call/', 'tools//call', 'TOOLS/CALL']) {
    test(`a method that only looks like a call is not forwarded: "${method}"`, async () => {
      assert.deepEqual(await send(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":{"name":"drop"}}`), [])
    })
  }

  test("the tasks of other callers are not listed: a server sees one caller in all of the edge's", async () => {
    backend.on('tasks/list', () => '{"tasks":[{"taskId":"of-somebody-else","status":"working"}]}')
    const response = await exchange(edge.endpoint('guarded'), { method: 'tasks/list', era: 'legacy', token })
    assert.doesNotMatch(response.body, /of-somebody-else/)
  })

  test('a rule on an exposed name holds also when another server takes the same name', async () => {
    const endpoint = edge.endpoint('dashed')
    const listed = await exchange(endpoint, { method: 'tools/list', token: await edge.token(endpoint) })
    const tools = (listed.answer?.result?.['tools'] ?? []) as { name: string }[]
    assert.ok(tools.some(({ name }) => name === 'a-b-noop'))
    assert.deepEqual(
      tools.map(({ name }) => name).filter((name) => name.startsWith('a-b-drop')),
      [],
      'the guarded tool lost its rule together with its name',
    )
  })
})

describe('a rule by its exposed name', () => {
  const item = (id: string) => ({ id, text: tool(id) })
  const member = (name: string, tools: readonly string[]): Member => ({
    server: `test/${name}`,
    workload: name,
    rules: [],
    catalog: {
      era: 'modern',
      revision: '2026-07-28',
      capabilities: {},
      ttlMs: 1,
      sections: { tools: tools.map(item), prompts: [], resources: [], templates: [] },
      problems: [],
    },
  })
  const rules = [{ tools: ['a_drop'], groups: ['admins'] }]

  for (const rival of [['drop'], []]) {
    test(`holds whether or not another server offers the same: ${rival.length} rivals`, () => {
      const aggregation = { ...DEFAULT_AGGREGATION, strategy: 'priority', priorityOrder: ['c'] } as const
      const catalog = merge([member('a', ['drop']), member('b', rival)], aggregation, rules)
      const found = catalog.entries.tools.find((entry) => entry.server === 'test/a')
      assert.ok(found)
      assert.equal(judge(anonymous, found.grants).kind, 'hidden', found.exposed)
    })
  }
})
