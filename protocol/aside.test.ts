import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMessage, written } from './aside.ts'
import { parseMessage, type Message } from './envelope.ts'
import { Fault } from './fault.ts'

const SMALL = { large: 0, long: 5 }
const read = (pieces: readonly string[]) => readMessage(pieces, undefined, SMALL)
const whole = (message: Message) => [...written(message.text, message)].join('')

function cut(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((one) => one % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => text.slice(from, places[index] ?? text.length))
}

/** What a reader makes of a text: the value, or the refusal. */
function outcome(make: () => Message): unknown {
  try {
    const message = make()
    const { kind, id, method, params, error } = message
    const { result } = JSON.parse(whole(message)) as { result?: unknown }
    return { kind, id, method, params, error, result, text: whole(message) }
  } catch (error) {
    return error instanceof Fault ? error.reason : error
  }
}

const strings = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('"', '\\', '\\"', '\n', '\u2028', '🐝🐝🐝', 'content', 'x'.repeat(20)),
)
// Without escapes: JSON.parse of V8 in Node 24.21 loses a member with an escaped key now and then, two equal texts reading differently.
const keys = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é', '🐝') }),
  fc.constantFrom('content', 'result', 'text'),
)
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    strings,
    fc.constantFrom(null, true, 0, -1.5e30),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
  ),
})).value
const results = fc.record(
  { content: json, contents: json, messages: json, structuredContent: json, _meta: json, requestState: strings },
  { requiredKeys: [] },
)
const texts = fc
  .oneof(
    results.map((result) => ({ jsonrpc: '2.0', id: 1, result })),
    results.map((result) => ({ result, id: 'a', jsonrpc: '2.0' })),
    results.map((params) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })),
    json.map((data) => ({ jsonrpc: '2.0', id: 1, error: { code: 1, message: '', data } })),
  )
  .chain((message) => fc.constantFrom(undefined, 1).map((space) => JSON.stringify(message, null, space)))
const cuts = fc.array(fc.nat(), { maxLength: 8 })

test('a message reads the same with its long strings aside, however it is cut, and is written as it came', () => {
  fc.assert(
    fc.property(texts, cuts, (text, places) => {
      assert.deepEqual(
        outcome(() => read(cut(text, places))),
        outcome(() => parseMessage(text)),
      )
    }),
    { numRuns: 500 },
  )
})

test('what is not JSON is refused with its long strings aside as without', () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat({ max: 3 }),
    fc.constantFrom('', '"', '\\', '{', '}', ',', ':', '\n', '\u0001', '\\u12', '\\x', '[', ']'),
  )
  fc.assert(
    fc.property(texts, damage, cuts, (text, [at, length, insert], places) => {
      const from = at % text.length
      const damaged = text.slice(0, from) + insert + text.slice(from + length)
      assert.deepEqual(
        outcome(() => read(cut(damaged, places))),
        outcome(() => parseMessage(damaged)),
      )
    }),
    { numRuns: 2000 },
  )
})

test('only the cargo of a result stands aside: what is read on the way keeps its values', () => {
  const long = 'x'.repeat(100)
  const result = {
    requestState: long,
    inputRequests: { a: { params: { message: long } } },
    _meta: { a: long },
    content: [{ type: 'text', text: long, [long]: 1 }],
    structuredContent: long,
  }
  const message = read([JSON.stringify({ jsonrpc: '2.0', id: 1, result })])
  const seen = message.result as typeof result
  assert.equal(seen.requestState, long)
  assert.deepEqual(seen.inputRequests, result.inputRequests)
  assert.deepEqual(seen._meta, result._meta)
  assert.equal(seen.content[0]?.[long], 1)
  assert.match(seen.content[0]?.text ?? '', /^aside-/)
  assert.match(seen.structuredContent, /^aside-/)
  for (const other of ['params', 'error']) {
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'a', [other]: { result, content: long } })
    assert.equal(read([text]).aside, undefined)
  }
})

test('every JSON string of the cargo stands aside, however it is escaped and cut', () => {
  for (const string of [
    '"\\u00e9\\uD83D\\uDC1D"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\\\\\\\\\u0041"',
    '"plain é 🐝"',
  ]) {
    const text = `{"jsonrpc":"2.0","id":1,"result":{"content":[${string}, ${string} ]}}`
    for (let at = 0; at <= text.length; at += 1) {
      const message = read([text.slice(0, at), text.slice(at)])
      assert.equal(message.aside?.length, text.length - message.text.length)
      assert.ok(!message.text.includes(string))
      assert.equal(whole(message), text)
    }
  }
})

test('a text made from the message has the strings where their names are, and none where they are not', () => {
  const text = '{"jsonrpc":"2.0","id":1,"result":{"content":["aaaaaaaaaa","b","cccccccccc"]}}'
  const message = read([text])
  const edited = message.text.replace('"id":1', '"id":"other"').replace(/,"b".*"/u, '')
  assert.equal(
    [...written(edited, message)].join(''),
    '{"jsonrpc":"2.0","id":"other","result":{"content":["aaaaaaaaaa"]}}',
  )
  assert.equal([...written('none', message)].join(''), 'none')
  assert.equal([...written('none', undefined)].join(''), 'none')
})

test('pieces are bounded and are characters by themselves', () => {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [`x${'🐝'.repeat(200_000)}`] } })
  const message = readMessage(text)
  const pieces = [...written(message.text, message)]
  assert.ok(pieces.length > 4 && pieces.every((piece) => piece.length <= 64 * 1024))
  assert.equal(Buffer.concat(pieces.map((piece) => new TextEncoder().encode(piece))).toString(), text)
  assert.equal(message.text.length + (message.aside?.length ?? 0), text.length)
})

test('messages of ordinary size are read whole', () => {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: ['x'.repeat(100_000)] } })
  assert.equal(readMessage(text).aside, undefined)
  assert.equal(readMessage(text).text, text)
})
