// Pieces of any text: within the limit, whole characters, and joined the text again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { pieces, wireBytes } from '../../edge/store/pieces.ts'

test('pieces of any text stay within the limit, split no character and join to the text', () => {
  const unit = fc.oneof(
    fc.constantFrom('"', '\\', '\u0001', 'x', '漢', '🐝'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const text = fc.array(unit, { maxLength: 200 }).map((units) => units.join(''))
  fc.assert(
    fc.property(text, fc.integer({ min: 12, max: 300 }), (text, limit) => {
      const all = [...pieces(text, limit)]
      assert.equal(all.join(''), text)
      for (const piece of all) {
        assert.ok(wireBytes(piece) <= limit && piece !== '')
        assert.ok(piece.isWellFormed())
      }
    }),
    { numRuns: 1000 },
  )
})

test('pieces of even text are nearly full', () => {
  for (const unit of ['x', '"', '漢', '🐝', '{"name":"value"}']) {
    const text = unit.repeat(Math.ceil(3_000_000 / wireBytes(unit)))
    assert.ok([...pieces(text, 700_000)].length <= 5, unit)
  }
})
