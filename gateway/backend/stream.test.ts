import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import { EventStream, type StreamOptions } from './stream.ts'
import type { Upstream } from './upstream.ts'

/** What a scripted server does with one GET: a status, a broken connection, or an event stream that may break at its end. */
type Turn = number | 'no connection' | { readonly text: string; readonly end?: 'breaks' | 'stays open' }

/** A server that takes one turn per GET, and 405 after the last. */
function scripted(...turns: Turn[]) {
  const seen: { after: string | null; at: number }[] = []
  let cancelled = 0
  const upstream: Upstream = {
    server: 'ns/one',
    url: 'https://one.example/mcp',
    account: '',
    transport: 'streamable-http',
    headers: async () => ({ authorization: 'Bearer x' }),
    allowPrivate: false,
    allowLoopback: false,
    fetch: async (_url, init) => {
      const headers = new Headers(init.headers)
      assert.equal(init.method, 'GET')
      assert.equal(headers.get('mcp-session-id'), 's')
      assert.equal(headers.get('authorization'), 'Bearer x')
      seen.push({ after: headers.get('last-event-id'), at: performance.now() })
      const turn = turns.shift() ?? 405
      if (turn === 'no connection') throw new TypeError('no connection')
      if (typeof turn === 'number') return new Response('no', { status: turn })
      return new Response(
        body(turn, () => (cancelled += 1)),
        { headers: { 'content-type': 'text/event-stream' } },
      )
    },
  }
  return { upstream, seen, cancelled: () => cancelled }
}

function body({ text, end }: Exclude<Turn, number | string>, cancelled: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (text !== '') controller.enqueue(new TextEncoder().encode(text))
      if (end === undefined) controller.close()
    },
    pull(controller) {
      if (end === 'breaks') controller.error(new TypeError('broken'))
    },
    cancel: cancelled,
  })
}

const options = (more: Partial<StreamOptions> = {}): StreamOptions => ({
  session: { 'mcp-session-id': 's' },
  signal: AbortSignal.timeout(10_000),
  limit: 10_000,
  goesOn: 'after-event',
  ...more,
})

async function read(upstream: Upstream, first: Turn, more?: Partial<StreamOptions>): Promise<string[]> {
  const found: string[] = []
  assert.ok(typeof first === 'object')
  for await (const text of new EventStream(upstream, options(more)).read(body(first, () => undefined)))
    found.push(String(text))
  return found
}

test('a stream that ends after an event with an id goes on by GET after it, when the server says', async () => {
  const { upstream, seen } = scripted(
    { text: 'id: b\ndata: two\n\ndata: three\n\n' },
    { text: 'data: {}\n\nid: c\ndata: four\n\n' },
  )
  const started = performance.now()
  const first = { text: 'id: a\nretry: 300\ndata: \n\ndata: one\n\n' }
  assert.deepEqual(await read(upstream, first), ['one', 'two', 'three', 'four'])
  assert.deepEqual(
    seen.map(({ after }) => after),
    ['a', 'b', 'c'],
  )
  assert.ok((seen[0]?.at ?? 0) - started >= 295)
})

test('a stream that breaks goes on as one that ends', async () => {
  const { upstream, seen } = scripted({ text: 'data: two\n\n', end: 'breaks' })
  await assert.rejects(read(upstream, { text: 'id: a\nretry: 100\n\ndata: one\n\n', end: 'breaks' }), TypeError)
  assert.deepEqual(
    seen.map(({ after }) => after),
    ['a', 'a'],
  )
})

test('without an id that a header can carry, the stream is over when its connection is', async () => {
  for (const id of ['', 'ä', 'x'.repeat(1025)]) {
    const { upstream, seen } = scripted({ text: 'data: two\n\n' })
    assert.deepEqual(await read(upstream, { text: `id: a\nid: ${id}\nretry: 100\ndata: one\n\n` }), ['one'])
    assert.equal(seen.length, 0, id)
  }
  const { upstream, seen } = scripted({ text: 'data: two\n\n' })
  assert.deepEqual(await read(upstream, { text: 'id: a\ndata: one\n\n' }, { goesOn: 'never' }), ['one'])
  assert.equal(seen.length, 0)
})

