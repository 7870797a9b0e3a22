import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { findCondition, removeCondition, setCondition } from './condition.ts'

const T1 = Date.UTC(2026, 0, 1, 10, 0, 0, 999)
const T2 = T1 + 60_000
const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'it runs', observedGeneration: 1 } as const

test('a new condition goes last and is stamped with now, in whole seconds', () => {
  const set = setCondition(setCondition([], { ...ready, type: 'First' }, T1), ready, T2)
  assert.deepEqual(
    set.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    [
      ['First', '2026-01-01T10:00:00Z'],
      ['Ready', '2026-01-01T10:01:00Z'],
    ],
  )
})

test('the time of transition moves when the status flips and only then', () => {
  const one = setCondition([], ready, T1)
  const same = setCondition(one, { ...ready, reason: 'Other', message: 'other', observedGeneration: 2 }, T2)
  assert.equal(same[0]?.lastTransitionTime, '2026-01-01T10:00:00Z')
  assert.equal(same[0]?.reason, 'Other')
  assert.equal(same[0]?.observedGeneration, 2)
  const flipped = setCondition(same, { ...ready, status: 'Unknown' }, T2)
  assert.equal(flipped[0]?.lastTransitionTime, '2026-01-01T10:01:00Z')
})

test('a message is cut to what the API server takes', () => {
  const [cut] = setCondition([], { ...ready, message: 'x'.repeat(40_000) }, T1)
  assert.equal(cut?.message.length, 32_768)
})

test('setting never makes two of a type, never changes the others and never changes what it was given', () => {
  const type = fc.constantFrom('A', 'B', 'C')
  const status = fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const)
  fc.assert(
    fc.property(fc.array(fc.tuple(type, status), { maxLength: 20 }), (steps) => {
      let conditions = setCondition([], ready, T1)
      for (const [each, value] of steps) {
        const before = structuredClone(conditions)
        const next = setCondition(conditions, { type: each, status: value, reason: 'R', message: '' }, T2)
        assert.deepEqual(conditions, before)
        assert.equal(new Set(next.map((condition) => condition.type)).size, next.length)
        assert.equal(findCondition(next, each)?.status, value)
        assert.deepEqual(removeCondition(next, each), removeCondition(before, each))
        conditions = next
      }
    }),
  )
})
