import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyArray, anyObject, anyValue, exact, member } from '../test/lossless/json.ts'
import { parseMessage } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { IMPLEMENTATION, META, type Era } from '../protocol/revision.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import { memberOf, passageOf } from './sample.ts'
import { inbound, taskOf, type Passage, type Sealed } from './translate.ts'

const eras: readonly Era[] = ['legacy', 'modern']
const unsealed: Sealed = { requestState: undefined, taskId: undefined }
const stamp = `"${META.server}":${JSON.stringify(IMPLEMENTATION)}`
const theirs = `"${META.server}":{"name":"theirs"}`

interface Extra {
  readonly method?: string
  readonly meta?: string
  readonly sealed?: Partial<Sealed>
  readonly passage?: Partial<Passage>
}

function received(text: string, client: Era, server: Era, extra: Extra = {}): string {
  const { method = 'tools/call', meta = '', sealed = {}, passage } = extra
  const asked = `{"jsonrpc":"2.0","id":"their id","method":"${method}","params":{"_meta":{${meta}}}}`
  return inbound(
    parseMessage(text),
    passageOf(asked, client, server, passage),
    { ...unsealed, ...sealed },
    new Map([['never there', 'x']]),
  )
}

const result = (value: string, id = '"our-id"') => `{"jsonrpc":"2.0", "id":${id} ,"result":${value}}`
const error = (value: string) => `{"jsonrpc":"2.0","id":"our-id","error":${value}}`

describe('a result on its way to its client', () => {
  const cases: readonly [title: string, client: Era, server: Era, value: string, expected: string, extra?: Extra][] = [
    [
      'legacy from legacy has the client’s id and is else untouched',
      'legacy',
      'legacy',
      `{ "resultType":"odd","_meta":{${theirs}} }`,
      `{ "resultType":"odd","_meta":{${theirs}} }`,
    ],
    [
      'modern from modern bears our name and not the server’s',
      'modern',
      'modern',
      `{"resultType":"complete","_meta":{"a":1.0,${theirs}},"z":1}`,
      `{"resultType":"complete","_meta":{"a":1.0,${stamp}},"z":1}`,
    ],
    [
      'modern from legacy is complete',
      'modern',
      'legacy',
      '{"content":[]}',
      `{"content":[],"_meta":{${stamp}},"resultType":"complete"}`,
    ],
    [
      'modern keeps what is not complete',
      'modern',
      'modern',
      '{"resultType":"future"}',
      `{"resultType":"future","_meta":{${stamp}}}`,
    ],
    [
      'modern reads hold for this caller only',
      'modern',
      'modern',
      '{"resultType":"complete","ttlMs":5,"cacheScope":"public"}',
      `{"resultType":"complete","ttlMs":5,"cacheScope":"private","_meta":{${stamp}}}`,
      { method: 'resources/read' },
    ],
    [
      'modern reads from legacy hold for no time',
      'modern',
      'legacy',
      '{"contents":[]}',
      `{"contents":[],"_meta":{${stamp}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}`,
      { method: 'resources/read' },
    ],
    [
      'modern reads that need input are not cached',
      'modern',
      'modern',
      '{"resultType":"input_required"}',
      `{"resultType":"input_required","_meta":{${stamp}}}`,
      { method: 'resources/read' },
    ],
    [
      'legacy from modern loses what its revision does not have',
      'legacy',
      'modern',
      `{"resultType":"complete","content":[],"_meta":{${theirs},"k":1e400}}`,
      '{"content":[],"_meta":{"k":1e400}}',
    ],
    [
      'legacy from modern has no empty _meta',
      'legacy',
      'modern',
      `{"_meta":{${theirs}},"content":[]}`,
      '{"content":[]}',
    ],
    [
      'legacy reads lose their caching',
      'legacy',
      'modern',
      '{"ttlMs":1,"cacheScope":"private","contents":[]}',
      '{"contents":[]}',
      { method: 'resources/read' },
    ],
    [
      'legacy calls keep members of these names',
      'legacy',
      'modern',
      '{"ttlMs":1,"cacheScope":"x"}',
      '{"ttlMs":1,"cacheScope":"x"}',
    ],
    [
      'request state is sealed',
      'modern',
      'modern',
      '{"resultType":"input_required","requestState":"open"}',
      `{"resultType":"input_required","requestState":"sealed","_meta":{${stamp}}}`,
      { sealed: { requestState: 'sealed' } },
    ],
    [
      'a task has a sealed id',
      'modern',
      'modern',
      '{"resultType":"task","taskId":"t-1"}',
      `{"resultType":"task","taskId":"sealed","_meta":{${stamp}}}`,
      { sealed: { taskId: 'sealed' } },
    ],
    [
      'a legacy task has a sealed id',
      'legacy',
      'legacy',
      '{"task": {"taskId" : "t-1","ttl":1.0}}',
      '{"task": {"taskId" : "sealed","ttl":1.0}}',
      { sealed: { taskId: 'sealed' } },
    ],
    ['a result that is no object passes', 'modern', 'legacy', '[1.0]', '[1.0]'],
  ]
  for (const [title, client, server, value, expected, extra] of cases) {
    test(title, () => assert.equal(received(result(value), client, server, extra), result(expected, '"their id"')))
  }

  test('whose output is not an object is wrapped for legacy clients, as its schema is', () => {
    const tool = '{"name":"x","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}'
    const entry = merge([memberOf('ns/s', { tools: [tool] })], DEFAULT_AGGREGATION, []).find('tools', 's_x')
    const passage = { route: { server: 'ns/s', entry, rename: undefined } }
    const output = '{"structuredContent":[1.0, 2]}'
    for (const server of eras)
      assert.equal(
        received(result(output), 'legacy', server, { passage }),
        result('{"structuredContent":{"result":[1.0, 2]}}', '"their id"'),
      )
    assert.match(received(result(output), 'modern', 'modern', { passage }), /"structuredContent":\[1\.0, 2\]/)
    assert.equal(
      received(result('{"content":[]}'), 'legacy', 'legacy', { passage }),
      result('{"content":[]}', '"their id"'),
    )
  })

  test('keeps whatever nobody knows, in all four cells', () => {
    const any = fc.record({ content: anyArray, structured: anyObject, future: anyValue, own: anyValue })
    fc.assert(
      fc.property(fc.constantFrom(...eras), fc.constantFrom(...eras), any, (client, server, one) => {
        const value = `{"content":${one.content},"structuredContent":${one.structured},"future":${one.future},"_meta":{${theirs},"com.example/own":${one.own}}}`
        const seen = exact(received(result(value), client, server))
        assert.deepEqual(member(seen, 'result', 'content'), exact(one.content))
        assert.deepEqual(member(seen, 'result', 'structuredContent'), exact(one.structured))
        assert.deepEqual(member(seen, 'result', 'future'), exact(one.future))
        assert.deepEqual(member(seen, 'result', '_meta', 'com.example/own'), exact(one.own))
        const name = { legacy: { legacy: 'theirs', modern: undefined }, modern: { legacy: 'waggle', modern: 'waggle' } }
        assert.equal(member(seen, 'result', '_meta', META.server, 'name'), name[client][server])
      }),
    )
  })
})

