import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY } from '../../protocol/flow.ts'
import { PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { MAX_CALLS, MAX_PIECE, WINDOW } from '../../protocol/link.ts'
import { UplinkCalls, type UplinkEffect } from './calls.ts'

const target = { kind: 'MCPServer', namespace: 'a', name: 'b' }
const open = (call: string, last = true) =>
  ({ kind: 'open', call, target, method: 'POST', headers: {}, deadlineMs: 10_000, last }) as const

/** What happened, in short: `send head`, `open a-1`, `abort a-1`, … */
function story(effects: readonly UplinkEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case 'send':
        return `send ${effect.frame.kind} ${effect.payload.length}${'last' in effect.frame && effect.frame.last ? ' last' : ''}`
      case 'piece':
        return `piece ${effect.bytes.length}${effect.last ? ' last' : ''}`
      case 'close':
        return `close ${effect.code}`
      default:
        return `${effect.kind} ${effect.call}`
    }
  })
}

function opened(...calls: string[]): UplinkCalls {
  const uplink = new UplinkCalls()
  for (const call of calls) uplink.frame(open(call), EMPTY, 0)
  return uplink
}

test('a call is made as it came, and a short answer is one frame', () => {
  const uplink = new UplinkCalls()
  const bytes = Uint8Array.of(1, 2)
  const { kind, ...rest } = open('a-1')
  assert.deepEqual(uplink.frame(open('a-1'), bytes, 0), [{ kind, ...rest, bytes }])
  assert.deepEqual(story(uplink.head('a-1', 200, {}, new Uint8Array(9), true)), ['send head 9 last'])
  assert.equal(uplink.count, 0)
})

test('a long answer goes in pieces within its credit, and is read on as credit comes', () => {
  const uplink = opened('a-1')
  assert.deepEqual(story(uplink.head('a-1', 200, {}, EMPTY, false)), ['send head 0', 'read a-1'])
  assert.deepEqual(story(uplink.piece('a-1', new Uint8Array(WINDOW + 1), false)), [
    `send data ${MAX_PIECE}`,
    `send data ${MAX_PIECE}`,
  ])
  assert.deepEqual(story(uplink.frame({ kind: 'credit', call: 'a-1', bytes: 100 }, EMPTY, 0)), [
    'send data 1',
    'read a-1',
  ])
  assert.deepEqual(story(uplink.piece('a-1', EMPTY, true)), ['send data 0 last'])
  assert.deepEqual(uplink.piece('a-1', EMPTY, true), [])
})

test('what takes long is acknowledged once, unless something has been said already', () => {
  const uplink = opened('a-1')
  assert.equal(uplink.due, 250)
  assert.deepEqual(uplink.tick(249), [])
  assert.deepEqual(story(uplink.tick(250)), ['send ack 0'])
  assert.deepEqual(uplink.tick(600), [])
  assert.equal(uplink.due, 10_000)
  const answered = opened('a-1')
  answered.head('a-1', 200, {}, EMPTY, false)
  assert.deepEqual(answered.tick(250), [])
  assert.equal(answered.due, undefined)
})

test('what takes too long is given up, and the edge is told', () => {
  const uplink = opened('a-1')
  uplink.tick(250)
  assert.deepEqual(story(uplink.tick(10_000)), ['abort a-1', 'send fault 0'])
  assert.deepEqual(uplink.head('a-1', 200, {}, EMPTY, true), [])
})

test('a call that is called off is given up in silence, and so are all when the link breaks', () => {
  const uplink = opened('a-1', 'a-2', 'a-3')
  assert.deepEqual(story(uplink.frame({ kind: 'cancel', call: 'a-2' }, EMPTY, 0)), ['abort a-2'])
  assert.deepEqual(uplink.fail('a-2', { reason: 'refused', message: '', unsent: false }), [])
  assert.deepEqual(story(uplink.closed()), ['abort a-1', 'abort a-3'])
  assert.deepEqual(uplink.frame(open('a-4'), EMPTY, 0), [])
})

test('a hub that woke up without memory waits for nothing of before', () => {
  const uplink = opened('a-1', 'a-2')
  assert.deepEqual(story(uplink.frame(open('b-1'), EMPTY, 0)), ['abort a-1', 'abort a-2', 'open b-1'])
  assert.deepEqual(story(uplink.forget()), ['abort b-1'])
  assert.deepEqual(story(uplink.frame(open('b-1'), EMPTY, 0)), [`close ${PROTOCOL_ERROR}`], 'no call is made twice')
})

test('frames of calls that are over are passed over', () => {
  const uplink = opened('a-1')
  uplink.head('a-1', 200, {}, EMPTY, true)
  assert.deepEqual(uplink.frame({ kind: 'data', call: 'a-1', last: false }, new Uint8Array(9), 0), [])
  assert.deepEqual(uplink.frame({ kind: 'credit', call: 'a-1', bytes: 9 }, EMPTY, 0), [])
  assert.deepEqual(uplink.frame({ kind: 'cancel', call: 'a-1' }, EMPTY, 0), [])
})

test('the body of a request comes in pieces, and its reader gives credit', () => {
  const uplink = new UplinkCalls()
  uplink.frame(open('a-1', false), new Uint8Array(WINDOW / 2), 0)
  assert.deepEqual(story(uplink.took('a-1', WINDOW / 2)), ['send credit 0'])
  assert.deepEqual(uplink.tick(250), [], 'credit says that the call is there')
  assert.deepEqual(story(uplink.frame({ kind: 'data', call: 'a-1', last: true }, new Uint8Array(4), 0)), [
    'piece 4 last',
  ])
})

test('a replica that ends, or has too much to do, refuses calls that it has not made', () => {
  const full = opened(...Array.from({ length: MAX_CALLS }, (_, at) => `a-${at + 1}`))
  const refused = full.frame(open(`a-${MAX_CALLS + 1}`), EMPTY, 0)
  const frames = refused.map((effect) => (effect.kind === 'send' ? effect.frame : undefined))
  assert.ok(frames[0]?.kind === 'fault' && frames[0].reason === 'overloaded' && frames[0].unsent)
  const ending = opened('a-1')
  ending.drain()
  const [effect] = ending.frame(open('a-2'), EMPTY, 0)
  assert.ok(effect?.kind === 'send' && effect.frame.kind === 'fault' && effect.frame.unsent)
  assert.deepEqual(
    story(ending.head('a-1', 200, {}, EMPTY, true)),
    ['send head 0 last'],
    'calls under way are answered',
  )
})

test('an answer that has no body ends with its head', () => {
  for (const status of [204, 205, 304]) {
    assert.deepEqual(story(opened('a-1').head('a-1', status, {}, new Uint8Array(3), false)), ['send head 0 last'])
  }
})

test('an edge that breaks the protocol is hung up on, and its calls are given up', () => {
  const rows: readonly ((uplink: UplinkCalls) => UplinkEffect[])[] = [
    (uplink) => uplink.frame(open('a-1'), EMPTY, 0),
    (uplink) => uplink.frame(open('b-1', false), new Uint8Array(WINDOW + 1), 0),
    (uplink) => uplink.frame({ kind: 'data', call: 'a-1', last: false }, EMPTY, 0),
    (uplink) => uplink.frame({ kind: 'credit', call: 'a-1', bytes: 1 }, EMPTY, 0),
  ]
  for (const breach of rows) {
    const uplink = opened('a-1')
    assert.deepEqual(story(breach(uplink)), ['abort a-1', `close ${PROTOCOL_ERROR}`])
    assert.deepEqual(uplink.head('a-1', 200, {}, EMPTY, true), [])
  }
})
