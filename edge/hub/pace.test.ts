import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from './pace.ts'

test('some happen at once, the others one in a while, and rest brings the first ones back', () => {
  const pace = new Pace(2, 1_000)
  assert.deepEqual([pace.wait(0), pace.wait(0), pace.wait(0), pace.wait(0)], [0, 0, 1_000, 2_000])
  assert.equal(pace.wait(3_000), 0)
  assert.deepEqual([pace.wait(60_000), pace.wait(60_000), pace.wait(60_500)], [0, 0, 500])
})
