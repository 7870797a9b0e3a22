import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerBody } from './answer-body.ts'

function made() {
  const taken: number[] = []
  let left = false
  const body = new AnswerBody(
    (bytes) => void taken.push(bytes),
    () => {
      left = true
    },
  )
  return { body, taken, left: () => left, reader: body.stream.getReader() }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

test('a piece counts as taken when the reader asks for it, not before', async () => {
  const { body, taken, reader } = made()
  body.put(bytes(1, 2), false)
  body.put(bytes(3), true)
  await Promise.resolve()
  assert.deepEqual(taken, [])
  assert.deepEqual((await reader.read()).value, bytes(1, 2))
  assert.deepEqual(taken, [2])
  assert.deepEqual((await reader.read()).value, bytes(3))
  assert.equal((await reader.read()).done, true)
  assert.deepEqual(taken, [2, 1])
})

test('a reader that waits gets a piece when it comes', async () => {
  const { body, reader } = made()
  const reading = reader.read()
  body.put(bytes(1), false)
  assert.deepEqual((await reading).value, bytes(1))
  const ending = reader.read()
  body.put(bytes(), true)
  assert.equal((await ending).done, true)
})

test('what has arrived before a failure is read before it', async () => {
  const { body, reader } = made()
  body.put(bytes(1), false)
  body.fail('the link broke')
  assert.deepEqual((await reader.read()).value, bytes(1))
  await assert.rejects(reader.read(), /the link broke/u)
})

test('a reader that leaves is told of, and what comes later is let go of', async () => {
  const { body, taken, left, reader } = made()
  body.put(bytes(1), false)
  await reader.cancel()
  assert.equal(left(), true)
  body.put(bytes(2), true)
  body.fail('too late')
  assert.deepEqual(taken, [])
})
