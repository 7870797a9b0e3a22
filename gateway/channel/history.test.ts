import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { History } from './history.ts'

test('whoever names the last event it had gets exactly those after it, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 }), { maxLength: 60 }), fc.nat(60), (texts, seen) => {
      const history = new History(new Budget(1e9))
      const ids = [history.id, ...texts.map((text) => history.add(text))]
      const had = Math.min(seen, texts.length)
      const missed = history.after(ids[had] ?? '')
      assert.deepEqual(
        missed?.map(({ text }) => text),
        texts.slice(had),
      )
      assert.deepEqual(
        missed.map(({ id }) => id),
        ids.slice(had + 1),
      )
    }),
  )
})

test('what is older than the bound, of another history or no id at all is a gap, never a wrong answer', () => {
  const history = new History(new Budget(1e9))
  const first = history.add('first')
  for (let count = 0; count < 300; count += 1) history.add(`event ${count}`)
  assert.equal(history.after(first), undefined)
  const stranger = new History(new Budget(1e9))
  for (const id of [stranger.id, stranger.add('x'), '', '.', 'a.b.c', `${history.id}9999`, `${history.id} `, '-1.-1'])
    assert.equal(history.after(id), undefined, id)
  assert.deepEqual(history.after(history.id), [])
})

test('a few huge events are bounded as many small ones are', () => {
  const history = new History(new Budget(1e9))
  const before = history.id
  const large = 'x'.repeat(200_000)
  history.add(large)
  const last = history.add(large)
  assert.equal(history.after(before), undefined)
  assert.deepEqual(history.after(last), [])
})
