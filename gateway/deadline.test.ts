import assert from 'node:assert/strict'
import { beforeEach, afterEach, describe, mock, test } from 'node:test'
import { Fault } from '../protocol/fault.ts'
import { Deadline } from './deadline.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

const timedOut = (error: unknown) =>
  error instanceof Fault && error.reason === 'backend_timeout' && error.data?.server === 'ns/a'

/** What became of a promise by now. */
async function state(promise: Promise<unknown>): Promise<unknown> {
  const later = new Promise((resolve) => setImmediate(resolve, 'pending'))
  return Promise.race([promise, later])
}

describe('a deadline', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_800_000_000_000 }))
  afterEach(() => mock.timers.reset())
  const start = (idleMs: number) => new Deadline('ns/a', idleMs, Date.now(), (ms, ring) => void setTimeout(ring, ms))

  test('ends a call whose server is silent, though what is awaited ignores the signal', async () => {
    const deadline = start(30 * SECOND)
    const waiting = assert.rejects(deadline.within(new Promise(() => undefined)), timedOut)
    mock.timers.tick(30 * SECOND - 1)
    assert.equal(deadline.signal.aborted, false)
    mock.timers.tick(1)
    assert.ok(timedOut(deadline.signal.reason))
    assert.match(String(deadline.signal.reason), /Server ns\/a did not answer within 30 s/)
    await waiting
  })

  test('counts from the last sign of life', () => {
    const deadline = start(30 * SECOND)
    mock.timers.tick(20 * SECOND)
    deadline.extend()
    mock.timers.tick(29 * SECOND)
    assert.equal(deadline.signal.aborted, false)
    mock.timers.tick(SECOND)
    assert.equal(deadline.signal.aborted, true)
  })

  test('comes after a quarter of an hour however much the server talks, unless its silence may last longer', () => {
    const talkative = start(30 * SECOND)
    for (let at = 0; at < 15 * MINUTE - 10 * SECOND; at += 10 * SECOND) {
      mock.timers.tick(10 * SECOND)
      talkative.extend()
    }
    assert.equal(talkative.signal.aborted, false)
    mock.timers.tick(10 * SECOND)
    assert.equal(talkative.signal.aborted, true)
    const patient = start(20 * MINUTE)
    mock.timers.tick(20 * MINUTE - 1)
    assert.equal(patient.signal.aborted, false)
    mock.timers.tick(1)
    assert.equal(patient.signal.aborted, true)
  })

  test('tells when the call is slow, unless it ends before', async () => {
    const deadline = start(30 * SECOND)
    mock.timers.tick(5 * SECOND - 1)
    assert.equal(await state(deadline.slow), 'pending')
    mock.timers.tick(1)
    assert.equal(await state(deadline.slow), undefined)
    const short = start(2 * SECOND)
    mock.timers.tick(2 * SECOND)
    assert.equal(await state(short.slow), 'pending')
    assert.equal(short.signal.aborted, true)
  })

  test('lets results and failures of the work through', async () => {
    const deadline = start(SECOND)
    assert.equal(await deadline.within(Promise.resolve(7)), 7)
    await assert.rejects(deadline.within(Promise.reject(new Error('its own'))), /its own/)
    deadline.end()
  })

  test('that has ended never rings, and says so once', () => {
    const deadline = start(SECOND)
    const said: string[] = []
    deadline.onEnd(() => said.push('ended'))
    deadline.onAbort(() => said.push('aborted'))
    deadline.end()
    deadline.end()
    mock.timers.tick(20 * MINUTE)
    assert.equal(deadline.signal.aborted, false)
    assert.deepEqual(said, ['ended'])
  })

  test('that is cut short carries the reason, and tells both listeners once', async () => {
    const deadline = start(SECOND)
    const said: string[] = []
    deadline.onEnd(() => said.push('ended'))
    deadline.onAbort(() => said.push('aborted'))
    const reason = new Fault('cancelled', 'The client left.')
    const waiting = assert.rejects(deadline.within(new Promise(() => undefined)), reason)
    deadline.abort(reason)
    await waiting
    mock.timers.tick(20 * MINUTE)
    assert.equal(deadline.signal.reason, reason)
    assert.deepEqual(said, ['ended', 'aborted'])
  })

  test('gives a question its time, whatever is said meanwhile, and does not blame the server', async () => {
    const deadline = start(30 * SECOND)
    deadline.ask(5 * MINUTE)
    mock.timers.tick(MINUTE)
    deadline.extend()
    mock.timers.tick(4 * MINUTE - 1)
    assert.equal(deadline.signal.aborted, false)
    mock.timers.tick(1)
    const { reason } = deadline.signal
    assert.ok(reason instanceof Fault && reason.reason === 'cancelled' && /got no answer/.test(reason.message))
  })

  test('counts the server’s own silence again once everything is answered', () => {
    const deadline = start(30 * SECOND)
    deadline.ask(5 * MINUTE)
    mock.timers.tick(MINUTE)
    deadline.answered()
    mock.timers.tick(30 * SECOND - 1)
    assert.equal(deadline.signal.aborted, false)
    mock.timers.tick(1)
    assert.ok(timedOut(deadline.signal.reason))
  })

  test('of a call that is over is not started by a late answer', () => {
    const deadline = start(30 * SECOND)
    deadline.end()
    deadline.answered()
    mock.timers.tick(20 * MINUTE)
    assert.equal(deadline.signal.aborted, false)
  })

  test('tells leaving from cancelling', () => {
    const [left, cancelled] = [start(SECOND), start(SECOND)]
    left.leave()
    cancelled.abort(new Fault('cancelled', 'Enough.'))
    assert.deepEqual([left.left, cancelled.left], [true, false])
    assert.ok(left.signal.reason instanceof Fault && left.signal.reason.reason === 'cancelled')
  })
})
