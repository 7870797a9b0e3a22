import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../gateway/ports.ts'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { Fault } from '../../protocol/fault.ts'
import { changeDocument, maxDocumentBytes, readDocument } from './document.ts'
import type { Codec } from './document.ts'

const numbers: Codec<readonly number[]> = {
  key: 'numbers',
  empty: [],
  parse: (json) => json as number[],
  print: (value) => value,
}

const texts: Codec<string> = { key: 'text', empty: '', parse: String, print: (value) => value }

const fault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason

test('a document that was never written is empty and has no version', async () => {
  assert.deepEqual(await readDocument(new MemoryStore(Date.now), numbers), { value: [], version: null })
})

test('no change is lost when many writers race', async () => {
  const store = new MemoryStore(Date.now)
  // Reading takes a turn of the event loop here, so that writers really meet.
  const slow: Store = {
    get: async (key) => {
      await new Promise((resolve) => setImmediate(resolve))
      return store.get(key)
    },
    mget: (keys) => store.mget(keys),
    peek: (keys) => store.peek(keys),
    set: (...args) => store.set(...args),
    cas: (...args) => store.cas(...args),
    incr: (...args) => store.incr(...args),
    del: (key) => store.del(key),
  }
  const writers = [0, 1, 2, 3, 4]
  await Promise.all(
    writers.map((n) => changeDocument(slow, numbers, (now) => ({ next: [...now, n], result: undefined }))),
  )
  const { value } = await readDocument(store, numbers)
  assert.deepEqual(new Set(value), new Set(writers))
  assert.equal(value.length, writers.length)
})

test('a decision without a next value writes nothing', async () => {
  const store = new MemoryStore(Date.now)
  assert.equal(await changeDocument(store, numbers, () => ({ result: 'no' })), 'no')
  assert.deepEqual(await store.peek(['numbers']), [null])
})

test('a writer that loses every race gives up with a fault that says to try again', async () => {
  const store = new MemoryStore(Date.now)
  store.cas = async () => null
  await assert.rejects(
    changeDocument(store, numbers, () => ({ next: [1], result: undefined })),
    fault('overloaded'),
  )
})

test('a document beyond 16 MiB of UTF-8 is refused, one just below is stored', async () => {
  const store = new MemoryStore(Date.now)
  const write = (next: string) => changeDocument(store, texts, () => ({ next, result: undefined }))
  await assert.rejects(write('é'.repeat(maxDocumentBytes / 2)), fault('too_large'))
  await write('é'.repeat(maxDocumentBytes / 2 - 1))
})

test('a document that cannot be parsed is an internal fault that names it', async () => {
  const store = new MemoryStore(Date.now)
  await store.set('numbers', '{half')
  await assert.rejects(
    readDocument(store, numbers),
    (error) => fault('internal')(error) && /numbers/.test(String(error)),
  )
})
