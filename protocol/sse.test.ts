import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from './fault.ts'
import { readSse, sseComment, sseMessage, type SseEvent } from './sse.ts'

const LIMIT = 10_000

/** A stream of these chunks, and whether its reader has let go. */
function source(chunks: readonly Uint8Array[]): { body: ReadableStream<Uint8Array>; cancelled: () => boolean } {
  let cancelled = false
  let at = 0
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[at]
        at += 1
        if (chunk === undefined) controller.close()
        else controller.enqueue(chunk)
      },
      cancel() {
        cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { body, cancelled: () => cancelled }
}

/** The bytes cut at these places; cuts may fall inside a character or between CR and LF. */
function cut(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = new TextEncoder().encode(text)
  const places = [...new Set(cuts.map((one) => one % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.slice(from, places[index] ?? bytes.length))
}

async function read(chunks: readonly Uint8Array[], limit = LIMIT): Promise<SseEvent[]> {
  const found: SseEvent[] = []
  for await (const event of readSse(source(chunks).body, limit)) found.push(event)
  return found
}

/** The events, or how far the reader came before it gave up. */
async function outcome(chunks: readonly Uint8Array[], limit: number): Promise<unknown> {
  const found: unknown[] = []
  try {
    for await (const event of readSse(source(chunks).body, limit)) found.push(event)
  } catch (error) {
    found.push(error instanceof Fault ? error.reason : error)
  }
  return found
}

const events = (text: string, limit?: number) => read(cut(text, []), limit)
const message = (data: string, event = 'message', id?: string, retry?: number): SseEvent => ({
  event,
  data,
  id,
  ...(retry !== undefined && { retry }),
})

test('fields are read as the standard says', async () => {
  const cases: readonly [text: string, events: readonly SseEvent[]][] = [
    ['data: a\n\n', [message('a')]],
    ['data:a\r\n\r\n', [message('a')]],
    ['data:  a\r\r', [message(' a')]],
    ['\ufeffdata: a\n\n', [message('a')]],
    ['data: a\ndata: b\ndata\n\n', [message('a\nb\n')]],
    ['event: endpoint\ndata: /x\n\n', [message('/x', 'endpoint')]],
    ['event: endpoint\n\ndata: x\n\n', [message('x')]],
    ['id: 7\ndata: a\n\ndata: b\n\n', [message('a', 'message', '7'), message('b', 'message', '7')]],
    [': comment\n\n:\ndata: a:b\nretry: 5\nunknown: x\n\n', [message('a:b', 'message', undefined, 5)]],
    ['id: 7\nretry: 500\ndata:\n\n', [message('', 'message', '7', 500)]],
    ['id: 7\n\ndata: a\n\n', [message('', 'message', '7'), message('a', 'message', '7')]],
    ['retry: 1\n\nretry: 1s\n\nretry: -1\n\n', [message('', 'message', undefined, 1)]],
    ['id: 7\n\nid\ndata: a\n\n', [message('', 'message', '7'), message('a')]],
    ['id: 7\0\ndata: a\n\n', [message('a')]],
    [`id: ${'7'.repeat(1025)}\ndata: a\n\n`, [message('a')]],
    ['event: endpoint\nid: 7\n\n', [message('', 'endpoint', '7')]],
    ['data\n\n', [message('')]],
    ['\n\n\r\n\r\r', []],
    ['data: unfinished\n', []],
    ['data: unfinished', []],
    ['', []],
  ]
  for (const [text, expected] of cases) assert.deepEqual(await events(text), expected, JSON.stringify(text))
})

test('any chunking of any events gives the same events', async () => {
  const end = fc.constantFrom('\n', '\r', '\r\n')
  const line = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom('data', 'data:', 'data: x', 'event: e', 'id: 1', ': c', '', '\ufeff'),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((value) => `data: ${value}`),
  )
  const text = fc.array(fc.tuple(line, end), { maxLength: 12 }).map((lines) => lines.flat().join(''))
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(fc.nat(), { maxLength: 20 }),
      fc.integer({ min: 1, max: 20 }),
      async (t, cuts, n) => {
        assert.deepEqual(await read(cut(t, cuts)), await events(t))
        assert.deepEqual(await outcome(cut(t, cuts), n), await outcome(cut(t, []), n))
      },
    ),
    { numRuns: 30 },
  )
})

test('it does not matter where a stream is cut, not even inside a line end or a character', async () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const text = ['\ufeffdata: ä', 'data: b', '', 'event: e', ': c', 'data: d', '', ''].join(end)
    const whole = [message('ä\nb'), message('d', 'e')]
    const size = new TextEncoder().encode(text).length
    for (let at = 0; at <= size; at += 1) assert.deepEqual(await read(cut(text, [at])), whole, `${end} ${at}`)
    const bytes = Array.from({ length: size }, (_, at) => at)
    assert.deepEqual(await read(cut(text, bytes)), whole)
  }
})

