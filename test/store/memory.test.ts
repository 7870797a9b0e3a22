// The store in memory against the contract, and what only an injected clock can show.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { contract } from './contract.ts'

contract('memory', async () => ({ store: new MemoryStore(Date.now), close: async () => {} }))

test('the memory store takes the time only from its clock', async () => {
  let now = 1_000_000
  const store = new MemoryStore(() => now)
  await store.set('a', 'x', { ttlSeconds: 60 })
  await store.incr('n', 1, 60)
  now += 59_999
  assert.equal((await store.get('a'))?.value, 'x')
  assert.equal(await store.incr('n', 1, 60), 2)
  now += 1
  assert.equal(await store.get('a'), null)
  assert.equal(await store.incr('n', 1, 60), 1)
})

test('two memory stores never share a version', async () => {
  const [a, b] = [new MemoryStore(Date.now), new MemoryStore(Date.now)]
  assert.notEqual(await a.set('k', 'x'), await b.set('k', 'x'))
})
