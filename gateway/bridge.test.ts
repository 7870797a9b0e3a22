import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseMessage, type JsonObject } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import {
  answerable,
  answerText,
  declared,
  incapable,
  questionText,
  readInput,
  retry,
  unanswerable,
  wantsInput,
} from './bridge.ts'
import { request } from './sample.ts'

const faulty = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason
const required = (members: string) =>
  parseMessage(`{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required"${members}}}`)
const read = (members: string) => readInput(required(members), 'ns/s')
const form = '{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"n":1.0}}}'
const url =
  '{"method":"elicitation/create","params":{"mode":"url","message":"Connect","url":"https://a.example/x?y=1"}}'
const one = (text: string) => {
  const [wanted] = read(`,"inputRequests":{"k":${text}}`).requests
  assert.ok(wanted)
  return wanted
}

describe('what a modern server wants', () => {
  test('is read with every byte of its parameters, key and state', () => {
    assert.ok(wantsInput(required('')))
    assert.equal(wantsInput(parseMessage('{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete"}}')), false)
    assert.equal(wantsInput(parseMessage('{"jsonrpc":"2.0","id":1,"error":{"resultType":"input_required"}}')), false)
    const input = read(`,"requestState":"a\\u0062 1e3","inputRequests":{"k\\n":${form}, "r": {"method":"roots/list"}}`)
    assert.equal(input.state, '"a\\u0062 1e3"')
    assert.deepEqual(
      input.requests.map(({ key, method, text }) => [key, method, text]),
      [
        ['"k\\n"', 'elicitation/create', '{"mode":"form","message":"Who?","requestedSchema":{"n":1.0}}'],
        ['"r"', 'roots/list', undefined],
      ],
    )
    assert.deepEqual(read(',"requestState":"s"'), { requests: [], state: '"s"' })
  })

  test('that makes no sense, or is too much, is the server’s fault', () => {
    const many = Array.from({ length: 17 }, (_, index) => `"${index}":{"method":"roots/list"}`).join(',')
    for (const members of [
      '',
      ',"inputRequests":[]',
      ',"inputRequests":{}',
      ',"inputRequests":{"k":1}',
      ',"inputRequests":{"k":{"method":1}}',
      ',"inputRequests":{"k":{"method":"roots/list","params":[]}}',
      `,"inputRequests":{${many}}`,
      ',"inputRequests":{},"requestState":"s","requestState":"t"',
      ',"inputRequests":{"a":{"method":"roots/list"},"a":{"method":"ping"}}',
      ',"inputRequests":{"a":{"method":"roots/list","method":"ping"}}',
      ',"inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"form","mode":"url"}}}',
    ])
      assert.throws(() => read(members), faulty('backend_protocol'), members)
  })

  test('is what the client declared, or cannot be asked', () => {
    const input = read(`,"inputRequests":{"a":${form},"b":${url}}`)
    assert.equal(answerable(input, { elicitation: { form: {}, url: {} } }), true)
    assert.equal(answerable(input, { elicitation: {} }), false)
  })
})

test('a modern server is told what the client’s revision knows of what it declared', () => {
  const all = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: { listChanged: true } }
  assert.deepEqual(declared(all, '2025-11-25'), { ...all, roots: {} })
  assert.deepEqual(declared(all, '2025-06-18'), { elicitation: {}, sampling: {}, roots: {} })
  assert.deepEqual(declared({ sampling: {} }, '2025-03-26'), { sampling: {} })
  assert.deepEqual(declared({}, '2025-11-25'), {})
})

describe('a question to the client', () => {
  test('is the server’s, byte for byte, in the words of the client’s revision', () => {
    const params = '{"mode":"form","message":"Who?","requestedSchema":{"n":1.0}}'
    assert.equal(
      questionText(one(form), 'id', '2025-11-25', 'ns/s'),
      `{"jsonrpc":"2.0","id":"id","method":"elicitation/create","params":${params}}`,
    )
    assert.equal(
      questionText(one(form), 'id', '2025-06-18', 'ns/s'),
      `{"jsonrpc":"2.0","id":"id","method":"elicitation/create","params":${params.replace('"mode":"form",', '')}}`,
    )
    assert.equal(
      questionText(one('{"method":"roots/list"}'), 'id', '2025-06-18', 'ns/s'),
      '{"jsonrpc":"2.0","id":"id","method":"roots/list"}',
    )
  })

  test('that names a URL has an id, always the same, or its own', () => {
    const id = (text: string) =>
      parseMessage(questionText(one(text), 'id', '2025-11-25', 'ns/s')).params['elicitationId']
    assert.match(String(id(url)), /^[0-9a-f]{32}$/)
    assert.equal(id(url), id(url))
    assert.notEqual(id(url), id(url.replace('y=1', 'y=2')))
    assert.equal(id(url.replace('"mode"', '"elicitationId":"own","mode"')), 'own')
  })
})

