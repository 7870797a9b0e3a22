import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lru } from './lru.ts'

test('never holds more than its limit, and forgets what was used least recently', () => {
  const step = fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat(5))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step), (limit, steps) => {
      const cache = new Lru<number, number>(limit)
      /** Least recently used first. */
      let model: [key: number, value: number][] = []
      for (const [at, [action, key]] of steps.entries()) {
        const known = model.find(([one]) => one === key)
        const rest = model.filter(([one]) => one !== key)
        if (action === 'get') {
          assert.equal(cache.get(key), known?.[1])
          if (known !== undefined) model = [...rest, known]
        } else if (action === 'set') {
          cache.set(key, at)
          model = [...rest, [key, at] as [number, number]].slice(-limit)
        } else {
          cache.delete(key)
          model = rest
        }
      }
      for (const key of [0, 1, 2, 3, 4, 5]) {
        assert.equal(cache.get(key), model.find(([one]) => one === key)?.[1])
      }
    }),
  )
})
