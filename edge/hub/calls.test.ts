import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY } from '../../protocol/flow.ts'
import { PROTOCOL_ERROR } from '../../protocol/frame.ts'
import { ACK_MS, MAX_CALLS, MAX_PIECE, WINDOW } from '../../protocol/link.ts'
import { HubCalls, type HubCall, type HubEffect } from './calls.ts'

const target = { kind: 'MCPServer', namespace: 'a', name: 'b' }
const wanted: HubCall = { target, method: 'POST', headers: {}, deadlineMs: 10_000, body: EMPTY, last: true }

function hub(...connections: string[]): HubCalls {
  const calls = new HubCalls('base')
  for (const connection of connections) calls.opened(connection)
  return calls
}

/** What happened, in short: `send x open`, `head 200`, `fault lost`, … */
function story(effects: readonly HubEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case 'send':
        return `send ${effect.connection} ${effect.frame.kind} ${effect.payload.length}`
      case 'head':
        return `head ${effect.status} ${effect.bytes.length}`
      case 'piece':
        return `piece ${effect.bytes.length}${effect.last ? ' last' : ''}`
      case 'fault':
        return `fault ${effect.fault.reason}${effect.fault.unsent ? ' unsent' : ''}`
      case 'close':
        return `close ${effect.connection} ${effect.code}`
      case 'read':
        return 'read'
    }
  })
}

const head = (call: string, last = true) => ({ kind: 'head', call, status: 200, headers: {}, last }) as const

test('a short call is one frame there and one back', () => {
  const calls = hub('x')
  const { call, effects } = calls.open({ ...wanted, body: new Uint8Array(5) }, 0)
  assert.deepEqual(story(effects), ['send x open 5'])
  assert.deepEqual(story(calls.frame('x', head(call), new Uint8Array(7))), ['head 200 7'])
  assert.equal(calls.count(), 0)
  calls.tick(ACK_MS)
  assert.equal(calls.due, undefined)
})

test('a long body goes in pieces within its credit, and is read on as credit comes', () => {
  const calls = hub('x')
  const { call, effects } = calls.open({ ...wanted, last: false }, 0)
  assert.deepEqual(story(effects), ['send x open 0', 'read'])
  assert.deepEqual(story(calls.piece(call, new Uint8Array(WINDOW), false)), [
    `send x data ${MAX_PIECE}`,
    `send x data ${MAX_PIECE}`,
  ])
  assert.deepEqual(story(calls.frame('x', { kind: 'credit', call, bytes: 1000 }, EMPTY)), ['read'])
  assert.deepEqual(story(calls.piece(call, new Uint8Array(10), true)), ['send x data 10'])
})

test('without a link a call faults at once, and may be made elsewhere', () => {
  assert.deepEqual(story(hub().open(wanted, 0).effects), ['fault unreachable unsent'])
  const draining = hub('x', 'y')
  draining.drain('x')
  draining.frame('y', { kind: 'goaway' }, EMPTY)
  assert.deepEqual(story(draining.open(wanted, 0).effects), ['fault unreachable unsent'])
})

test('a link that is full is passed over, and when all are full the call is refused', () => {
  const calls = hub('x', 'y')
  for (let left = 2 * MAX_CALLS; left > 0; left -= 1) calls.open(wanted, 0)
  assert.deepEqual([calls.count('x'), calls.count('y')], [MAX_CALLS, MAX_CALLS])
  assert.deepEqual(story(calls.open(wanted, 0).effects), ['fault overloaded unsent'])
})

test('a call takes the link with the fewest calls, of two the newer', () => {
  const calls = hub('x', 'y')
  const takes = () => story(calls.open(wanted, 0).effects)[0]
  assert.deepEqual([takes(), takes(), takes()], ['send y open 0', 'send x open 0', 'send y open 0'])
})

test('a call of which nothing is heard is lost, and its link has to show that it lives', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  assert.equal(calls.due, ACK_MS)
  assert.deepEqual(calls.tick(ACK_MS - 1), [])
  assert.deepEqual(story(calls.tick(ACK_MS)), ['send x cancel 0', 'fault lost'])
  // One call at a time tries; a link that has not been silent is preferred.
  assert.deepEqual(story(calls.open(wanted, ACK_MS).effects), ['send x open 0'])
  assert.deepEqual(story(calls.open(wanted, ACK_MS).effects), ['fault unreachable unsent'])
  calls.opened('y')
  calls.open(wanted, ACK_MS)
  assert.deepEqual(story(calls.open(wanted, ACK_MS).effects), ['send y open 0'])
  // Even the late answer of the call that was given up is a sign of life, and goes no further.
  assert.deepEqual(calls.frame('x', head(call), EMPTY), [])
  calls.open(wanted, ACK_MS)
  assert.equal(calls.count('x'), 2)
})

test('a hub that stood still takes nobody for lost by that: its calls have as long again, once', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  const other = calls.open(wanted, 0)
  const late = ACK_MS + 1_000
  assert.deepEqual(calls.tick(late), [])
  assert.equal(calls.due, late + ACK_MS)
  assert.deepEqual(calls.frame('x', { kind: 'ack', call }, EMPTY), [])
  assert.deepEqual(story(calls.tick(late + ACK_MS + 1_000)), ['send x cancel 0', 'fault lost'])
  assert.equal(calls.count(), 1)
  assert.deepEqual(calls.cancel(other.call), [])
})

