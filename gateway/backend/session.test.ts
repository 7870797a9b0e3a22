import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { Levels } from '../levels.ts'
import { Sealer } from '../seal.ts'
import { MemoryStore } from '../store/memory.ts'
import { LegacyBackend, Sessions } from './session.ts'
import type { Call, Owner, Reply, Upstream } from './upstream.ts'

interface Seen {
  readonly method: string
  readonly http: string
  readonly session: string | null
  readonly revision: string | null
  readonly after: string | null
}

/** A legacy server that keeps sessions in memory; `answer` may take a request over. */
function scripted() {
  const seen: Seen[] = []
  const sessions = new Set<string>()
  const server = {
    revision: '2025-11-25',
    seen,
    sessions,
    answer: undefined as ((one: Seen, id: unknown) => Response | undefined) | undefined,
    calls: () => seen.filter(({ method }) => method === 'tools/call'),
  }
  const upstream: Upstream = {
    server: 'ns/one',
    url: 'https://one.example/mcp',
    account: '',
    transport: 'streamable-http',
    headers: async () => ({}),
    allowPrivate: false,
    allowLoopback: false,
    fetch: async (_url, init) => {
      const headers = new Headers(init.headers)
      const message = (typeof init.body === 'string' ? JSON.parse(init.body) : {}) as { id?: unknown; method?: string }
      const one: Seen = {
        method: message.method ?? '',
        http: init.method ?? '',
        session: headers.get('mcp-session-id'),
        revision: headers.get('mcp-protocol-version'),
        after: headers.get('last-event-id'),
      }
      seen.push(one)
      const taken = server.answer?.(one, message.id)
      if (taken !== undefined) return taken
      if (one.method === 'initialize') {
        const session = `session-${seen.length}`
        sessions.add(session)
        const result = { protocolVersion: server.revision, capabilities: {}, serverInfo: { name: 's', version: '1' } }
        return Response.json({ jsonrpc: '2.0', id: message.id, result }, { headers: { 'mcp-session-id': session } })
      }
      if (!sessions.has(one.session ?? '')) return new Response('no session', { status: 404 })
      if (one.http === 'GET') return new Response(null, { status: 405 })
      if (message.id === undefined) return new Response(null, { status: 202 })
      return Response.json({ jsonrpc: '2.0', id: message.id, result: {} })
    },
  }
  const store = new MemoryStore(Date.now)
  const sealer = new Sealer([{ kid: 'a', key: new Uint8Array(32) }])
  const channel = { attach: async () => undefined }
  const isolate = () => new LegacyBackend(upstream, new Sessions(store, sealer, new Levels(store, Date.now), channel))
  return Object.assign(server, { isolate })
}

const owner: Owner = { name: 'session one', capabilities: {} }
const call = (): Call => ({
  text: '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}',
  id: '7',
  headers: {},
  signal: AbortSignal.timeout(10_000),
})
const events = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } })
const refuse = (status: number, code: number, id: unknown = null) =>
  Response.json({ jsonrpc: '2.0', id, error: { code, message: 'no' } }, { status })
const result = '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}'

async function texts(reply: Reply | undefined): Promise<string[]> {
  assert.ok(reply?.kind === 'stream')
  const found: string[] = []
  for await (const { text } of reply.messages) found.push(text)
  return found
}

test('a call whose stream breaks after an event with an id is answered on the next connection, and sent once', async () => {
  const server = scripted()
  server.answer = ({ http, method, after }) => {
    if (http === 'GET') return events(after === 'a' ? `id: b\ndata: ${result}\n\n` : '')
    return method === 'tools/call' ? events('id: a\nretry: 100\ndata: \n\n') : undefined
  }
  const reply = await server.isolate().call(call(), owner)
  assert.ok(reply.kind === 'stream')
  assert.equal(reply.lastEvent?.(), undefined)
  assert.deepEqual(await texts(reply), [result])
  assert.equal(reply.lastEvent?.(), 'b')
  assert.equal(server.calls().length, 1)
  const get = server.seen.find(({ http }) => http === 'GET')
  assert.equal(get?.session, server.calls()[0]?.session)
  assert.equal(get?.revision, '2025-11-25')
})

test('a stream that ends without an answer and without ids is a failure of the server', async () => {
  const server = scripted()
  server.answer = ({ method }) => (method === 'tools/call' ? events(': nothing\n\n') : undefined)
  await assert.rejects(
    texts(await server.isolate().call(call(), owner)),
    (error) => error instanceof Fault && error.reason === 'backend_unavailable',
  )
})