test('a server that is away for a moment is tried again, with pauses that grow, and given up at last', async () => {
  const away = scripted('no connection', 503, { text: 'id: b\ndata: two\n\n' })
  assert.deepEqual(await read(away.upstream, { text: 'id: a\nretry: 100\ndata: one\n\n' }), ['one', 'two'])
  const [one, two, three] = away.seen.map(({ at }) => at)
  assert.ok((three ?? 0) - (two ?? 0) > (two ?? 0) - (one ?? 0))
  const gone = scripted(503, 503, 503, 503, 503, { text: 'data: never\n\n' })
  assert.deepEqual(await read(gone.upstream, { text: 'id: a\nretry: 100\ndata: one\n\n' }), ['one'])
  assert.equal(gone.seen.length, 5)
})

test('a server that keeps ending the stream without a word is not polled for ever', async () => {
  const turns = Array.from({ length: 200 }, () => ({ text: ': nothing\n\n' }))
  const { upstream, seen } = scripted(...turns)
  const controller = new AbortController()
  const reading = read(upstream, { text: 'id: a\nretry: 0\ndata: one\n\n' }, { signal: controller.signal })
  setTimeout(() => controller.abort(new Fault('cancelled', 'Enough.')), 1_050)
  await assert.rejects(reading, Fault)
  assert.ok(seen.length >= 5 && seen.length <= 10, `${seen.length} attempts in a second`)
})

test('listening connects again also without ids, until the server has forgotten the session', async () => {
  const { upstream, seen } = scripted({ text: 'retry: 100\ndata: one\n\n' }, { text: 'data: two\n\n' }, 404)
  const stream = new EventStream(upstream, options({ goesOn: 'always' }))
  const first = await stream.open()
  assert.ok(first)
  const found: string[] = []
  for await (const text of stream.read(first)) found.push(String(text))
  assert.deepEqual(found, ['one', 'two'])
  assert.equal(seen.length, 3)
})

test('a server that offers no stream is told from one that is away', async () => {
  for (const status of [400, 404, 405, 202]) {
    assert.equal(await new EventStream(scripted(status).upstream, options()).open(), undefined, String(status))
  }
  for (const turn of [500, 503, 409, 429, 'no connection'] as const) {
    await assert.rejects(
      new EventStream(scripted(turn).upstream, options()).open(),
      (error) => error instanceof Fault && error.reason === 'backend_unavailable',
      String(turn),
    )
  }
})

test('an aborted signal ends every wait at once and releases the connection', async () => {
  const reason = new Fault('cancelled', 'The caller left.')
  const waiting = [
    async (signal: AbortSignal) => {
      const silent = scripted({ text: '', end: 'stays open' })
      const stream = new EventStream(silent.upstream, options({ signal, goesOn: 'always' }))
      const first = await stream.open()
      assert.ok(first)
      await stream
        .read(first)
        .next()
        .finally(() => assert.equal(silent.cancelled(), 1))
    },
    (signal: AbortSignal) => read(scripted().upstream, { text: 'id: a\nretry: 20000\ndata: one\n\n' }, { signal }),
    async (signal: AbortSignal) => {
      const { upstream } = scripted()
      const deaf = { ...upstream, fetch: () => new Promise<never>(() => undefined) }
      await new EventStream(deaf, options({ signal })).open()
    },
  ]
  for (const wait of waiting) {
    const controller = new AbortController()
    const started = performance.now()
    setTimeout(() => controller.abort(reason), 50)
    await assert.rejects(wait(controller.signal), (error) => error === reason)
    assert.ok(performance.now() - started < 1000)
  }
})

test('the id that is known is the one that can be resumed after', async () => {
  const { upstream } = scripted()
  const stream = new EventStream(upstream, options({ goesOn: 'never', after: 'zero' }))
  assert.equal(stream.lastEvent, 'zero')
  const ids: (string | undefined)[] = []
  const text = 'data: 1\n\nid: a\ndata: 2\n\ndata: 3\n\nid: ü\ndata: 4\n\nid\ndata: 5\n\n'
  for await (const _text of stream.read(body({ text }, () => undefined))) ids.push(stream.lastEvent)
  assert.deepEqual(ids, ['zero', 'a', 'a', undefined, undefined])
})
