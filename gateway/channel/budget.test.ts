import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { History } from './history.ts'
import { Outlet } from './outlet.ts'

test('when it is too much, who holds most lets go, and nobody else', () => {
  const budget = new Budget(100_000)
  const closed: string[] = []
  const slow = new Outlet(budget, () => closed.push('slow'))
  const fine = new Outlet(budget, () => closed.push('fine'))
  const history = new History(budget)
  const before = history.id
  slow.write('x'.repeat(60_000))
  fine.write('x'.repeat(10_000))
  history.add('x'.repeat(40_000))
  assert.deepEqual(closed, ['slow'])
  assert.equal(budget.used, 50_000)
  assert.equal(history.after(before)?.length, 1)
})

test('what is read, left or dropped is given back', async () => {
  const budget = new Budget(100_000)
  const read = new Outlet(budget, () => undefined)
  const left = new Outlet(budget, () => undefined)
  for (const one of [read, left]) for (let at = 0; at < 10; at += 1) one.write('x'.repeat(1000))
  assert.equal(budget.used, 20_000)
  await left.readable.cancel()
  const reader = read.readable.getReader()
  for (let at = 0; at < 10; at += 1) assert.equal((await reader.read()).value?.length, 1000)
  const more = reader.read()
  await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(budget.used, 0)
  read.write('y')
  assert.equal((await more).value?.length, 1)
  read.close()
  assert.equal(budget.used, 0)
  const history = new History(budget)
  for (let at = 0; at < 1000; at += 1) history.add('x'.repeat(10_000))
  assert.ok(budget.used <= 100_000)
  history.drop()
  assert.equal(budget.used, 0)
})

test('a stream that was closed because nobody reads it holds nothing any more', async () => {
  const budget = new Budget(1e9)
  const outlet = new Outlet(budget, () => undefined)
  for (let at = 0; at < 100; at += 1) outlet.write('x'.repeat(10_000))
  assert.equal(outlet.open, false)
  assert.equal(budget.used, 0)
  assert.ok((await new Response(outlet.readable).text()).length <= 20_000)
})
