import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Lines } from './lines.ts'

test('lines are the same however their bytes are cut', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll(/[\r\n]/gu, ''))
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(40)), (texts, cuts) => {
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const heard: (string | undefined)[] = []
      const lines = new Lines(1000, (one) => heard.push(one))
      let from = 0
      for (const cut of cuts) {
        lines.push(bytes.subarray(from, from + cut))
        from += cut
      }
      lines.push(bytes.subarray(from))
      const wanted = texts.map((text) => text.trim()).filter((text) => text !== '')
      assert.deepEqual(heard, wanted)
    }),
  )
})

test('a line that is too long is told once, held by nobody, and the next one is whole', () => {
  const heard: (string | undefined)[] = []
  const lines = new Lines(10, (line) => heard.push(line))
  for (let count = 0; count < 1000; count += 1) lines.push(Buffer.from('0123456789'))
  lines.push(Buffer.from('\nnext\n'))
  assert.deepEqual(heard, [undefined, 'next'])
})
