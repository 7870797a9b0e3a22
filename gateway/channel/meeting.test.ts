import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Meeting } from './meeting.ts'

test('a text reaches whoever takes it, whether it came before or comes after', async () => {
  const meeting = new Meeting()
  const waiting = meeting.take('later', 1_000)
  assert.equal(meeting.put('later', 'one'), true)
  assert.equal(await waiting, 'one')
  assert.equal(meeting.put('earlier', 'two'), true)
  assert.equal(await meeting.take('earlier', 1_000), 'two')
})

test('a text is taken once, under its own key only, and a wait ends', async () => {
  const meeting = new Meeting()
  meeting.put('a', 'text')
  assert.equal(await meeting.take('b', 10), undefined)
  assert.equal(await meeting.take('a', 10), 'text')
  assert.equal(await meeting.take('a', 10), undefined)
})

test('what nobody takes is bounded by number and by size, and a newer text replaces an older one', async () => {
  const meeting = new Meeting()
  for (let count = 0; count < 1000; count += 1) assert.equal(meeting.put(`key ${count}`, ''), true)
  assert.equal(meeting.put('one more', ''), false)
  assert.equal(meeting.put('key 1', 'newer'), true)
  assert.equal(await meeting.take('key 1', 10), 'newer')
  assert.equal(meeting.put('one more', ''), true)
  const large = new Meeting()
  const text = 'x'.repeat(4 * 1024 * 1024)
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((key) => large.put(key, text)),
    [true, true, true, true, false],
  )
  await Promise.all(['a', 'b', 'c', 'd'].map((key) => large.take(key, 10)))
  for (let count = 0; count < 1000; count += 1) await meeting.take(`key ${count}`, 0)
  await meeting.take('one more', 0)
})