test('what we write, we read', async () => {
  const json = fc.json({ stringUnit: 'binary' }).map((text) => JSON.stringify(JSON.parse(text), null, 1))
  await fc.assert(
    fc.asyncProperty(
      fc.array(json),
      fc.array(fc.nat()),
      fc.constantFrom('\n', '\r', '\r\n'),
      async (texts, cuts, end) => {
        const written = texts.map((text) => sseMessage(text.replaceAll('\n', end)) + sseComment).join('')
        const found = await read(cut(written, cuts), 1_000_000)
        assert.deepEqual(
          found.map(({ data }) => data),
          texts,
        )
        assert.ok(found.every(({ event }) => event === 'message'))
      },
    ),
    { numRuns: 50 },
  )
})

test('an event within the limit passes and one beyond it ends the stream, however it is cut', async () => {
  const line = (length: number) => `data: ${'x'.repeat(length - 6)}\n`
  for (const cuts of [[], [3, 60], [99, 100, 101]]) {
    assert.equal((await read(cut(`${line(50)}${line(50)}\n${line(100)}\n`, cuts), 100)).length, 2)
    assert.deepEqual(await outcome(cut(`${line(50)}${line(51)}\n`, cuts), 100), ['too_large'])
    assert.deepEqual(await outcome(cut(line(101), cuts), 100), ['too_large'])
  }
})

test('nothing that never ends an event grows without bound', async () => {
  for (const part of ['data\n', 'data:\n', 'x'.repeat(50), 'data: x\r']) {
    let sent = 0
    const chunk = new TextEncoder().encode(part)
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1
        if (sent > 1000) controller.close()
        else controller.enqueue(chunk)
      },
    })
    const drain = async () => {
      for await (const event of readSse(body, 1000)) assert.fail(JSON.stringify(event))
    }
    await assert.rejects(drain, (error) => error instanceof Fault && error.reason === 'too_large', part)
  }
})

test('a reader that leaves, and one that gives up, let go of the stream', async () => {
  const left = source(cut('data: a\n\ndata: b\n\n', [9]))
  for await (const event of readSse(left.body, LIMIT)) {
    assert.equal(event.data, 'a')
    break
  }
  assert.equal(left.cancelled(), true)
  const refused = source(cut(`data: ${'x'.repeat(100)}\n\ndata: b\n\n`, [20, 40]))
  const drain = async () => {
    for await (const event of readSse(refused.body, 10)) assert.fail(event.data)
  }
  await assert.rejects(drain, Fault)
  assert.equal(refused.cancelled(), true)
})

test('large data may be had in the pieces it came in', async () => {
  const size = 300_000
  const every = (step: number) => Array.from({ length: size / step }, (_, index) => (index + 1) * step)
  for (const text of [
    `data: ${'x'.repeat(size)}\n\n`,
    `id: 7\ndata: ${'é'.repeat(size)}\r\n\r\n`,
    `data:${'x'.repeat(size)}\n\n`,
    `data: a\ndata: ${'x'.repeat(size)}\n\n`,
    `data: ${'x'.repeat(size)}\ndata: b\ndata: \n\n`,
    `data: ${'x'.repeat(size)}\ndata: ${'y'.repeat(size)}\n\n`,
  ]) {
    const data = text
      .split(/\r?\n/u)
      .flatMap((line) => (line.startsWith('data:') ? [line.slice(5).replace(' ', '')] : []))
    for (const cuts of [[], every(20_000), every(100)]) {
      const [event, ...more] = await read(cut(text, cuts), 1_000_000)
      assert.ok(event?.data === data.join('\n'))
      assert.ok((event.pieces?.join('') ?? event.data) === event.data)
      assert.equal(more.length, 0)
    }
    const [event] = await read(cut(text, every(20_000)), 1_000_000)
    assert.ok(event?.pieces !== undefined)
  }
  assert.deepEqual(await read(cut(`: ${'x'.repeat(size)}\ndata: b\n\n`, every(20_000)), 1_000_000), [message('b')])
})

test('an event in very many pieces takes linear time', async () => {
  // CPU time, and as a ratio: other processes must not decide.
  const spent = async (size: number): Promise<number> => {
    const pieces = Array.from({ length: size / 50 }, (_, index) => index * 50)
    const before = process.cpuUsage()
    const [event] = await read(cut(`data: ${'x'.repeat(size)}\n\n`, pieces), 2 * size)
    assert.equal(event?.data.length, size)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  await spent(100_000)
  const little = await spent(200_000)
  const much = await spent(1_600_000)
  assert.ok(much < 24 * little, `8 times the pieces cost ${much / little} times the CPU`)
})
