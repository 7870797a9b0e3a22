import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../protocol/fault.ts'
import { atLeast, Levels } from './levels.ts'
import type { Store } from './ports.ts'
import { MemoryStore } from './store/memory.ts'

/** A store that counts its reads and can go away. */
class Counting extends MemoryStore {
  reads = 0
  away = false
  override async get(key: string): ReturnType<Store['get']> {
    this.reads += 1
    if (this.away) throw new Fault('store_unavailable', 'The store is away.')
    return super.get(key)
  }
}

function levels() {
  let time = 0
  const clock = () => time
  const store = new Counting(clock)
  const pass = (ms: number) => {
    time += ms
  }
  return { store, pass, here: new Levels(store, clock), there: new Levels(store, clock) }
}

test('a level holds for its session, here at once and elsewhere soon', async () => {
  const { here, there, pass } = levels()
  assert.equal(await there.get('s'), undefined)
  await here.set('s', 'debug')
  assert.equal(await here.get('s'), 'debug')
  assert.equal(await here.get('other'), undefined)
  pass(10_000)
  assert.equal(await there.get('s'), 'debug')
})

test('the store is not asked for every call', async () => {
  const { here, store, pass } = levels()
  for (let call = 0; call < 5; call += 1) await here.get('s')
  assert.equal(store.reads, 1)
  pass(10_000)
  await here.get('s')
  assert.equal(store.reads, 2)
})

test('while the store is away the level stays what it was', async () => {
  const { here, there, store, pass } = levels()
  await here.set('s', 'error')
  pass(60_000)
  store.away = true
  assert.equal(await here.get('s'), 'error')
  assert.equal(await there.get('s'), undefined)
  store.away = false
  pass(60_000)
  assert.equal(await there.get('s'), 'error')
})

test('a log line passes from the level that was asked for upwards, and nothing that is no level does', () => {
  assert.deepEqual(
    [
      ['error', 'info'],
      ['info', 'info'],
      ['debug', 'info'],
      ['loud', 'debug'],
      ['error', 'loud'],
      ['error', undefined],
    ].map(([level, wanted]) => atLeast(level, wanted)),
    [true, true, false, false, false, false],
  )
})