describe('errors', () => {
  test('pass with the client’s id', () => {
    const value = '{"code":-32602,"message":"m","data":{"future":1.0}}'
    for (const client of eras)
      assert.equal(received(error(value), client, 'legacy'), error(value).replace('our-id', 'their id'))
  })
  test('have the code of the client’s revision', () => {
    const missing = '{"message":"m","code": -32002 }'
    assert.match(received(error(missing), 'modern', 'legacy'), /"code": -32602 \}/)
    assert.match(received(error(missing), 'legacy', 'legacy'), /"code": -32002 \}/)
    const capability = '{"code":-32021,"message":"m"}'
    assert.match(received(error(capability), 'modern', 'modern'), /"code":-32021/)
  })
  test('that speak of our hop are faults of the server', () => {
    for (const code of [-32020, -32022]) {
      const refused = (thrown: unknown) => thrown instanceof Fault && thrown.reason === 'backend_protocol'
      assert.throws(() => received(error(`{"code":${code},"message":"m"}`), 'modern', 'modern'), refused)
    }
  })
})

test('progress comes under the token that the client chose', () => {
  const progress = (token: string) =>
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token} ,"progress":1.0}}`
  const cases: readonly [server: Era, owned: boolean, meta: string, sent: string, seen: string][] = [
    ['legacy', false, '"progressToken":"mine"', '"our-id"', '"mine"'],
    ['legacy', false, '"progressToken":5', '"our-id"', '5'],
    ['legacy', false, '"progressToken":5', '"another"', '"another"'],
    ['legacy', false, '', '"our-id"', '"our-id"'],
    ['legacy', true, '"progressToken":5', '5', '5'],
    ['modern', false, '"progressToken":5', '5', '5'],
  ]
  for (const [server, owned, meta, sent, seen] of cases)
    assert.equal(received(progress(sent), 'legacy', server, { meta, passage: { owned } }), progress(seen))
})

test('a task is found wherever its revision puts it', () => {
  assert.deepEqual(
    [{ taskId: 'a' }, { task: { taskId: 'b' } }, { taskId: 1 }, { task: 'c' }, {}].map((one) => taskOf(one)),
    ['a', 'b', undefined, undefined, undefined],
  )
})
