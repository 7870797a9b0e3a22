import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeEdge, decodeUplink, encode, MAX_UPLINK_HEADER } from './frame.ts'
import { MAX_FRAME, WINDOW, type EdgeFrame, type UplinkFrame } from './link.ts'

const text = (line: string) => new TextEncoder().encode(line)
const of = (header: unknown) => text(`${JSON.stringify(header)}\n`)
const plain = (frame: EdgeFrame | UplinkFrame): unknown => JSON.parse(JSON.stringify(frame))
const is = <T extends string>(name: T) => fc.constant(name)

const call = fc.tuple(fc.stringMatching(/^[A-Za-z0-9]{1,22}$/u), fc.integer({ min: 1 })).map((parts) => parts.join('-'))
const whole = fc.nat()
const last = fc.boolean()
const word = fc.string({ unit: 'binary', maxLength: 40 })
const headers = fc.dictionary(
  fc.stringMatching(/^[a-z0-9-]{1,20}$/u),
  fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/u),
  {
    noNullPrototype: true,
  },
)
const target = fc.record({ kind: word, namespace: word, name: word })
const data = fc.record({ kind: is('data'), call, last })
const credit = fc.record({ kind: is('credit'), call, bytes: fc.integer({ min: 1, max: WINDOW }) })
const method = fc.constantFrom('POST', 'GET', 'DELETE')
const dropped = fc.record({ key: word, reason: fc.constantFrom('not_allowed', 'conflict'), message: word })
const edgeFrames: fc.Arbitrary<EdgeFrame> = fc.oneof(
  fc.record({ kind: is('open'), call, target, method, headers, deadlineMs: whole, last }),
  data,
  credit,
  fc.record({ kind: is('cancel'), call }),
  fc.record({ kind: is('welcome'), connection: word, serverTime: whole }),
  fc.record({ kind: fc.constantFrom('lead', 'fenced'), epoch: whole }),
  fc.record({ kind: is('want'), seq: whole, digests: fc.array(word) }),
  fc.record({ kind: is('registered'), seq: whole, dropped: fc.array(dropped) }),
  fc.record({ kind: is('goaway'), retryAfterMs: whole }),
)
const reason = fc.constantFrom('unreachable', 'timeout', 'unknown_target', 'overloaded', 'refused', 'lost', 'protocol')
const uplinkFrames: fc.Arbitrary<UplinkFrame> = fc.oneof(
  fc.record({ kind: is('ack'), call }),
  fc.record({ kind: is('head'), call, status: fc.integer({ min: 200, max: 599 }), headers, last }),
  data,
  credit,
  fc.record({ kind: is('fault'), call, reason, message: word, unsent: fc.boolean() }),
  fc.record({ kind: is('hello'), replica: word, version: word, isLeader: fc.boolean() }),
  fc.record({ kind: is('leading'), isLeader: fc.boolean() }),
  fc.record({ kind: is('snapshot'), epoch: whole, seq: whole, last }),
  fc.record({ kind: is('body'), epoch: whole, digest: word, last }),
  fc.record({ kind: is('goaway') }),
)

test('a frame reads as it was written, with its payload to the byte', () => {
  const payload = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(edgeFrames, payload, (frame, bytes) => {
      assert.deepEqual(decodeEdge(encode(frame, bytes)), { kind: 'frame', frame: plain(frame), payload: bytes })
    }),
  )
  fc.assert(
    fc.property(uplinkFrames, payload, (frame, bytes) => {
      const { buffer } = encode(frame, bytes).slice()
      assert.deepEqual(decodeUplink(buffer), { kind: 'frame', frame: plain(frame), payload: bytes })
    }),
  )
})

test('the payload is not copied', () => {
  const bytes = encode({ kind: 'data', call: 'a-1', last: true }, text('payload'))
  const decoded = decodeEdge(bytes)
  assert.ok(decoded.kind === 'frame')
  assert.equal(decoded.payload.buffer, bytes.buffer)
})

test('members and kinds that nobody knows are passed over', () => {
  assert.deepEqual(decodeEdge(of({ kind: 'cancel', call: 'a-1', since: 7 })), {
    kind: 'frame',
    frame: { kind: 'cancel', call: 'a-1' },
    payload: new Uint8Array(0),
  })
  assert.deepEqual(decodeEdge(of({ kind: 'teleport', call: 7 })), { kind: 'unknown' })
  assert.deepEqual(decodeUplink(of({ kind: 'open' })), { kind: 'unknown' })
  assert.deepEqual(decodeEdge(of({ kind: 'constructor' })), { kind: 'unknown' })
  const fault = { kind: 'fault', call: 'a-1', reason: 'eclipse', message: '', unsent: false }
  const decoded = decodeUplink(of(fault))
  assert.ok(decoded.kind === 'frame' && decoded.frame.kind === 'fault' && decoded.frame.reason === 'lost')
})

