import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseMessage, type Json } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { Conversation } from './conversation.ts'

interface Stage {
  readonly session: Conversation
  /** What the process was told, parsed. */
  readonly told: Record<string, Json>[]
  /** The process writes a line. */
  readonly says: (message: object) => void
  readonly posts: (message: object, signal?: AbortSignal) => Response
}

function stage(write: (text: string) => boolean = () => true): Stage {
  const told: Record<string, Json>[] = []
  const session = new Conversation(
    {
      write: (text) => {
        told.push(JSON.parse(text) as Record<string, Json>)
        return write(text)
      },
      close: async () => undefined,
    },
    'demo/one',
  )
  return {
    session,
    told,
    says: (message) => session.heard(JSON.stringify({ jsonrpc: '2.0', ...message })),
    posts: (message, signal) => session.post(parseMessage(JSON.stringify({ jsonrpc: '2.0', ...message })), signal),
  }
}

/** The messages of a stream up to its end. */
async function messages(response: Response): Promise<Record<string, Json>[]> {
  const text = await response.text()
  return [...text.matchAll(/^data: (.+)$/gmu)].map(([, data = '']) => JSON.parse(data) as Record<string, Json>)
}

const call = (id: Json, progressToken?: Json) => ({
  id,
  method: 'tools/call',
  params: { name: 'x', ...(progressToken !== undefined && { _meta: { progressToken } }) },
})

describe('ids', () => {
  test('two requests with one id each get their own answer, under the id that they had', async () => {
    const { told, says, posts } = stage()
    const first = posts(call('a'))
    const second = posts(call('a'))
    const [one, two] = told.map(({ id }) => id)
    assert.notEqual(one, two)
    says({ id: two ?? null, result: { is: 'second' } })
    says({ id: one ?? null, result: { is: 'first' } })
    assert.deepEqual(await messages(first), [{ jsonrpc: '2.0', id: 'a', result: { is: 'first' } }])
    assert.deepEqual(await messages(second), [{ jsonrpc: '2.0', id: 'a', result: { is: 'second' } }])
  })

  test('an answer that comes after its caller left is not the answer of the next one with that id', async () => {
    const { told, says, posts } = stage()
    const left = new AbortController()
    const first = posts(call(7), left.signal)
    left.abort()
    await assert.rejects(first.text())
    const second = posts(call(7))
    const [one, two] = told.map(({ id }) => id)
    says({ id: one ?? null, result: { is: 'late' } })
    says({ id: two ?? null, result: { is: 'mine' } })
    assert.deepEqual(await messages(second), [{ jsonrpc: '2.0', id: 7, result: { is: 'mine' } }])
  })

  test('a number beyond what JavaScript can count comes back as it was', async () => {
    const { session, told, says } = stage()
    const text = '{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/list"}'
    const response = session.post(parseMessage(text), undefined)
    says({ id: told[0]?.['id'] ?? null, result: {} })
    assert.match(await response.text(), /"id":12345678901234567890,/u)
  })

  test('a cancellation names the request as the process knows it, also after its caller left', async () => {
    const { told, posts } = stage()
    const left = new AbortController()
    const response = posts(call('a'), left.signal)
    response.body?.cancel().catch(() => undefined)
    left.abort()
    posts({ method: 'notifications/cancelled', params: { requestId: 'a', reason: 'no need' } })
    assert.deepEqual(told[1]?.['params'], { requestId: told[0]?.['id'], reason: 'no need' })
  })

  test('a cancellation of what the process was never asked is not passed on: it might name another request', () => {
    const { told, posts } = stage()
    posts(call('a'))
    posts({ method: 'notifications/cancelled', params: { requestId: 1 } })
    assert.equal(told.length, 1)
  })
})

