import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage, type Message } from '../../protocol/envelope.ts'
import { receive } from './pending.ts'

const said = (text: string): Message =>
  parseMessage(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":${JSON.stringify(text)}}}`)
const response = parseMessage('{"jsonrpc":"2.0","id":1,"result":{}}')

function waiting(signal = new AbortController().signal) {
  const seen = { overruns: 0, left: 0 }
  const wait = receive({
    token: undefined,
    signal,
    abandoned: () => new Error('abandoned'),
    overrun: () => void (seen.overruns += 1),
    leave: () => void (seen.left += 1),
  })
  return { ...wait, seen }
}

test('of what nobody reads the latest is left out, and the response never is', async () => {
  const { pending, messages, seen } = waiting()
  for (let nth = 0; nth < 1_100; nth += 1) pending.push(said(String(nth)))
  pending.push(response)
  const read: Message[] = []
  for await (const message of messages) read.push(message)
  assert.equal(read.length, 1_001)
  assert.equal(read.at(-2)?.params['data'], '999')
  assert.equal(read.at(-1)?.kind, 'response')
  assert.deepEqual([seen.overruns > 0, seen.left > 0], [false, true])
})

test('more unread text than an answer may have is told, and room comes back as it is read', async () => {
  const { pending, messages, seen } = waiting()
  const large = said('x'.repeat(6 * 1024 * 1024))
  for (let nth = 0; nth < 5; nth += 1) {
    pending.push(large)
    assert.equal((await messages.next()).value, large)
  }
  assert.equal(seen.overruns, 0)
  for (let nth = 0; nth < 12; nth += 1) pending.push(large)
  assert.ok(seen.overruns > 0)
})

test('a wait ends with its reason once what came before is read, and without one in peace', async () => {
  const leaver = new AbortController()
  const { pending, messages } = waiting(leaver.signal)
  pending.push(said('first'))
  leaver.abort()
  assert.equal((await messages.next()).value?.params['data'], 'first')
  await assert.rejects(messages.next(), /abandoned/)
  const peaceful = waiting()
  const reading = peaceful.messages.next()
  peaceful.pending.fail(undefined)
  assert.equal((await reading).done, true)
})
