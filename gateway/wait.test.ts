import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { orAborted, orQuiet } from './wait.ts'

const never = new Promise<never>(() => undefined)

test('what takes long is undefined, what does not is itself', async () => {
  assert.equal(await orQuiet(never, 10), undefined)
  assert.equal(await orQuiet(Promise.resolve(7), 10_000), 7)
  await assert.rejects(orQuiet(Promise.reject(new Error('own')), 10_000), /own/u)
})

test('an abort ends the wait with its reason, before it and while it lasts', async () => {
  const stop = new AbortController()
  const waiting = orAborted(never, stop.signal)
  stop.abort(new Error('gone'))
  await assert.rejects(waiting, /gone/u)
  await assert.rejects(orAborted(Promise.resolve(7), stop.signal), /gone/u)
})

test('work that ends first is what it is, and nothing listens to the signal any more', async () => {
  const { signal } = new AbortController()
  assert.equal(await orAborted(Promise.resolve(7), signal), 7)
  await assert.rejects(orAborted(Promise.reject(new Error('own')), signal), /own/u)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('work that fails after the abort fails unheard', async () => {
  const stop = new AbortController()
  const late = Promise.withResolvers<never>()
  const waiting = orAborted(late.promise, stop.signal)
  stop.abort(new Error('gone'))
  late.reject(new Error('late'))
  await assert.rejects(waiting, /gone/u)
})
