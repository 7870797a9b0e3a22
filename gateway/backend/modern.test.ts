import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { connect } from './connect.ts'
import { ModernBackend, modernCall } from './modern.ts'
import type { Owner, Upstream } from './upstream.ts'

interface Seen {
  readonly method: string
  readonly headers: Headers
  readonly params: Readonly<Record<string, unknown>>
}

type Answer = (one: Seen, id: unknown) => Response

/** A server that answers with what `answer` says; `lasting` requests are those for streams. */
function scripted(answer: Answer) {
  const seen: Seen[] = []
  const lasting: Seen[] = []
  const into = (list: Seen[]) => async (_url: string, init: RequestInit) => {
    assert.ok(typeof init.body === 'string')
    const { id, method, params } = JSON.parse(init.body) as { id: unknown; method: string; params: Seen['params'] }
    const one = { method, params, headers: new Headers(init.headers) }
    list.push(one)
    return answer(one, id)
  }
  const upstream: Upstream = {
    server: 'ns/one',
    url: 'https://one.example/mcp',
    account: '',
    transport: 'streamable-http',
    headers: async () => ({}),
    allowPrivate: false,
    allowLoopback: false,
    fetch: into(seen),
    lasting: into(lasting),
  }
  return { upstream, seen, lasting, backend: new ModernBackend(upstream) }
}

const owner: Owner = { name: 'principal one', capabilities: {} }
const signal = AbortSignal.timeout(10_000)
const call = () => modernCall('tools/call', { name: 'é' }, signal)
const answered = (id: unknown, result: object) => Response.json({ jsonrpc: '2.0', id, result })
const refuse = (id: unknown, status: number, code: number, data?: object) =>
  Response.json({ jsonrpc: '2.0', id, error: { code, message: 'no', ...(data && { data }) } }, { status })
const wrongVersion = (id: unknown, supported: readonly string[]) => refuse(id, 400, -32022, { supported })

/** An event stream that stays open after these messages, until it is let go. */
function open(messages: readonly object[]) {
  const released = Promise.withResolvers<void>()
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const message of messages)
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`))
    },
    cancel: () => released.resolve(),
  })
  return {
    response: new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
    released: released.promise,
  }
}

const acknowledged = (notifications: object) => ({
  method: 'notifications/subscriptions/acknowledged',
  params: { notifications },
})
const updated = { method: 'notifications/resources/updated', params: { uri: 'a:b' } }

test('requests of our own carry the envelope and the headers that repeat it', () => {
  const { text, headers } = call()
  const { params } = JSON.parse(text) as { params: { _meta: Record<string, unknown> } }
  assert.deepEqual(Object.keys(params._meta).sort(), [
    'io.modelcontextprotocol/clientCapabilities',
    'io.modelcontextprotocol/clientInfo',
    'io.modelcontextprotocol/protocolVersion',
  ])
  assert.deepEqual(headers, {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': '=?base64?w6k=?=',
  })
})

test('a server that refuses our revision but supports it is asked once more, and only once', async () => {
  let refusals = 1
  const { backend, seen } = scripted((_one, id) => {
    refusals -= 1
    return refusals >= 0 ? wrongVersion(id, ['2026-07-28']) : answered(id, {})
  })
  assert.equal((await backend.call(call())).kind, 'message')
  assert.equal(seen.length, 2)
  refusals = 5
  assert.equal((await backend.call(call())).kind, 'rejected')
  assert.equal(seen.length, 4)
})

test('a refusal as of a legacy server says so', async () => {
  const { backend } = scripted((_one, _id) => refuse(null, 400, -32000))
  const reply = await backend.call(call())
  assert.ok(reply.kind === 'rejected' && reply.speaks === 'legacy')
})

test('a stream that breaks is not gone on with: closing it cancels the call', async () => {
  const { backend, seen } = scripted(
    () => new Response('id: a\nretry: 100\ndata:\n\n', { headers: { 'content-type': 'text/event-stream' } }),
  )
  const reply = await backend.call(call())
  assert.ok(reply.kind === 'stream' && reply.lastEvent === undefined)
  await assert.rejects(reply.messages.next(), Fault)
  assert.equal(seen.length, 1)
})

test('listening yields the notifications after the acknowledgement and lets go with its signal', async () => {
  const stream = open([acknowledged({ resourceSubscriptions: ['a:b'] }), updated])
  const { backend, lasting } = scripted(() => stream.response)
  const controller = new AbortController()
  const messages = await backend.listen(['a:b', 'c:d'], owner, controller.signal)
  assert.ok(messages)
  assert.deepEqual(lasting[0]?.params['notifications'], { resourceSubscriptions: ['a:b', 'c:d'] })
  const first = await messages.next()
  assert.ok(first.done !== true && first.value.method === updated.method)
  const next = messages.next()
  controller.abort(new Fault('cancelled', 'Enough.'))
  await assert.rejects(next, Fault)
  await stream.released
})

test('a server that honours no subscription is not listened to', async () => {
  for (const first of [acknowledged({}), acknowledged({ resourceSubscriptions: [] }), updated]) {
    const stream = open([first])
    const { backend } = scripted(() => stream.response)
    assert.equal(await backend.listen(['a:b'], owner, signal), undefined)
    await stream.released
  }
  const { backend, lasting } = scripted((_one, id) => refuse(id, 404, -32601))
  assert.equal(await backend.listen(['a:b'], owner, signal), undefined)
  assert.equal(await backend.listen([], owner, signal), undefined)
  assert.equal(lasting.length, 1)
})

test('first contact never falls back on a server that is modern by its own word', async () => {
  const discovered = { supportedVersions: ['2026-07-28'], capabilities: {} }
  let refusals = 1
  const once = scripted((_one, id) => {
    refusals -= 1
    return refusals >= 0 ? wrongVersion(id, ['2026-07-28']) : answered(id, discovered)
  })
  assert.equal((await connect(once.upstream, signal)).era, 'modern')
  for (const answer of [
    (id: unknown) => wrongVersion(id, ['2027-01-01']),
    (id: unknown) => refuse(id, 400, -32020),
    () => refuse(null, 400, -32021),
  ]) {
    const { upstream, seen } = scripted((_one, id) => answer(id))
    await assert.rejects(
      connect(upstream, signal),
      (error) => error instanceof Fault && error.reason === 'backend_protocol',
    )
    assert.ok(seen.every(({ method }) => method === 'server/discover'))
  }
  const old = scripted(({ method }, id) => {
    if (method === 'server/discover') return wrongVersion(id, ['2025-11-25'])
    if (id === undefined) return new Response(null, { status: 202 })
    return answered(id, { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } })
  })
  assert.equal((await connect(old.upstream, signal)).era, 'legacy')
})
