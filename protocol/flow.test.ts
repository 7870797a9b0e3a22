import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY, Inflow, Outflow } from './flow.ts'
import { MAX_PIECE, WINDOW } from './link.ts'

function drain(flow: Outflow): { sizes: number[]; isLast: boolean } {
  const sizes: number[] = []
  let isLast = false
  for (let piece = flow.next(); piece !== undefined; piece = flow.next()) {
    sizes.push(piece.bytes.length)
    isLast = piece.last
  }
  return { sizes, isLast }
}

test('a body goes in pieces, as far as its credit', () => {
  const flow = new Outflow()
  flow.put(new Uint8Array(WINDOW + 100), true)
  assert.deepEqual(drain(flow), { sizes: [MAX_PIECE, MAX_PIECE], isLast: false })
  assert.equal(flow.wants(), false)
  assert.ok(flow.grant(60))
  assert.deepEqual(drain(flow), { sizes: [60], isLast: false })
  assert.ok(flow.grant(1000))
  assert.deepEqual(drain(flow), { sizes: [40], isLast: true })
  assert.equal(flow.next(), undefined)
})

test('an empty body is an empty last piece, which needs no credit', () => {
  const flow = new Outflow()
  flow.put(EMPTY, true)
  assert.deepEqual(drain(flow), { sizes: [0], isLast: true })
  const full = new Outflow()
  full.put(new Uint8Array(WINDOW), false)
  drain(full)
  full.put(EMPTY, true)
  assert.deepEqual(drain(full), { sizes: [0], isLast: true })
})

test('the source is read once for every piece, when all is sent and credit is left', () => {
  const flow = new Outflow()
  flow.put(EMPTY, false)
  assert.equal(flow.next(), undefined)
  assert.deepEqual([flow.wants(), flow.wants()], [true, false])
  flow.put(new Uint8Array(WINDOW), false)
  drain(flow)
  assert.equal(flow.wants(), false, 'no credit is left')
  flow.grant(1)
  assert.deepEqual([flow.wants(), flow.wants()], [true, false])
})

test('credit is for what was sent only', () => {
  const flow = new Outflow()
  assert.equal(flow.grant(1), false)
  const other = new Outflow()
  other.put(new Uint8Array(10), false)
  drain(other)
  assert.ok(other.grant(10))
  assert.equal(other.grant(1), false)
})

test('bytes that wait for credit keep their order when more are put', () => {
  const flow = new Outflow()
  flow.put(new Uint8Array(WINDOW), false)
  drain(flow)
  flow.put(Uint8Array.of(1, 2), false)
  flow.put(Uint8Array.of(3), true)
  flow.grant(3)
  assert.deepEqual(flow.next(), { bytes: Uint8Array.of(1, 2, 3), last: true })
})

test('a reader gives credit for what it took, in large steps, and none for a body that has ended', () => {
  const flow = new Inflow()
  assert.ok(flow.receive(WINDOW, false))
  assert.equal(flow.took(WINDOW / 2 - 1), 0)
  assert.equal(flow.took(1), WINDOW / 2)
  assert.ok(flow.receive(WINDOW / 2, true))
  assert.equal(flow.took(WINDOW), 0)
})

test('a reader refuses what goes beyond its credit or follows the end, and credits no byte that did not come', () => {
  const flow = new Inflow()
  assert.equal(flow.receive(WINDOW + 1, false), false)
  const ended = new Inflow()
  assert.ok(ended.receive(1, true))
  assert.equal(ended.receive(0, true), false)
  const lied = new Inflow()
  lied.receive(10, false)
  assert.equal(lied.took(WINDOW), 0)
})