describe('an answer', () => {
  test('is the client’s result, byte for byte', () => {
    assert.equal(
      answerText('{"jsonrpc":"2.0","id":"x","result":{"action":"accept", "n":1.0}}', 'ns/s'),
      '{"action":"accept", "n":1.0}',
    )
  })
  test('that is none ends the call and says why', () => {
    const error = '{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"secret"}}'
    assert.throws(
      () => answerText(error, 'ns/s'),
      (thrown) => faulty('cancelled')(thrown) && /ns\/s asked \(error -1\)/.test(String(thrown)),
    )
    for (const result of ['[]', '1', 'null', '"x"'])
      assert.throws(() => answerText(`{"jsonrpc":"2.0","id":"x","result":${result}}`, 'ns/s'), faulty('cancelled'))
  })
})

test('the call is sent again as it was, with answers and state in place of older ones', () => {
  const sent = {
    id: '1',
    headers: { 'mcp-name': 'x' },
    text: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1.0},"requestState":"old","_meta":{}}}',
  }
  const input = read(`,"requestState":"new","inputRequests":{"a":${form},"b":${url}}`)
  const again = retry(sent, '"2"', input, ['{"action":"accept"}', '{"action":"decline"}'])
  assert.equal(
    again.text,
    '{"jsonrpc":"2.0","id":"2","method":"tools/call","params":{"name":"x","arguments":{"n":1.0},"requestState":"new","_meta":{},"inputResponses":{"a":{"action":"accept"},"b":{"action":"decline"}}}}',
  )
  assert.deepEqual([again.id, again.headers], ['"2"', sent.headers])
  const bare = retry({ ...sent, text: again.text }, '"3"', read(`,"inputRequests":{"c":${form}}`), ['{}'])
  assert.doesNotMatch(bare.text, /requestState|"a"/)
})

describe('a client that cannot be asked', () => {
  const call = request('tools/call', { name: 'x' })
  const get = request('prompts/get', { name: 'x' })
  const told = (text: string): string => {
    const { result } = parseMessage(text)
    const { content, isError } = result as { content: { text: string }[]; isError: boolean }
    assert.equal(isError, true)
    return content[0]?.text ?? ''
  }

  test('is sent to the URL first, where its revision has an error for that', () => {
    const text = unanswerable(read(`,"inputRequests":{"a":${form},"b":${url}}`), call, '2025-11-25', 'ns/s')
    const { error, id } = parseMessage(text)
    assert.deepEqual([id, error?.['code']], ['1', -32042])
    assert.ok(error)
    const { elicitations } = error['data'] as { elicitations: JsonObject[] }
    assert.equal(elicitations.length, 1)
    const [{ elicitationId, ...elicitation } = {}] = elicitations
    assert.deepEqual(elicitation, { mode: 'url', message: 'Connect', url: 'https://a.example/x?y=1' })
    assert.match(String(elicitationId), /^[0-9a-f]{32}$/)
  })

  test('is told what the server wants, in a result of the tool or else in an error', () => {
    const wishes = read(`,"inputRequests":{"a":${form},"b":${url},"c":{"method":"sampling/createMessage"}}`)
    const text = told(unanswerable(wishes, call, '2025-06-18', 'ns/s'))
    assert.match(text, /ns\/s needs[^]*Who\?[^]*Connect[^]*https:\/\/a\.example\/x\?y=1[^]*"sampling"/)
    const { error } = parseMessage(unanswerable(wishes, get, '2025-06-18', 'ns/s'))
    assert.equal(error?.['code'], -32603)
    assert.deepEqual(error['data'], { server: 'ns/s' })
    assert.equal(error['message'], text)
  })

  test('is shown no link but to a web page, and no more than a few words', () => {
    for (const bad of [
      'javascript:alert(1)',
      'file:///etc',
      'https://user:pw@a.example/',
      'nonsense',
      `https://a/${'x'.repeat(3000)}`,
    ]) {
      const input = read(`,"inputRequests":{"b":${url.replace('https://a.example/x?y=1', bad)}}`)
      for (const revision of ['2025-11-25', '2025-06-18'])
        assert.match(told(unanswerable(input, call, revision, 'ns/s')), /not safe to show/)
    }
    const long = form.replace('Who?', `\\u0007\\u202e${'y'.repeat(9000)}`)
    const text = told(unanswerable(read(`,"inputRequests":{"a":${long}}`), call, '2025-11-25', 'ns/s'))
    assert.ok(text.length < 700)
    assert.doesNotMatch(text, /\p{Cc}y|\p{Cf}/u)
  })

  test('learns which capability is missing', () => {
    const missing = (data: string) =>
      parseMessage(`{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"m","data":${data}}}`)
    const data = '{"requiredCapabilities":{"elicitation":{"url":{}},"sampling":{},"<script>":{}}}'
    assert.match(told(incapable(missing(data), call, 'ns/s')), /capability elicitation\.url, sampling, which/)
    assert.match(told(incapable(missing('7'), call, 'ns/s')), /needs a capability/)
    assert.equal(parseMessage(incapable(missing(data), get, 'ns/s')).error?.['code'], -32603)
  })
})
