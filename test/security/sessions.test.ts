// Sessions, cursors, states and tasks belong to one caller, one endpoint and one credential. Whatever is presented elsewhere is nothing.

import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { listen } from '../peers/listen.ts'
import type { Listening } from '../peers/listen.ts'
import { entry, manifest, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'

type Spec = Readonly<Record<string, unknown>>

const bearer = (name: string, key: string) =>
  manifest('MCPExternalAuthConfig', name, {
    type: 'bearerToken',
    bearerToken: { tokenSecretRef: { name: 'tokens', key } },
  })
const outgoing = (backend: string, name: string): Spec => ({
  outgoingAuth: {
    source: 'inline',
    backends: { [backend]: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name } } },
  },
})

describe('sessions towards servers', () => {
  let edge: TestEdge
  let backend: Recorder

  before(async () => {
    backend = await startRecorder({ era: 'legacy' })
    edge = await startEdge()
    await edge.secret('tokens', { strong: 'strong-token', weak: 'weak-token' })
    await edge.apply([
      bearer('strong', 'strong'),
      bearer('weak', 'weak'),
      entry('shared', backend.url),
      entry('one', backend.url, { externalAuthConfigRef: { name: 'strong' } }),
      entry('two', backend.url, { externalAuthConfigRef: { name: 'weak' } }),
      entry('red', backend.url, { headerForward: { addPlaintextHeaders: { 'X-Tenant': 'red' } } }),
      entry('blue', backend.url, { headerForward: { addPlaintextHeaders: { 'X-Tenant': 'blue' } } }),
      virtual('a', ['shared'], outgoing('shared', 'strong')),
      virtual('b', ['shared'], outgoing('shared', 'weak')),
      virtual('e', ['red']),
      virtual('f', ['blue']),
      virtual('c', ['one']),
      virtual('d', ['two']),
    ])
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await edge.lists(edge.endpoint(name), ['echo'])
  })

  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  async function sessionOf(name: string): Promise<string> {
    const url = edge.endpoint(name)
    const before = backend.received.length
    const token = await edge.token(url)
    const called = await exchange(url, { method: 'tools/call', params: { name: 'echo', arguments: {} }, token })
    assert.ok(called.answer?.result, called.body)
    const call = backend.received.slice(before).find(({ message }) => message?.method === 'tools/call')
    return String(call?.headers['mcp-session-id'])
  }

  test('a session that one credential opened is never used with another', async () => {
    assert.notEqual(await sessionOf('a'), await sessionOf('b'))
    assert.notEqual(await sessionOf('c'), await sessionOf('d'))
    assert.notEqual(await sessionOf('e'), await sessionOf('f'))
  })

  test('a session of one endpoint and caller is nothing at another, and not for another caller', async () => {
    const [a, b] = [edge.endpoint('a'), edge.endpoint('b')]
    const session = await openSession(a, await edge.token(a))
    const ask = { method: 'ping', era: 'legacy', session } as const
    assert.equal((await exchange(a, { ...ask, token: await edge.token(a) })).status, 200)
    assert.equal((await exchange(b, { ...ask, token: await edge.token(b) })).status, 404)
    assert.equal((await exchange(a, { ...ask, token: await edge.token(a, { sub: 'eve' }) })).status, 404)
    assert.equal(
      (await exchange(`${edge.url}/mcp`, { ...ask, token: await edge.token(`${edge.url}/mcp`) })).status,
      404,
    )
  })

  test('a task is nothing at an endpoint with another credential', async () => {
    backend.on('tools/call', () => '{"task":{"taskId":"t-1","status":"working"}}')
    backend.on('tasks/get', () => '{"taskId":"t-1","status":"completed"}')
    const [a, b] = [edge.endpoint('a'), edge.endpoint('b')]
    const params = { name: 'echo', arguments: {}, task: {} }
    const made = await exchange(a, { method: 'tools/call', era: 'legacy', token: await edge.token(a), params })
    const task = made.answer?.result?.['task'] as { taskId: string } | undefined
    assert.ok(task !== undefined && task.taskId !== 't-1', made.body)
    const get = { method: 'tasks/get', era: 'legacy', params: { taskId: task.taskId } } as const
    const own = await exchange(a, { ...get, token: await edge.token(a) })
    assert.ok(own.answer?.result, own.body)
    const before = backend.calls('tasks/get').length
    const other = await exchange(b, { ...get, token: await edge.token(b) })
    assert.ok(other.answer?.error, other.body)
    assert.equal(backend.calls('tasks/get').length, before)
  })
})

describe('sessions on the old transport', () => {
  let edge: TestEdge
  let server: Listening
  const streams = new Map<string, { response: ServerResponse; token: string }>()
  const used: { stream: string; post: string }[] = []

  before(async () => {
    let counter = 0
    server = await listen((request, response) => {
      const token = String(request.headers.authorization)
      if (request.method === 'GET') {
        counter += 1
        const id = String(counter)
        // The strong credential is slow to be let in: time for another one to overtake.
        setTimeout(
          () => {
            response.writeHead(200, { 'content-type': 'text/event-stream' })
            response.write(`event: endpoint\ndata: /messages?s=${id}\n\n`)
            streams.set(id, { response, token })
          },
          token.includes('strong') ? 400 : 100,
        )
        return
      }
      const stream = streams.get(new URL(request.url ?? '', 'http://x').searchParams.get('s') ?? '')
      let text = ''
      request.on('data', (chunk: Buffer) => (text += chunk.toString()))
      request.on('end', () => {
        response.writeHead(202).end()
        const message = JSON.parse(text) as { id?: unknown; method: string }
        if (message.method === 'tools/call') used.push({ stream: stream?.token ?? '', post: token })
        if (message.id === undefined) return
        const result =
          message.method === 'initialize'
            ? { protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }
            : message.method === 'tools/list'
              ? { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }
              : { content: [] }
        const answer = JSON.stringify({ jsonrpc: '2.0', id: message.id, result })
        setTimeout(() => stream?.response.write(`event: message\ndata: ${answer}\n\n`), 20)
      })
    })
    edge = await startEdge()
    await edge.secret('tokens', { strong: 'strong-token', weak: 'weak-token' })
    await edge.apply([
      bearer('strong', 'strong'),
      bearer('weak', 'weak'),
      entry('old', `${server.url}/sse`, { transport: 'sse' }),
      virtual('a', ['old'], outgoing('old', 'strong')),
      virtual('b', ['old'], outgoing('old', 'weak')),
    ])
    for (const name of ['a', 'b']) await edge.lists(edge.endpoint(name), ['echo'])
  })

  after(async () => {
    await edge?.close()
    await server?.close()
  })

  test('are never used with another credential than the one that opened them, whoever comes in between', async () => {
    const call = async (name: string) => {
      const url = edge.endpoint(name)
      return exchange(url, {
        method: 'tools/call',
        params: { name: 'echo', arguments: {} },
        token: await edge.token(url),
      })
    }
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all([call('a'), call('b'), call('a'), call('b')])
      answers.push(await call('b'), await call('a'))
      for (const { answer, body } of answers) assert.ok(answer?.result, body)
    }
    const mixed = used.filter(({ stream, post }) => stream !== post)
    assert.deepEqual(mixed, [])
  })
})