test('any bytes are read or refused, and any damage to a frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.notEqual(decodeEdge(bytes).kind, 'frame')
      assert.notEqual(decodeUplink(bytes).kind, 'frame')
    }),
  )
  fc.assert(
    fc.property(uplinkFrames, fc.nat(), fc.integer({ min: 0, max: 255 }), (frame, at, byte) => {
      const bytes = encode(frame)
      bytes[at % bytes.length] = byte
      decodeUplink(bytes)
    }),
  )
})

test('any member of another type than its own is refused', () => {
  const wrong = fc.constantFrom<unknown>(null, -1, 1.5, {}, [null], [{}], 'a b', 'x'.repeat(5000), Infinity)
  const frames = fc.oneof(
    edgeFrames.map((frame) => ({ frame, decode: decodeEdge })),
    uplinkFrames.map((frame) => ({ frame, decode: decodeUplink })),
  )
  let refused = 0
  fc.assert(
    fc.property(frames, fc.nat(), wrong, ({ frame, decode }, at, value) => {
      const names = Object.keys(frame).filter((name) => name !== 'kind')
      const name = names[at % Math.max(1, names.length)]
      if (name === undefined) return
      const { kind } = decode(of({ ...frame, [name]: value }))
      // A short text and an empty object are good for some.
      if (kind === 'frame') assert.ok(value === 'a b' || JSON.stringify(value) === '{}', `${name} may be anything`)
      else refused += 1
    }),
    { numRuns: 500 },
  )
  assert.ok(refused > 300)
})

test('what is wrong is said', () => {
  const open = {
    kind: 'open',
    call: 'a-1',
    target: { kind: 'MCPServer', namespace: 'a', name: 'b' },
    method: 'POST',
    headers: {},
    deadlineMs: 1,
    last: true,
  }
  const head = { kind: 'head', call: 'a-1', status: 200, headers: {}, last: true }
  const rows: readonly [Uint8Array, RegExp][] = [
    [text('{"kind":"cancel","call":"a-1"}'), /no newline/u],
    [text(`${' '.repeat(600 * 1024)}{}\n`), /no newline within the first 524288 bytes/u],
    [new Uint8Array(MAX_FRAME + 1), /more than 1048576 bytes/u],
    [text('{"kind":\n'), /not JSON/u],
    [text('\n'), /not JSON/u],
    [Uint8Array.from([0x22, 0xff, 0x22, 10]), /not JSON/u],
    [text('[]\n'), /not an object/u],
    [text('null\n'), /not an object/u],
    [of({}), /kind/u],
    [of({ kind: 7 }), /kind/u],
    [of({ kind: 'cancel', call: 'a' }), /call/u],
    [of({ kind: 'cancel', call: 'a-0' }), /call/u],
    [of({ kind: 'cancel', call: '-1' }), /call/u],
    [of({ kind: 'cancel', call: 'a-1\n' }), /call/u],
    [of({ kind: 'credit', call: 'a-1', bytes: 0 }), /bytes/u],
    [of({ kind: 'credit', call: 'a-1', bytes: -5 }), /bytes/u],
    [of({ kind: 'credit', call: 'a-1', bytes: WINDOW + 1 }), /bytes/u],
    [of({ ...open, method: 'PUT' }), /method/u],
    [of({ ...open, last: 'yes' }), /last/u],
    [of({ ...open, target: 'b' }), /target/u],
    [of({ ...open, target: { ...open.target, name: 7 } }), /name/u],
    [of({ ...open, headers: ['a'] }), /headers/u],
    [of({ ...open, headers: { Accept: 'a' } }), /headers/u],
    [of({ ...open, headers: { accept: 'a\r\nb: c' } }), /headers/u],
    [of({ ...open, headers: { accept: '€' } }), /headers/u],
    [of({ ...open, headers: { accept: 7 } }), /headers/u],
    [of({ ...open, deadlineMs: -1 }), /deadlineMs/u],
    [of({ kind: 'want', seq: 1, digests: [7] }), /digests/u],
    [of({ kind: 'registered', seq: 1, dropped: [7] }), /dropped/u],
  ]
  for (const [bytes, why] of rows) {
    const decoded = decodeEdge(bytes)
    assert.ok(decoded.kind === 'malformed', `read: ${new TextDecoder().decode(bytes.subarray(0, 80))}`)
    assert.match(decoded.message, why)
  }
  for (const status of [0, 101, 199, 600, 200.5, '200']) {
    const decoded = decodeUplink(of({ ...head, status }))
    assert.ok(decoded.kind === 'malformed' && decoded.message.includes('status'))
  }
  const long = decodeUplink(of({ ...head, headers: { a: 'x'.repeat(MAX_UPLINK_HEADER) } }))
  assert.ok(long.kind === 'malformed' && long.message.includes(`${MAX_UPLINK_HEADER}`))
})

test('a header that would set the prototype of an object is a header like any other', () => {
  const line = '{"kind":"head","call":"a-1","status":200,"last":true,"headers":{"__proto__":{"a":"b"}}}\n'
  assert.equal(decodeUplink(text(line)).kind, 'malformed')
})
