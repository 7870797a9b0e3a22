import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { errorText, isObject, parseMessage } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { answering, extra, gone, said, sceneOf, text, tool, type Script } from './scene.ts'

describe('an addressable tool', () => {
  test('gets the arguments without the cluster, and the rest as it was written', async () => {
    const { post, texts, calls } = sceneOf('addressable', { a: answering(text('a')), b: answering(text('b')) })
    assert.deepEqual(said(await post({ q: 1, cluster: 'b', z: [2] })), ['b'])
    assert.deepEqual(calls, ['b'])
    assert.match(texts[0] ?? '', /"arguments":\{"q":1,"z":\[2\]\}/u)
  })

  test('that is away says which server, where, and when to come back; it is tried nowhere else', async () => {
    const scene = sceneOf('addressable', { a: gone({ unsent: true }), b: answering(text('b')) }, { trustHints: true })
    const { error } = await scene.post({ cluster: 'a' })
    assert.deepEqual(isObject(error) ? error['data'] : undefined, {
      server: 'ns/s',
      cluster: 'a',
      retryAfterSeconds: 5,
      reason: 'backend_unavailable',
    })
    assert.deepEqual(scene.calls, ['a'])
    const [event] = extra(scene)
    assert.deepEqual([event?.outcome, event?.['backend_name'], event?.['cluster']], ['error', 'ns/s', 'a'])
  })

  test('is called again as soon as the way to it is there again, however many calls broke on it', async () => {
    let isBroken = true
    const scene = sceneOf('addressable', {
      a: (call) => {
        if (!isBroken) return answering(text('a'))(call)
        throw new Fault('backend_unavailable', 'The link was lost.', { data: { server: 'ns/s@a' }, onTheWay: true })
      },
      b: answering(text('b')),
    })
    for (let count = 0; count < 10; count += 1) await scene.post({ cluster: 'a' })
    isBroken = false
    assert.deepEqual(said(await scene.post({ cluster: 'a' })), ['a'])
    assert.equal(scene.calls.length, 11)
  })
})