test('a link that has been silent for long is avoided while there is another, until it is heard of', () => {
  const calls = hub('x', 'y')
  const takes = () => story(calls.open(wanted, 100).effects)[0]
  calls.seen('y', 0, true)
  assert.deepEqual([takes(), takes(), takes()], Array(3).fill('send x open 0'))
  calls.seen('y', 90, false)
  assert.equal(takes(), 'send y open 0')
})

test('a link that let a call pass is as good as others again once a ping was heard of it', () => {
  const calls = hub('y', 'x')
  calls.open(wanted, 0)
  calls.tick(ACK_MS)
  const takes = () => story(calls.open(wanted, ACK_MS).effects)[0]
  calls.seen('x', ACK_MS - 1, false)
  assert.deepEqual([takes(), takes()], Array(2).fill('send y open 0'))
  calls.seen('x', ACK_MS + 1, false)
  assert.equal(takes(), 'send x open 0')
})

test('whatever is heard of a call acknowledges it; then its deadline counts', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  calls.frame('x', { kind: 'ack', call }, EMPTY)
  assert.deepEqual(calls.tick(ACK_MS), [])
  assert.equal(calls.due, 10_000)
  assert.deepEqual(story(calls.tick(10_000)), ['send x cancel 0', 'fault timeout'])
})

test('an answer that has begun has no deadline', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  calls.frame('x', head(call, false), EMPTY)
  assert.deepEqual(calls.tick(1e9), [])
  assert.equal(calls.due, undefined)
  assert.equal(calls.count(), 1)
  assert.deepEqual(story(calls.frame('x', { kind: 'data', call, last: true }, new Uint8Array(3))), ['piece 3 last'])
})

test('when a link breaks its calls are lost, and those of other links go on', () => {
  const calls = hub('x', 'y')
  const first = calls.open(wanted, 0)
  const second = calls.open(wanted, 0)
  assert.deepEqual(story(calls.closed('y')), ['fault lost'])
  assert.deepEqual(calls.frame('y', head(first.call), EMPTY), [])
  assert.deepEqual(story(calls.frame('x', head(second.call), EMPTY)), ['head 200 0'])
  assert.deepEqual(calls.closed('y'), [])
})

test('who leaves is done with the call, and its uplink is told', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  assert.deepEqual(story(calls.cancel(call)), ['send x cancel 0'])
  assert.deepEqual(calls.cancel(call), [])
  assert.deepEqual(calls.frame('x', head(call, false), EMPTY), [])
  assert.deepEqual(calls.piece(call, EMPTY, true), [])
  assert.deepEqual(calls.took(call, 5), [])
})

test('a hub that woke up calls off what it does not know, unless that is over', () => {
  const calls = hub('x')
  assert.deepEqual(story(calls.frame('x', head('before-7', false), EMPTY)), ['send x cancel 0'])
  assert.deepEqual(story(calls.frame('x', { kind: 'data', call: 'before-7', last: false }, EMPTY)), ['send x cancel 0'])
  assert.deepEqual(calls.frame('x', head('before-8'), EMPTY), [])
  assert.deepEqual(calls.frame('x', { kind: 'fault', call: 'before-9', ...fault }, EMPTY), [])
})

const fault = { reason: 'refused', message: 'No.', unsent: true } as const

test('a fault of the uplink is the end of the call, with its words', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  assert.deepEqual(calls.frame('x', { kind: 'fault', call, ...fault }, EMPTY), [{ kind: 'fault', call, fault }])
  assert.equal(calls.count(), 0)
})

test('a link that breaks the protocol is closed, and its calls fail', () => {
  const rows: readonly ((calls: HubCalls, call: string) => HubEffect[])[] = [
    (calls, call) => calls.frame('x', { kind: 'data', call, last: false }, EMPTY),
    (calls, call) => calls.frame('x', { kind: 'credit', call, bytes: 1 }, EMPTY),
    (calls, call) => calls.frame('x', head(call, false), new Uint8Array(WINDOW + 1)),
    (calls, call) => {
      calls.frame('x', head(call, false), EMPTY)
      return calls.frame('x', head(call, false), EMPTY)
    },
    (calls, call) => {
      calls.frame('x', head(call, false), new Uint8Array(WINDOW))
      return calls.frame('x', { kind: 'data', call, last: false }, new Uint8Array(1))
    },
  ]
  for (const breach of rows) {
    const calls = hub('x')
    const { call } = calls.open(wanted, 0)
    assert.deepEqual(story(breach(calls, call)), ['fault protocol', `close x ${PROTOCOL_ERROR}`])
    assert.deepEqual(story(calls.open(wanted, 0).effects), ['fault unreachable unsent'])
  }
})

test('a link that speaks for a call of another link is closed, and the call goes on', () => {
  const calls = hub('x', 'y')
  const { call } = calls.open(wanted, 0)
  assert.deepEqual(story(calls.frame('x', head(call), EMPTY)), [`close x ${PROTOCOL_ERROR}`])
  assert.deepEqual(story(calls.frame('y', head(call), EMPTY)), ['head 200 0'])
})

test('the reader of an answer gives credit as it takes', () => {
  const calls = hub('x')
  const { call } = calls.open(wanted, 0)
  calls.frame('x', head(call, false), new Uint8Array(WINDOW))
  assert.deepEqual(calls.took(call, 1000), [])
  assert.deepEqual(story(calls.took(call, WINDOW - 1000)), ['send x credit 0'])
})
