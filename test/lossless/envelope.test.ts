// What surrounds a message: ids come back as they were written, names that clients cannot carry are fitted and found again,
// and a message that two readers could understand differently is refused.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { text } from 'node:stream/consumers'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, toolNames } from '../peers/wire.ts'

const odd = ['echo', 'ünï cödé/tool!', 'x'.repeat(100), `${'x'.repeat(99)}y`, 'a.b', 'a_b', 'Echo']

const envelope =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'

describe('the envelope', () => {
  let edge: TestEdge
  let backend: Recorder
  let endpoint: string

  before(async () => {
    backend = await startRecorder({
      tools: odd.map((name) => `{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`),
    })
    backend.on('tools/call', () => '{"content":[]}')
    edge = await startEdge({ resources: [entry('backend', backend.url), virtual('all', ['backend'])] })
    endpoint = edge.endpoint('all')
    await edge.lists(endpoint, ['echo'])
  })
  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  async function send(body: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await edge.token(endpoint)}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'echo',
        ...headers,
      },
      body,
    })
    return { status: response.status, body: await response.text() }
  }
  const call = (id: string, params = '"name":"echo","arguments":{}'): string =>
    `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{${params},${envelope}}}`

  for (const id of ['12345678901234567890', '1.0', '-0', '"\\u00e9\\n"', '""', '"__proto__"']) {
    test(`the id ${id} comes back as it was written`, async () => {
      const { status, body } = await send(call(id))
      assert.equal(status, 200)
      assert.ok(body.includes(`"id":${id},`), body)
    })
  }

  const ambiguous: Readonly<Record<string, string>> = {
    'two names': call('1', '"name":"nope","name":"echo","arguments":{}'),
    'two envelopes': call('1', `${envelope},"name":"echo","arguments":{}`),
    'two methods': call('1').replace('"method"', '"method":"tools/list","method"'),
    'two params': call('1').replace('"params"', '"params":{},"params"'),
    'a name that is spelt twice, once escaped': call('1', '"n\\u0061me":"nope","name":"echo","arguments":{}'),
    'an id of null': call('null'),
    'an id that is a list': call('[]'),
    'params that are a list': `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}`,
  }
  for (const [what, body] of Object.entries(ambiguous)) {
    test(`a message with ${what} is refused and reaches no backend`, async () => {
      backend.received.length = 0
      const response = await send(body)
      assert.equal(response.status, 400, response.body)
      assert.equal(backend.calls('tools/call').length, 0)
    })
  }

  test('names that clients cannot carry are fitted without colliding, and reach the backend as it knows them', async () => {
    const token = await edge.token(endpoint)
    const names = toolNames(await exchange(endpoint, { method: 'tools/list', token }))
    assert.equal(new Set(names).size, odd.length)
    const reached: unknown[] = []
    for (const name of names) {
      assert.match(name, /^[a-zA-Z0-9_-]{1,64}$/)
      backend.received.length = 0
      const { answer, body } = await exchange(endpoint, {
        method: 'tools/call',
        params: { name, arguments: {} },
        token,
      })
      assert.ok(answer?.result, body)
      reached.push(backend.calls('tools/call')[0]?.message?.params?.['name'])
    }
    assert.deepEqual(new Set(reached), new Set(odd))
  })

  test('a message as deep as its size allows neither fails the edge nor is changed', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    backend.received.length = 0
    backend.on('tools/call', () => `{"content":${deep}}`)
    const { body } = await send(call('1', `"name":"echo","arguments":{"deep":${deep}}`))
    backend.on('tools/call', () => '{"content":[]}')
    assert.ok(body.includes(deep), body.slice(0, 300))
    assert.ok(backend.calls('tools/call')[0]?.body.includes(deep))
  })

  test('twenty megabytes arrive whole', async () => {
    const large = JSON.stringify('\u00e9'.repeat(10_000_000))
    backend.on('tools/call', () => `{"content":[{"type":"text","text":${large}}]}`)
    const { body } = await send(call('1'))
    backend.on('tools/call', () => '{"content":[]}')
    assert.ok(body.includes(large), body.slice(0, 300))
  })

  test('everything that a caller may use is one endpoint, with the server in every name', async () => {
    const everything = `${edge.url}/mcp`
    const list = await exchange(everything, { method: 'tools/list', token: await edge.token(everything) })
    assert.equal(toolNames(list).filter((name) => name.startsWith('backend_')).length, odd.length)
    assert.equal((await exchange(everything, { method: 'tools/list', token: await edge.token(endpoint) })).status, 401)
  })

  test('a request for another host is refused', async () => {
    const token = await edge.token(endpoint)
    const ask = async (host: string): Promise<number> => {
      const headers = {
        host,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'echo',
      }
      const outgoing = request(endpoint, { method: 'POST', headers })
      outgoing.end(call('1'))
      return new Promise((resolve, reject) => {
        outgoing.on('error', reject)
        outgoing.on('response', (response) => {
          text(response).then(() => resolve(response.statusCode ?? 0), reject)
        })
      })
    }
    assert.equal(await ask('evil.example'), 403)
    assert.equal(await ask(new URL(edge.url).host), 200)
  })
})
