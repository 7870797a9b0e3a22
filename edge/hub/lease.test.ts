import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idleOf, linkClock, restOf, sleepOf, stateAfter } from './lease.ts'

const clock = linkClock(undefined)

for (const [silence, state, sleep] of [
  [0, 'online', 45_000],
  [44_999, 'online', 1],
  [45_000, 'offline', 555_000],
  [600_000, 'delisted', 85_800_000],
  [86_400_000, 'evicted', undefined],
] as const) {
  test(`after ${silence} ms of silence a cluster is ${state}`, () => {
    assert.equal(stateAfter(silence, clock), state)
    assert.equal(sleepOf(silence, clock), sleep)
  })
}

test('no alarm rings within a minute after something happened while all is well', () => {
  // What happens puts off every alarm that is nearer than `idleOf`, by `restOf`.
  assert.ok(idleOf(clock) >= 60_000)
  assert.ok(restOf(clock) >= idleOf(clock))
})

test('the clock can be set for tests', () => {
  assert.deepEqual(linkClock('1,2,4,7.5'), { suspect: 1000, offline: 2000, delist: 4000, evict: 7500 })
})

for (const setting of ['1,2,3', '4,3,2,1', '1,2,3,x', '0,1,2,3', '1,2,3,Infinity', '1,2,3,4,5']) {
  test(`a clock of "${setting}" is refused by name`, () => {
    assert.throws(() => linkClock(setting), /LINK_CLOCK/u)
  })
}
