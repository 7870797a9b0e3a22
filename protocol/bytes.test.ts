import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bytes } from './bytes.ts'

/** A stream that never says anything, and whether it was let go of. */
function silent() {
  const released = Promise.withResolvers<string>()
  const body = new ReadableStream<Uint8Array>({ cancel: () => released.resolve('released') })
  return { body, released: released.promise }
}

test('an aborted signal ends the wait with its reason and lets go of the stream', async () => {
  const { body, released } = silent()
  const controller = new AbortController()
  const bytes = new Bytes(body, controller.signal)
  const waiting = bytes.next()
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(waiting, (error) => error === reason)
  assert.equal(await released, 'released')
  await assert.rejects(bytes.next(), (error) => error === reason)
})

test('a signal that was aborted before is noticed at the first wait', async () => {
  const { body, released } = silent()
  const bytes = new Bytes(body, AbortSignal.abort(new Error('before')))
  await assert.rejects(bytes.next(), /before/)
  assert.equal(await released, 'released')
})

test('letting go ends a wait, and leaves nothing at the signal', async () => {
  const { body } = silent()
  const controller = new AbortController()
  const bytes = new Bytes(body, controller.signal)
  const waiting = bytes.next()
  await bytes.cancel()
  assert.equal(await waiting, undefined)
  controller.abort()
})

test('one buffer serves a stream of bytes from any moment on', async () => {
  const body = new Blob(['a'.repeat(300_000)]).stream()
  const bytes = new Bytes(body, new AbortController().signal)
  let size = 0
  for (let chunk = await bytes.next(); chunk !== undefined; chunk = await bytes.next()) {
    assert.ok(chunk.every((code) => code === 97))
    size += chunk.length
    bytes.throughBuffer()
  }
  assert.equal(size, 300_000)
})
