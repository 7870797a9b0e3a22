import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { parseMessage, type JsonObject } from '../protocol/envelope.ts'
import { mayAsk, MAX_QUESTIONS, openQuestion, pose, Questions, sealQuestion } from './ask.ts'
import { Sealer } from './seal.ts'

const sealer = new Sealer([{ kid: 'a', key: new Uint8Array(32) }])
const START = 1_800_000_000_000
const now = () => START
const origin = { session: 'mine', server: 'ns/s', via: undefined }
const all: JsonObject = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} }

test('a client may be asked what it declared, and nothing else', () => {
  const form = { mode: 'form' }
  const url = { mode: 'url' }
  const cases: readonly [method: string, params: JsonObject, capabilities: JsonObject, may: boolean][] = [
    ['elicitation/create', {}, {}, false],
    ['elicitation/create', {}, { elicitation: {} }, true],
    ['elicitation/create', form, { elicitation: {} }, true],
    ['elicitation/create', url, { elicitation: {} }, false],
    ['elicitation/create', url, { elicitation: { form: {} } }, false],
    ['elicitation/create', url, { elicitation: { url: {} } }, true],
    ['elicitation/create', form, { elicitation: { url: {} } }, false],
    ['elicitation/create', {}, { elicitation: { url: {} } }, false],
    ['elicitation/create', form, { elicitation: { form: {}, url: {} } }, true],
    ['elicitation/create', { mode: 'telepathy' }, all, false],
    ['elicitation/create', { mode: null }, all, true],
    ['elicitation/create', {}, { elicitation: true }, false],
    ['sampling/createMessage', {}, { elicitation: {} }, false],
    ['sampling/createMessage', {}, { sampling: {} }, true],
    ['sampling/createMessage', { tools: [] }, { sampling: {} }, false],
    ['sampling/createMessage', { toolChoice: {} }, { sampling: {} }, false],
    ['sampling/createMessage', { tools: [] }, { sampling: { tools: {} } }, true],
    ['roots/list', {}, { sampling: {} }, false],
    ['roots/list', {}, { roots: {} }, true],
    ['tools/call', {}, all, false],
    ['Elicitation/create', {}, all, false],
    ['elicitation/create/', {}, all, false],
  ]
  for (const [method, params, capabilities, may] of cases)
    assert.equal(mayAsk(method, params, capabilities), may, `${method} ${JSON.stringify([params, capabilities])}`)
})

describe('a question', () => {
  const asked = (text: string, capabilities = all) => pose(parseMessage(text), origin, capabilities, sealer, now)

  test('travels as it is but for its id and its progress token, which only we can open', async () => {
    const id = fc.oneof(fc.string({ maxLength: 60 }), fc.integer(), fc.constant(Number.MAX_SAFE_INTEGER))
    await fc.assert(
      fc.asyncProperty(id, fc.option(id, { nil: undefined }), fc.jsonValue(), async (own, token, more) => {
        const params = { more, ...(token !== undefined && { _meta: { progressToken: token, more } }) }
        const posed = await asked(JSON.stringify({ jsonrpc: '2.0', id: own, method: 'roots/list', params }))
        assert.ok(posed)
        const seen = JSON.parse(posed.text) as { id: string; params: { _meta?: { progressToken: string } } }
        assert.equal(JSON.stringify(seen.id), posed.id)
        const question = await openQuestion(seen.id, 'mine', sealer, now)
        assert.deepEqual(
          { ...question, expires: 0 },
          { session: 'mine', server: 'ns/s', expires: 0, id: JSON.stringify(own) },
        )
        const sealed = seen.params._meta?.progressToken
        const opened = await openQuestion(sealed, 'mine', sealer, now)
        assert.equal(opened?.token, token === undefined ? undefined : JSON.stringify(token))
        const original = { ...params, ...(token !== undefined && { _meta: { progressToken: sealed, more } }) }
        assert.deepEqual(seen.params, JSON.parse(JSON.stringify(original)))
      }),
      { numRuns: 50 },
    )
  })

  test('opens for its session, for its purpose, in its time, and not otherwise', async () => {
    const sealed = await sealQuestion({ ...origin, id: '1' }, sealer, now)
    assert.ok(await openQuestion(sealed, 'mine', sealer, now))
    assert.equal(await openQuestion(sealed, 'theirs', sealer, now), undefined)
    assert.ok(await openQuestion(sealed, 'mine', sealer, () => START + 15 * 60_000))
    assert.equal(await openQuestion(sealed, 'mine', sealer, () => START + 16 * 60_000), undefined)
    assert.equal(await openQuestion(`${sealed.slice(0, -2)}xx`, 'mine', sealer, now), undefined)
    const other = await sealer.seal('event', { ...origin, id: '1', expires: START + 60_000 })
    for (const forged of [other, 7, null, undefined, '', '1'])
      assert.equal(await openQuestion(forged, 'mine', sealer, now), undefined)
  })

  test('is not passed on when nobody declared to answer it, or when its id is out of all proportion', async () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"roots/list"}'
    assert.ok(await asked(text))
    assert.equal(await asked(text, {}), undefined)
    assert.equal(await asked(text.replace('1,', `"${'x'.repeat(600)}",`)), undefined)
    const token = `"params":{"_meta":{"progressToken":"${'x'.repeat(600)}"}}`
    assert.equal(await asked(text.replace('}', `,${token}}`)), undefined)
    for (const twice of [
      '"mode":"form","mode":"url"',
      '"_meta":{"progressToken":1,"progressToken":2}',
      '"_meta":{},"_META":{}',
    ])
      assert.equal(await asked(text.replace('}', `,"params":{${twice}}}`)), undefined, twice)
  })
})

describe('the questions of a call', () => {
  test('are taken back under the ids that the client knows, each once, and no others', () => {
    const questions = new Questions()
    questions.add('"a"', '"sealed a"')
    questions.add('7', '"sealed 7"')
    const cancelled = (id: unknown) =>
      parseMessage(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }))
    assert.match(String(questions.takeBack(cancelled('a'))), /"requestId":"sealed a"/)
    assert.equal(questions.takeBack(cancelled('a')), undefined)
    assert.equal(questions.takeBack(cancelled('7')), undefined)
    assert.equal(questions.takeBack(cancelled(undefined)), undefined)
    assert.deepEqual(
      [...questions.abandon()].map((text) => parseMessage(text).params['requestId']),
      ['sealed 7'],
    )
    assert.deepEqual([...questions.abandon()], [])
  })

  test('are bounded, also when they are taken back', () => {
    const questions = new Questions()
    for (let count = 0; count < MAX_QUESTIONS; count += 1) {
      assert.ok(questions.room)
      questions.add(String(count), `"${count}"`)
    }
    for (const _text of questions.abandon()) assert.equal(questions.room, false)
    assert.equal(questions.room, false)
  })
})