describe('an interchangeable tool', () => {
  test('moves on when a call has not been sent, and the trail says so', async () => {
    const scene = sceneOf('interchangeable', { a: gone({ unsent: true }), b: answering(text('b')) })
    for (let count = 0; count < 20; count += 1) assert.deepEqual(said(await scene.post({})), ['b'])
    // At most one call meets what does not answer: the next ones know.
    assert.ok(scene.calls.filter((cluster) => cluster === 'a').length <= 1)
    const moved = extra(scene).filter((event) => event['moved_from'] !== undefined)
    for (const event of moved)
      assert.deepEqual([event['moved_from'], event['cluster'], event.outcome], ['ns/s@a', 'b', 'success'])
    assert.equal(scene.audits.length, 20)
  })

  test('moves on when a server would not have it: it asks to slow down, or refuses the credential', async () => {
    for (const reason of ['backend_overloaded', 'backend_refused'] as const) {
      const no: Script = () => {
        throw new Fault(reason, 'No.', { data: { server: 'ns/s@a' } })
      }
      const scene = sceneOf('interchangeable', { a: no, b: answering(text('b')) })
      scene.health.set('b', 'offline')
      assert.deepEqual(said(await scene.post({})), ['b'])
      assert.deepEqual(scene.calls, ['a', 'b'])
    }
  })

  test('does not move on when the call may have been executed, unless that is believed to be harmless', async () => {
    const failing = { a: gone(), b: gone({ server: 'ns/s@b' }), c: gone() }
    for (const [trustHints, hints, expected] of [
      [true, { readOnlyHint: true }, 2],
      [true, { idempotentHint: true }, 2],
      [true, {}, 1],
      [false, { readOnlyHint: true }, 1],
    ] as const) {
      const scene = sceneOf('interchangeable', failing, { trustHints }, tool(hints))
      const { error } = await scene.post({})
      assert.equal(isObject(error) ? error['code'] : 0, 1502)
      assert.equal(scene.calls.length, expected, JSON.stringify([trustHints, hints]))
      assert.equal(scene.audits.length, 1)
    }
  })

  test('moves on when a proxy says that its server is away, as far as that is harmless; the last answer is the answer', async () => {
    const away: Script = (call) => ({
      kind: 'message',
      message: parseMessage(
        errorText(call.id, 1502, 'Server is away.', { reason: 'backend_unavailable', server: 'x' }),
      ),
    })
    const safe = tool({ readOnlyHint: true })
    const one = sceneOf('interchangeable', { a: away, b: answering(text('b')) }, { trustHints: true }, safe)
    assert.deepEqual(said(await one.post({})), ['b'])
    const busy: Script = (call) => ({
      kind: 'message',
      message: parseMessage(errorText(call.id, 1529, 'Slow down.', { reason: 'backend_overloaded' })),
    })
    const lying = sceneOf('interchangeable', { a: busy, b: busy }, { trustHints: true })
    const told = await lying.post({})
    assert.deepEqual([isObject(told['error']) && told['error']['code'], lying.calls.length], [1529, 1])
    const unsafe = sceneOf('interchangeable', { a: away, b: away }, { trustHints: true })
    const { error } = await unsafe.post({})
    assert.equal(isObject(error) ? error['message'] : '', 'Server is away.')
    assert.equal(unsafe.calls.length, 1)
    const all = sceneOf('interchangeable', { a: away, b: away }, { trustHints: true }, safe)
    const last = await all.post({})
    assert.equal(isObject(last['error']) ? last['error']['message'] : '', 'Server is away.')
    assert.equal(all.calls.length, 2)
  })

  test('moves on from a stream that ends before it has said anything, and keeps its clock', async () => {
    const broken: Script = () => ({
      kind: 'stream',
      // eslint-disable-next-line require-yield
      messages: (async function* () {
        throw new Fault('backend_unavailable', 'Server ended the stream.', { data: { server: 'ns/s@a' } })
      })(),
      answer: async () => undefined,
    })
    const silent: Script = () => new Promise(() => undefined)
    const safe = tool({ readOnlyHint: true })
    const scene = sceneOf('interchangeable', { a: broken, b: answering(text('b')) }, { trustHints: true }, safe)
    assert.deepEqual(said(await scene.post({})), ['b'])
    const stuck = sceneOf('interchangeable', { a: broken, b: silent }, { trustHints: true }, safe)
    stuck.health.set('b', 'offline')
    const { error } = await stuck.post({})
    assert.deepEqual(isObject(error) ? error['data'] : undefined, {
      server: 'ns/s',
      cluster: 'b',
      retryAfterSeconds: 5,
      reason: 'backend_timeout',
    })
    assert.equal(stuck.audits.length, 1)
  })

  test('goes to clusters that are there before those that are not', async () => {
    const scene = sceneOf('interchangeable', { a: answering(text('a')), b: answering(text('b')) })
    scene.health.set('a', 'offline')
    for (let count = 0; count < 10; count += 1) await scene.post({})
    assert.deepEqual(new Set(scene.calls), new Set(['b']))
  })

  test('answers a question where it was asked', async () => {
    const asks = (state: string) => answering({ resultType: 'input_required', requestState: state, inputRequests: {} })
    const scene = sceneOf('interchangeable', { a: asks('of a'), b: asks('of b') })
    for (let count = 0; count < 8; count += 1) {
      const { result } = await scene.post({})
      assert.ok(isObject(result) && typeof result['requestState'] === 'string')
      await scene.post({}, { requestState: result['requestState'] })
    }
    const pairs = Array.from({ length: 8 }, (_, at) => [scene.calls[2 * at], scene.calls[2 * at + 1]])
    for (const [first, second] of pairs) assert.equal(second, first)
    for (const [at, sent] of scene.texts.entries())
      if (at % 2 === 1) assert.match(sent, new RegExp(`"requestState":"of ${scene.calls[at] ?? ''}"`, 'u'))
  })
})
