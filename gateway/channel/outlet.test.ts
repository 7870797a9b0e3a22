import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { Outlet } from './outlet.ts'

test('what is written is read in order, and the end comes last', async () => {
  let closed = 0
  const outlet = new Outlet(new Budget(1e9), () => (closed += 1))
  outlet.write('one ')
  outlet.write('two')
  outlet.close()
  outlet.close()
  outlet.write('too late')
  assert.equal(await new Response(outlet.readable).text(), 'one two')
  assert.equal(closed, 1)
})

test('a reader that does not read is let go before its unread events cost much', async () => {
  let closed = 0
  const outlet = new Outlet(new Budget(1e9), () => (closed += 1))
  const text = 'x'.repeat(64 * 1024)
  for (let count = 0; count < 10; count += 1) outlet.write(text)
  assert.equal(closed, 1)
  const unread = await new Response(outlet.readable).text()
  assert.ok(unread.length <= 5 * text.length)
})

test('a reader that leaves is known at once', async () => {
  let closed = 0
  const outlet = new Outlet(new Budget(1e9), () => (closed += 1))
  await outlet.readable.cancel()
  assert.equal(closed, 1)
  outlet.write('nobody hears')
  outlet.close()
  assert.equal(closed, 1)
})
