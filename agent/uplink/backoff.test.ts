import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Backoff } from './backoff.ts'

test('waits grow to eight seconds and begin anew after a good attempt', () => {
  const backoff = new Backoff(() => 1)
  const waits = Array.from({ length: 8 }, () => backoff.next())
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000])
  backoff.reset()
  assert.equal(backoff.next(), 500)
})

test('an edge that is slow gets more time with every attempt after the second', () => {
  const backoff = new Backoff(() => 1)
  const patience = Array.from({ length: 5 }, () => {
    const { patienceMs } = backoff
    backoff.next()
    return patienceMs
  })
  assert.deepEqual(patience, [5_000, 5_000, 10_000, 20_000, 20_000])
  backoff.reset()
  assert.equal(backoff.patienceMs, 5_000)
})

test('no wait is shorter than was asked for, and chance spreads all of them', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(60_000), fc.nat(40), (chance, asked, failures) => {
      const backoff = new Backoff(() => chance)
      for (let i = 0; i < failures; i += 1) backoff.next()
      const wait = backoff.next(asked)
      assert.ok(wait >= asked && wait <= asked + 8_000)
    }),
  )
})