describe('what the process says meanwhile', () => {
  test('progress goes to the request that it is of; the rest to the youngest', async () => {
    const { told, says, posts } = stage()
    const first = posts(call('a', 'p'))
    const second = posts(call('b'))
    says({ method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } })
    says({ method: 'notifications/progress', params: { progressToken: 'nobody', progress: 1 } })
    says({ method: 'notifications/message', params: { level: 'info', data: 'hello' } })
    for (const { id = null } of told) says({ id, result: {} })
    assert.deepEqual(
      (await messages(first)).map(({ method = 'answer' }) => method),
      ['notifications/progress', 'answer'],
    )
    assert.deepEqual(
      (await messages(second)).map(({ method = 'answer' }) => method),
      ['notifications/message', 'answer'],
    )
  })

  test('what is about lists goes to who listens, and to no call', async () => {
    const { session, told, says, posts } = stage()
    const listener = session.listen(undefined)
    const response = posts(call('a'))
    says({ method: 'notifications/tools/list_changed' })
    says({ id: told[0]?.['id'] ?? null, result: {} })
    assert.equal((await messages(response)).length, 1)
    session.listen(undefined)
    assert.deepEqual(
      (await messages(listener)).map(({ method }) => method),
      ['notifications/tools/list_changed'],
      'who listens later takes over',
    )
  })

  test('a question goes to the youngest call, and taking it back to the same', async () => {
    const { told, says, posts } = stage()
    const first = posts(call('a'))
    says({ id: 'q', method: 'elicitation/create', params: {} })
    const second = posts(call('b'))
    says({ method: 'notifications/cancelled', params: { requestId: 'q' } })
    for (const { id = null } of told) says({ id, result: {} })
    assert.deepEqual(
      (await messages(first)).map(({ method = 'answer' }) => method),
      ['elicitation/create', 'notifications/cancelled', 'answer'],
    )
    assert.equal((await messages(second)).length, 1)
  })

  test('a question that nobody is there for is declined, a ping answered', () => {
    const { told, says } = stage()
    says({ id: 1, method: 'roots/list' })
    says({ id: 2, method: 'ping' })
    assert.match(JSON.stringify(told[0]), /"code":-32601/u)
    assert.deepEqual(told[1], { jsonrpc: '2.0', id: 2, result: {} })
  })

  test('a batch is its messages', async () => {
    const { session, told, posts } = stage()
    const [first, second] = [posts(call('a')), posts(call('b'))]
    const answers = told.map(({ id }) => ({ jsonrpc: '2.0', id, result: {} }))
    session.heard(JSON.stringify(answers))
    assert.deepEqual([(await messages(first))[0]?.['id'], (await messages(second))[0]?.['id']], ['a', 'b'])
  })

  test('what is no message is nobody’s', async () => {
    const { session, told, says, posts } = stage()
    const response = posts(call('a'))
    for (const line of [
      'Listening on stdio',
      '{}',
      '[]',
      '[1,null]',
      '{"jsonrpc":"2.0","id":1}',
      '{"jsonrpc":"2.0"',
      '"x"',
    ])
      session.heard(line)
    says({ id: 99, result: {} })
    says({ id: told[0]?.['id'] ?? null, result: {} })
    assert.equal((await messages(response)).length, 1)
  })
})

describe('bounds', () => {
  test('a process that is gone fails every stream at once', async () => {
    const { session, posts } = stage()
    const responses = [posts(call('a')), posts(call('b')), session.listen(undefined)]
    const fault = new Fault('backend_unavailable', 'gone')
    session.ended(fault)
    for (const response of responses) await assert.rejects(response.text(), fault)
    assert.ok(session.idleMs > 0, 'nothing is under way any more')
  })

  test('a process that does not read what it is sent refuses calls, and holds none', () => {
    const { session, posts } = stage(() => false)
    assert.throws(
      () => posts(call('a')),
      (error) => error instanceof Fault && error.reason === 'backend_overloaded',
    )
    assert.ok(session.idleMs > 0, 'nothing is under way')
  })

  test('too many calls at once are refused', () => {
    const { posts } = stage()
    for (let count = 0; count < 128; count += 1) posts(call(count))
    assert.throws(
      () => posts(call('more')),
      (error) => error instanceof Fault && error.reason === 'backend_overloaded',
    )
  })

  test('a process that says more than is read loses the stream that it says it to, not the others', async () => {
    const { told, says, posts } = stage()
    const flooded = posts(call('a', 'p'))
    const other = posts(call('b'))
    const data = 'x'.repeat(1024 * 1024)
    for (let count = 0; count < 40; count += 1)
      says({ method: 'notifications/progress', params: { progressToken: 'p', message: data } })
    says({ id: told[1]?.['id'] ?? null, result: {} })
    await assert.rejects(flooded.text(), (error) => error instanceof Fault && error.reason === 'backend_protocol')
    assert.equal((await messages(other)).length, 1)
  })

  test('who has left already costs the process nothing', () => {
    const { told, posts } = stage()
    assert.throws(() => posts(call('a'), AbortSignal.abort(new Error('left'))), /left/u)
    assert.equal(told.length, 0)
  })
})
