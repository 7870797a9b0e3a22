import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerBody } from './answer-body.ts'

function made() {
  const taken: number[] = []
  let left = false
  let held = 0
  const body = new AnswerBody(
    (bytes) => void taken.push(bytes),
    () => {
      left = true
    },
    (_body, more) => {
      held += more
    },
  )
  return { body, taken, left: () => left, held: () => held, reader: body.stream.getReader() }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

test('a piece counts as taken when the reader asks for it, not before', async () => {
  const { body, taken, reader } = made()
  body.put(bytes(1, 2), false)
  body.put(bytes(3), true)
  await Promise.resolve()
  assert.deepEqual(taken, [])
  assert.equal(body.waiting, 3)
  assert.deepEqual((await reader.read()).value, bytes(1, 2, 3))
  assert.equal((await reader.read()).done, true)
  assert.deepEqual(taken, [3])
  assert.equal(body.waiting, 0)
})

test('small pieces that wait are put together, large ones stay as they are, and all keep their order', async () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 150_000 })))
  await fc.assert(
    fc.asyncProperty(lengths, fc.array(fc.boolean()), async (sizes, reads) => {
      const { body, held, reader } = made()
      const sent: Uint8Array[] = []
      const got: Uint8Array[] = []
      const read = async () => {
        const { value } = await reader.read()
        if (value !== undefined) got.push(value)
      }
      for (const [index, size] of sizes.entries()) {
        const piece = new Uint8Array(size).fill(index)
        sent.push(piece)
        body.put(piece, false)
        if (reads[index] === true && body.waiting > 0) await read()
        assert.equal(body.waiting, held())
      }
      while (body.waiting > 0) await read()
      assert.equal(Buffer.compare(Buffer.concat(got), Buffer.concat(sent)), 0)
      assert.ok(got.length <= sizes.filter((size) => size > 0).length)
    }),
  )
  const { body, reader } = made()
  for (let left = 1000; left > 0; left -= 1) body.put(bytes(left % 256), false)
  assert.equal((await reader.read()).value?.length, 1000)
})

test('an answer that is discarded is broken off at once', async () => {
  const { body, held, reader } = made()
  body.put(bytes(1), false)
  assert.equal(held(), 1)
  body.discard('too much waits')
  assert.equal(held(), 0)
  await assert.rejects(reader.read(), /too much waits/u)
  body.put(bytes(2), true)
  assert.equal(held(), 0)
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
