import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, percentile, ratio } from './stats.ts'

test('a percentile is a sample, and the last one at most', () => {
  const sorted = Array.from({ length: 100 }, (_, index) => index + 1)
  assert.equal(percentile(sorted, 0.5), 51)
  assert.equal(percentile(sorted, 0.99), 100)
  assert.equal(percentile(sorted, 1), 100)
  assert.ok(Number.isNaN(percentile([], 0.5)))
})

test('a median does not depend on order', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 3, 2]), 2.5)
})

test('a disturbed round does not decide a ratio, and the thirds of a run say how steady it is', () => {
  const baseline = [1, 1, 1, 1, 1, 1, 1, 1, 1]
  assert.deepEqual(ratio([2, 2, 50, 2, 2, 2, 2, 3, 3], baseline), { median: 2, least: 2, most: 3 })
  assert.deepEqual(ratio([2], [1]), { median: 2, least: 2, most: 2 })
  assert.ok(Number.isNaN(ratio([], []).median))
})
