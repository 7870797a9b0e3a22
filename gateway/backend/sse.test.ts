import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { SseConnection } from './sse.ts'
import type { Call, Reply, Unasked, Upstream } from './upstream.ts'

/** A server on the old transport: `say` puts an event on its one stream. */
async function scripted(opening = 'event: endpoint\ndata: /post\n\n') {
  const encoder = new TextEncoder()
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const released = Promise.withResolvers<void>()
  const posted: string[] = []
  const say = (text: string) => controller?.enqueue(encoder.encode(`data: ${text}\n\n`))
  const upstream: Upstream = {
    server: 'ns/old',
    url: 'https://old.example/sse',
    account: '',
    transport: 'sse',
    headers: async () => ({}),
    allowPrivate: false,
    allowLoopback: false,
    fetch: async (url, init) => {
      if (init.method === 'GET') {
        const body = new ReadableStream<Uint8Array>({
          start(given) {
            controller = given
            given.enqueue(encoder.encode(opening))
          },
          cancel: () => released.resolve(),
        })
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
      }
      assert.equal(url, 'https://old.example/post')
      assert.ok(typeof init.body === 'string')
      posted.push(init.body)
      const { id, method } = JSON.parse(init.body) as { id?: unknown; method: string }
      const result = { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: { name: 's', version: '1' } }
      if (method === 'initialize') say(JSON.stringify({ jsonrpc: '2.0', id, result }))
      return new Response(null, { status: 202 })
    },
  }
  const connection = await SseConnection.open(upstream, {}, AbortSignal.timeout(10_000))
  return { connection, say, posted, released: released.promise, drop: () => controller?.close() }
}

const call = (id: string, token?: string): Call => ({
  text: `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"_meta":{${token === undefined ? '' : `"progressToken":${token}`}}}}`,
  id,
  headers: {},
  signal: AbortSignal.timeout(10_000),
})
const log = (text: string) => `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${text}"}}`
const progress = (token: string) =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token}}}`
const answer = (id: string) => `{"jsonrpc":"2.0","id":${id},"result":{}}`
const takenBack = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
const request = '{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{}}'

function messages(reply: Reply): Unasked {
  assert.ok(reply.kind === 'stream')
  return reply.messages
}

async function all(stream: Unasked): Promise<string[]> {
  const found: string[] = []
  for await (const { text } of stream) found.push(text)
  return found
}

test('every message reaches one receiver: its call, questions the youngest one, the rest the one that waits longest', async () => {
  const { connection, say } = await scripted('retry: 5\n\nevent: endpoint\ndata: /post\n\n')
  const one = messages(await connection.call(call('1', '"t1"')))
  const two = messages(await connection.call(call('2', '"t2"')))
  for (const text of [
    progress('"t2"'),
    log('a'),
    request,
    takenBack,
    progress('"t1"'),
    progress('"t3"'),
    answer('1'),
    log('b'),
    answer('2'),
  ])
    say(text)
  assert.deepEqual(await all(one), [log('a'), progress('"t1"'), answer('1')])
  assert.deepEqual(await all(two), [progress('"t2"'), request, takenBack, log('b'), answer('2')])
  connection.close()
})

test('who listens hears what belongs to no call, also while calls wait; the latest one listens', async () => {
  const { connection, say } = await scripted()
  const controller = new AbortController()
  const earlier = connection.unasked(controller.signal)
  const waiting = earlier.next()
  const later = connection.unasked(controller.signal)
  assert.equal((await waiting).done, true)
  const one = messages(await connection.call(call('1')))
  for (const text of [log('a'), answer('1'), request, takenBack]) say(text)
  assert.deepEqual(await all(one), [answer('1')])
  const heard: string[] = []
  while (heard.length < 3) {
    const next = await later.next()
    heard.push(next.done === true ? 'the end' : next.value.text)
  }
  assert.deepEqual(heard, [log('a'), request, takenBack])
  const ended = later.next()
  controller.abort(new Fault('cancelled', 'Enough.'))
  await assert.rejects(ended, Fault)
  assert.equal(connection.alive, true)
  const two = messages(await connection.call(call('2')))
  for (const text of [log('b'), answer('2')]) say(text)
  assert.deepEqual(await all(two), [log('b'), answer('2')])
  connection.close()
})

test('two requests that wait under one id are not told apart, so the second is refused', async () => {
  const { connection, say } = await scripted()
  const one = messages(await connection.call(call('1')))
  await assert.rejects(
    connection.call(call('1.0')),
    (error) => error instanceof Fault && error.reason === 'invalid_request',
  )
  say(answer('1'))
  assert.deepEqual(await all(one), [answer('1')])
  const again = messages(await connection.call(call('1')))
  say(answer('1'))
  assert.deepEqual(await all(again), [answer('1')])
  connection.close()
})

test('a connection that ends ends every wait on it, and closing it releases the stream', async () => {
  const { connection, drop } = await scripted()
  const waits = [connection.unasked(AbortSignal.timeout(10_000)), messages(await connection.call(call('1')))]
  const pending = waits.map((wait) => wait.next())
  drop()
  for (const one of pending)
    await assert.rejects(one, (error) => error instanceof Fault && error.reason === 'backend_unavailable')
  assert.equal(connection.alive, false)
  await assert.rejects(connection.call(call('2')), Fault)
  await assert.rejects(connection.unasked(AbortSignal.timeout(10_000)).next(), Fault)
  const other = await scripted()
  other.connection.close()
  await other.released
})
