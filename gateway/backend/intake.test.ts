import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readText } from './intake.ts'

/** A stream of these bytes in chunks of `step`; a byte stream where `type` says so, as bodies of the network are. */
function source(bytes: Uint8Array, step: number, type?: 'bytes') {
  let at = 0
  let cancelled = false
  const next = (): Uint8Array<ArrayBuffer> | undefined => {
    const chunk = bytes.slice(at, at + step)
    at += step
    return chunk.length === 0 ? undefined : chunk
  }
  const cancel = () => void (cancelled = true)
  const pull = (controller: ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController) => {
    const chunk = next()
    if (chunk !== undefined) controller.enqueue(chunk)
    else {
      controller.close()
      if ('byobRequest' in controller) controller.byobRequest?.respond(0)
    }
  }
  const body =
    type === 'bytes' ? new ReadableStream({ type, pull, cancel }) : new ReadableStream<Uint8Array>({ pull, cancel })
  return { body, cancelled: () => cancelled }
}

const texts = { small: 'é 漢 🐝', large: 'é 漢 🐝 '.repeat(30_000) }

test('a body is read as the text it is, in pieces where it is large, on either kind of stream', async () => {
  for (const type of [undefined, 'bytes'] as const) {
    for (const step of [50, 4096, 100_000]) {
      for (const [size, text] of Object.entries(texts)) {
        const read = await readText(source(new TextEncoder().encode(text), step, type).body, 10_000_000)
        assert.ok(read !== undefined)
        assert.equal(typeof read === 'string', size === 'small', `${type} ${step}`)
        assert.ok((typeof read === 'string' ? read : read.join('')) === text, `${type} ${step} ${size}`)
        assert.ok(typeof read === 'string' || read.length < 60, 'small chunks are put together')
      }
    }
  }
})

test('a body beyond the limit is let go of', async () => {
  for (const type of [undefined, 'bytes'] as const) {
    for (const limit of [10, 300_000]) {
      const { body, cancelled } = source(new TextEncoder().encode(texts.large), 4096, type)
      assert.equal(await readText(body, limit), undefined)
      assert.equal(cancelled(), true)
    }
  }
})

test('a body that breaks is an error, never a shorter text', async () => {
  const bytes = new TextEncoder().encode(texts.large)
  for (const good of [0, 10, 80]) {
    let sent = 0
    const body = new ReadableStream({
      type: 'bytes',
      pull(controller) {
        if (sent >= good) controller.error(new TypeError('broken'))
        else controller.enqueue(bytes.slice(sent * 4096, (sent + 1) * 4096))
        sent += 1
      },
    })
    await assert.rejects(readText(body, 10_000_000), TypeError)
  }
})
