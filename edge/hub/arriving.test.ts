import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arriving } from './arriving.ts'

/** A piece as frames have it: part of a buffer that is larger. */
const piece = (text: string) => new Uint8Array(Buffer.from(`${'h'.repeat(1000)}${text}`)).subarray(1000)

test('a text is what its pieces are together, and never holds on to more than twice of it', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 100 }), { maxLength: 50 }), (texts) => {
      const arriving = new Arriving('a')
      for (const text of texts) arriving.put(piece(text))
      assert.equal(Buffer.from(arriving.bytes).toString(), texts.join(''))
      assert.ok(arriving.held <= 2 * arriving.size, `${arriving.held} for ${arriving.size}`)
    }),
  )
})

test('pieces of nothing hold nothing', () => {
  const arriving = new Arriving('a')
  for (let at = 0; at < 1000; at++) arriving.put(piece(''))
  assert.equal(arriving.held, 0)
})
