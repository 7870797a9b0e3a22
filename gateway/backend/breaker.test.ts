import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker } from './breaker.ts'

function breaker(threshold = 3, openMs = 1000) {
  let time = 5_000_000
  const pass = (ms: number) => {
    time += ms
  }
  const opened: number[] = []
  return {
    one: new Breaker(
      { threshold, openMs },
      () => time,
      () => void opened.push(time),
    ),
    pass,
    opened,
  }
}

/** Lets calls through until it is open. */
function open({ one }: { one: Breaker }, failures = 3): void {
  for (let count = 0; count < failures; count += 1) {
    assert.equal(one.enter(), undefined)
    one.failure()
  }
}

test('lets calls through until the last of consecutive failures', () => {
  const it = breaker()
  open(it, 2)
  assert.equal(it.one.enter(), undefined)
  it.one.success()
  open(it, 3)
  assert.equal(it.one.enter(), 1000)
})

test('says how long to wait', () => {
  const it = breaker()
  open(it)
  it.pass(400)
  assert.equal(it.one.enter(), 600)
  it.pass(599)
  assert.equal(it.one.enter(), 1)
})

test('lets one call try after its time, and closes when that succeeds', () => {
  const it = breaker()
  open(it)
  it.pass(1000)
  assert.equal(it.one.enter(), undefined)
  assert.equal(it.one.enter(), 1000)
  it.pass(300)
  assert.equal(it.one.enter(), 700)
  it.one.success()
  for (let call = 0; call < 5; call += 1) assert.equal(it.one.enter(), undefined)
  open(it)
  assert.equal(it.one.enter(), 1000)
})

test('opens again at once when the call that tries fails', () => {
  const it = breaker()
  open(it)
  it.pass(1000)
  assert.equal(it.one.enter(), undefined)
  it.one.failure()
  assert.equal(it.one.enter(), 1000)
  it.pass(1000)
  assert.equal(it.one.enter(), undefined)
})

test('tells each time that it opens, and nothing of the failures before', () => {
  const it = breaker()
  open(it, 2)
  assert.equal(it.opened.length, 0)
  it.one.failure()
  assert.equal(it.opened.length, 1)
  it.pass(1000)
  assert.equal(it.one.enter(), undefined)
  it.one.failure()
  assert.equal(it.opened.length, 2)
})

test('lets the next call try when the one that tried told nothing, or was lost', () => {
  const left = breaker()
  open(left)
  left.pass(1000)
  assert.equal(left.one.enter(), undefined)
  left.one.release()
  assert.equal(left.one.enter(), undefined)
  const lost = breaker()
  open(lost)
  lost.pass(1000)
  assert.equal(lost.one.enter(), undefined)
  lost.pass(1000)
  assert.equal(lost.one.enter(), undefined)
  assert.equal(lost.one.enter(), 1000)
})

test('a call that told nothing does not count', () => {
  const it = breaker()
  open(it, 2)
  for (let call = 0; call < 10; call += 1) it.one.release()
  assert.equal(it.one.enter(), undefined)
  it.one.failure()
  assert.equal(it.one.enter(), 1000)
})

test('a call that has nowhere else to go waits for no other one that tries, but for its time', () => {
  const it = breaker()
  open(it)
  assert.equal(it.one.enter(true), 1000)
  it.pass(1000)
  assert.equal(it.one.enter(), undefined)
  assert.equal(it.one.enter(), 1000)
  assert.equal(it.one.enter(true), undefined)
  it.one.failure()
  assert.equal(it.one.enter(true), 1000)
})
