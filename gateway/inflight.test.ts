import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InFlight } from './inflight.ts'

test('a call is cancelled by its session and its id, however the id is spelled', () => {
  const calls = new InFlight()
  const cancelled: string[] = []
  calls.add('s', '"ab"', () => cancelled.push('text'))
  calls.add('s', '1.0', () => cancelled.push('number'))
  calls.add('s', '12345678901234567890', () => cancelled.push('long'))
  for (const [session, id] of [
    ['s', '"1"'],
    ['other', '1'],
    ['s', '2'],
    ['s', 'null'],
  ] as const)
    assert.equal(calls.cancel(session, id), false, id)
  assert.deepEqual(cancelled, [])
  for (const id of ['"a\\u0062"', '1', '12345678901234567000']) assert.equal(calls.cancel('s', id), true, id)
  assert.deepEqual(cancelled, ['text', 'number', 'long'])
})

test('a call that is over is forgotten', () => {
  const calls = new InFlight()
  const forget = calls.add('s', '1', () => assert.fail('cancelled'))
  forget()
  assert.equal(calls.cancel('s', '1'), false)
})

test('an id that is used twice belongs to the first call, which the second cannot forget', () => {
  const calls = new InFlight()
  let cancelled = 0
  calls.add('s', '1', () => (cancelled += 1))
  calls.add('s', '1', () => assert.fail('the second'))()
  assert.equal(calls.cancel('s', '1'), true)
  assert.equal(cancelled, 1)
})

test('calls beyond the bound are not watched, and room comes back', () => {
  const calls = new InFlight()
  const forget = Array.from({ length: 10_000 }, (_, id) => calls.add('s', String(id), () => undefined))
  calls.add('s', '10000', () => undefined)
  assert.equal(calls.cancel('s', '10000'), false)
  forget[0]?.()
  calls.add('s', '10000', () => undefined)
  assert.equal(calls.cancel('s', '10000'), true)
})
