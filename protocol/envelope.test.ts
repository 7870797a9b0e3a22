import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyObject, exact, member } from '../test/lossless/json.ts'
import { errorText, faultText, paramSpan, parseMessage, resultText } from './envelope.ts'
import { Fault, type Reason } from './fault.ts'
import { slice } from './text.ts'

const refused = (reason: Reason, message: RegExp) => (error: unknown) =>
  error instanceof Fault && error.reason === reason && message.test(error.message)

describe('messages', () => {
  const cases: readonly [text: string, kind: string, id: string | undefined, method: string][] = [
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', 'request', '1', 'ping'],
    ['{"jsonrpc":"2.0","id":"a\\u0062","method":"ping"}', 'request', '"a\\u0062"', 'ping'],
    ['{"id":12345678901234567890,"method":"","jsonrpc":"2.0"}', 'request', '12345678901234567890', ''],
    ['{"jsonrpc":"2.0","id":-1.50e1,"method":"x"}', 'request', '-1.50e1', 'x'],
    ['{"jsonrpc":"2.0","method":"notifications/initialized"}', 'notification', undefined, 'notifications/initialized'],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', 'response', '1', ''],
    ['{"jsonrpc":"2.0","id":1,"result":null}', 'response', '1', ''],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}', 'response', 'null', ''],
  ]
  for (const [text, kind, id, method] of cases) {
    test(`${text} is a ${kind}`, () => {
      const message = parseMessage(text)
      assert.deepEqual([message.kind, message.id, message.method, message.text], [kind, id, method, text])
    })
  }
})

describe('what is not a message is refused by the field that is wrong', () => {
  const cases: readonly [text: string, reason: Reason, message: RegExp][] = [
    ['', 'invalid_json', /not valid JSON/],
    ['{"jsonrpc":"2.0"', 'invalid_json', /not valid JSON/],
    ['{"jsonrpc":"2.0",}', 'invalid_json', /not valid JSON/],
    ['[]', 'invalid_request', /must be an object/],
    ['null', 'invalid_request', /must be an object/],
    ['"x"', 'invalid_request', /must be an object/],
    ['{"id":1,"method":"x"}', 'invalid_request', /"jsonrpc"/],
    ['{"jsonrpc":2,"id":1,"method":"x"}', 'invalid_request', /"jsonrpc"/],
    ['{"jsonrpc":"2.0","id":null,"method":"x"}', 'invalid_request', /"id" must not be null/],
    ['{"jsonrpc":"2.0","id":{},"method":"x"}', 'invalid_request', /"id" must be/],
    ['{"jsonrpc":"2.0","id":true,"method":"x"}', 'invalid_request', /"id" must be/],
    ['{"jsonrpc":"2.0","id":1}', 'invalid_request', /"method", "result" or "error"/],
    ['{"jsonrpc":"2.0","id":1,"error":"boom"}', 'invalid_request', /"method", "result" or "error"/],
    ['{"jsonrpc":"2.0","id":1,"method":7}', 'invalid_request', /"method" must be a string/],
    ['{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}', 'invalid_request', /"params" must be an object/],
    ['{"jsonrpc":"2.0","id":1,"method":"x","params":"y"}', 'invalid_request', /"params" must be an object/],
    ['{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', 'invalid_request', /"method" occurs twice/],
    ['{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"b"}', 'invalid_request', /"id" occurs twice/],
  ]
  for (const [text, reason, message] of cases) {
    test(text === '' ? 'an empty text' : text, () => assert.throws(() => parseMessage(text), refused(reason, message)))
  }
})

test('params that are null are absent', () => {
  const message = parseMessage('{"jsonrpc":"2.0","id":1,"method":"x","params":null}')
  assert.deepEqual(message.params, {})
  assert.equal(message.spans.has('params'), false)
  assert.equal(paramSpan(message, 'name'), undefined)
})

test('a member of params is found where it stands, and refused where it stands twice', () => {
  const text = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"p", "arguments" : {"name":1} }}'
  const span = paramSpan(parseMessage(text), 'arguments')
  assert.ok(span)
  assert.equal(slice(text, span), '{"name":1}')
  const twice = parseMessage('{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","n\\u0061me":"b"}}')
  assert.throws(() => paramSpan(twice, 'name'), refused('invalid_request', /"name" occurs twice/))
})

test('a result travels as its text', () => {
  fc.assert(
    fc.property(anyObject, (result) => {
      const message = parseMessage(resultText('"id"', result))
      const span = message.spans.get('result')
      assert.ok(span)
      assert.equal(slice(message.text, span), result)
      assert.deepEqual(member(exact(message.text), 'result'), exact(result))
    }),
  )
})

test('errors carry code, text and data, and null where the id is unknown', () => {
  assert.equal(errorText('7', -32601, 'No.'), '{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"No."}}')
  assert.equal(errorText(undefined, 1, 'No.'), '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"No."}}')
  const fault = new Fault('backend_timeout', 'Server a/b did not answer.', {
    data: { server: 'a/b', retryAfterSeconds: 5 },
    detail: 'never shown',
  })
  assert.deepEqual(JSON.parse(faultText('7', fault)), {
    jsonrpc: '2.0',
    id: 7,
    error: {
      code: 1504,
      message: 'Server a/b did not answer.',
      data: { server: 'a/b', retryAfterSeconds: 5, reason: 'backend_timeout' },
    },
  })
})