test('the rest of a call is had by any isolate on the session it was sent on', async () => {
  const server = scripted()
  await server.isolate().call(call(), owner)
  server.answer = ({ http, after }) =>
    http === 'GET' ? events(`id: c\ndata: ${result}\n\n`.repeat(after === 'b' ? 1 : 0)) : undefined
  const reply = await server.isolate().resume('b', call(), owner)
  assert.deepEqual(await texts(reply), [result])
  assert.equal(server.seen.at(-1)?.session, server.calls()[0]?.session)
  server.answer = undefined
  assert.equal(await server.isolate().resume('b', call(), owner), undefined)
  assert.equal(await server.isolate().resume('b', call(), { ...owner, name: 'session two' }), undefined)
})

test('what a server says unasked is heard by whoever has a session there', async () => {
  const server = scripted()
  const request = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
  const notification = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
  server.answer = ({ http, after }) => {
    if (http !== 'GET') return undefined
    if (after === null) return events(`: hello\n\nretry: 100\nid: a\ndata: ${request}\n\ndata: ${result}\n\n`)
    return after === 'a' ? events(`id: b\ndata: ${notification}\n\n`) : new Response(null, { status: 404 })
  }
  const { signal } = new AbortController()
  assert.equal(await server.isolate().listen([], owner, signal), undefined)
  await server.isolate().call(call(), owner)
  const heard: string[] = []
  for await (const { text } of (await server.isolate().listen([], owner, signal)) ?? []) heard.push(text)
  assert.deepEqual(heard, [request, notification])
  server.answer = undefined
  assert.equal(await server.isolate().listen([], owner, signal), undefined)
})

test('a server that forgot the session is initialized again, with the revision it speaks now', async () => {
  const server = scripted()
  const backend = server.isolate()
  await backend.call(call(), owner)
  server.sessions.clear()
  server.revision = '2025-06-18'
  assert.equal((await backend.call(call(), owner)).kind, 'message')
  assert.deepEqual(
    server.calls().map(({ revision }) => revision),
    ['2025-11-25', '2025-11-25', '2025-06-18'],
  )
})

test('a server that does not speak the revision of the session any more is initialized again', async () => {
  for (const id of [null, 7]) {
    const server = scripted()
    const backend = server.isolate()
    await backend.call(call(), owner)
    server.revision = '2025-06-18'
    server.answer = ({ revision }) => (revision === '2025-11-25' ? refuse(400, -32000, id) : undefined)
    assert.equal((await backend.call(call(), owner)).kind, 'message')
    assert.equal(server.calls().at(-1)?.revision, '2025-06-18')
  }
})

test('a session that another isolate has opened anew is used, not replaced', async () => {
  const server = scripted()
  const [here, there] = [server.isolate(), server.isolate()]
  await here.call(call(), owner)
  await there.call(call(), owner)
  server.sessions.clear()
  await here.call(call(), owner)
  await there.call(call(), owner)
  assert.equal(server.seen.filter(({ method }) => method === 'initialize').length, 2)
  assert.equal(server.calls().at(-1)?.session, server.calls().at(-3)?.session)
})

test('a server that turned modern is said to be, by its refusal of the call or of a new session', async () => {
  const server = scripted()
  const backend = server.isolate()
  await backend.call(call(), owner)
  server.answer = (_one, id) => refuse(400, -32022, id)
  const refused = await backend.call(call(), owner)
  assert.ok(refused.kind === 'rejected' && refused.speaks === 'modern' && refused.message?.error?.['code'] === -32022)
  server.answer = ({ method }, id) =>
    method === 'initialize' ? refuse(404, -32601, id) : new Response(null, { status: 404 })
  const lost = await backend.call(call(), owner)
  assert.ok(lost.kind === 'rejected' && lost.speaks === 'modern' && lost.message === undefined)
})

test('a refusal that answers the call is its answer, and other refusals are not tried for ever', async () => {
  const server = scripted()
  const backend = server.isolate()
  server.answer = ({ method }, id) => (method === 'tools/call' ? refuse(422, -32603, id) : undefined)
  const refused = await backend.call(call(), owner)
  assert.ok(refused.kind === 'rejected' && refused.message?.error?.['code'] === -32603 && refused.speaks === undefined)
  server.answer = ({ method }) => (method === 'tools/call' ? new Response(null, { status: 404 }) : undefined)
  await assert.rejects(
    backend.call(call(), owner),
    (error) => error instanceof Fault && error.reason === 'backend_protocol',
  )
  assert.equal(server.calls().length, 3)
})
