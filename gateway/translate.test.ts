import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyObject, anyValue, exact, member } from '../test/lossless/json.ts'
import { Fault } from '../protocol/fault.ts'
import { encodeHeader } from '../protocol/header.ts'
import { IMPLEMENTATION, META, type Era } from '../protocol/revision.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import { memberOf, passageOf } from './sample.ts'
import { outbound, type Passage } from './translate.ts'

const eras: readonly Era[] = ['legacy', 'modern']
const none = new Headers()

/** The client's envelope, as the members of `_meta`. */
const sent = `"${META.version}":"2026-07-28","${META.capabilities}":{"elicitation":{}},"${META.client}":{"name":"c"},"${META.logLevel}":"info"`
const ours = `"${META.version}":"2026-07-28","${META.capabilities}":{},"${META.client}":${JSON.stringify(IMPLEMENTATION)}`
const rename: Passage['route'] = { server: 'ns/s', entry: undefined, rename: { path: ['name'], value: 'get "it"' } }

const call = (params: string, id = '7') => `{ "jsonrpc":"2.0","id": ${id} ,"method":"tools/call","params":${params} }`
const text = (params: string, client: Era, server: Era, more?: Partial<Passage>) =>
  outbound(passageOf(call(params), client, server, more), none).text

test('an argument that is for the gateway goes, and no other byte of a call between equals', () => {
  const route: Passage['route'] = { server: 'ns/s@a', entry: undefined, rename: undefined, cut: 'cluster' }
  const through = (args: string) => text(`{"arguments": ${args} ,"name":"x"}`, 'modern', 'modern', { route })
  const expected = (args: string) => call(`{"arguments": ${args} ,"name":"x"}`)
  assert.equal(through('{ "cluster" : "a" }'), expected('{  }'))
  assert.equal(
    through('{"q":1.0,"cluster":"a","big":12345678901234567890}'),
    expected('{"q":1.0,"big":12345678901234567890}'),
  )
  fc.assert(
    fc.property(anyValue, anyValue, (before, after) => {
      const rest = (more: string) => `{"before" :${before}${more},"after":${after}}`
      assert.equal(through(rest(',"cluster":"a"')), expected(rest('')))
    }),
  )
  assert.throws(
    () => through('{"cluster":"a","cluster":"b"}'),
    (error) => error instanceof Fault && error.reason === 'invalid_request',
  )
})

describe('a call on its way to a server', () => {
  const cases: readonly [
    title: string,
    client: Era,
    server: Era,
    params: string,
    expected: string,
    more?: Partial<Passage>,
  ][] = [
    [
      'modern to modern is untouched',
      'modern',
      'modern',
      `{"name":"x","_meta":{${sent}} }`,
      call(`{"name":"x","_meta":{${sent}} }`),
    ],
    [
      'legacy to legacy in the client’s own session is untouched',
      'legacy',
      'legacy',
      '{ "name":"x" }',
      call('{ "name":"x" }'),
      { owned: true },
    ],
    [
      'legacy to legacy in a shared session has an id of ours',
      'legacy',
      'legacy',
      '{"name":"x"}',
      call('{"name":"x"}', '"our-id"'),
    ],
    ['legacy to modern gets our envelope', 'legacy', 'modern', '{"name":"x"}', call(`{"name":"x","_meta":{${ours}}}`)],
    [
      'legacy to modern keeps its own _meta, in place',
      'legacy',
      'modern',
      '{"_meta":{"k":1.0,"progressToken":2} ,"name":"x"}',
      call(`{"_meta":{"k":1.0,"progressToken":2,${ours}} ,"name":"x"}`),
    ],
    [
      'legacy to modern cannot forge an envelope',
      'legacy',
      'modern',
      `{"_meta":{"${META.capabilities}":{"sampling":{}},"${META.logLevel}":"debug"}}`,
      call(
        `{"_meta":{"${META.capabilities}":{},"${META.version}":"2026-07-28","${META.client}":${JSON.stringify(IMPLEMENTATION)}}}`,
      ),
    ],
    [
      'legacy to modern says how much the client wants to hear',
      'legacy',
      'modern',
      '{}',
      call(`{"_meta":{${ours},"${META.logLevel}":"error"}}`),
      { logLevel: 'error' },
    ],
    [
      'modern to legacy loses its envelope and keeps the rest of _meta',
      'modern',
      'legacy',
      `{"name":"x","_meta":{"a":1e400,${sent},"b":2}}`,
      call('{"name":"x","_meta":{"a":1e400,"b":2}}', '"our-id"'),
    ],
    [
      'modern to legacy asks for progress under an id of ours',
      'modern',
      'legacy',
      `{"_meta":{${sent},"progressToken":"mine"}}`,
      call('{"_meta":{"progressToken":"our-id"}}', '"our-id"'),
    ],
    [
      'legacy in its own session keeps its progress token',
      'legacy',
      'legacy',
      '{"_meta":{"progressToken":1.0}}',
      call('{"_meta":{"progressToken":1.0}}'),
      { owned: true },
    ],
    [
      'a name is the server’s',
      'modern',
      'modern',
      `{"name" : "x_get","_meta":{${sent}}}`,
      call(`{"name" : "get \\"it\\"","_meta":{${sent}}}`),
      { route: rename },
    ],
    [
      'request state is the server’s',
      'modern',
      'modern',
      `{"requestState":"sealed","_meta":{${sent}}}`,
      call(`{"requestState":"open\\n","_meta":{${sent}}}`),
      { requestState: 'open\n' },
    ],
    [
      'a trace goes on with our span, modern',
      'modern',
      'modern',
      `{"_meta":{${sent},"traceparent":"t"}}`,
      call(`{"_meta":{${sent},"traceparent":"our-trace"}}`),
    ],
    [
      'a trace goes on with our span, legacy',
      'legacy',
      'legacy',
      '{"_meta":{"traceparent":"t"}}',
      call('{"_meta":{"traceparent":"our-trace"}}'),
      { owned: true },
    ],
  ]
  for (const [title, client, server, params, expected, more] of cases) {
    test(title, () => assert.equal(text(params, client, server, more), expected))
  }

  test('without params becomes one with an envelope, or stays as it is', () => {
    for (const params of ['', ',"params":null']) {
      const bare = `{"jsonrpc":"2.0","id":1,"method":"x/y"${params}}`
      assert.equal(outbound(passageOf(bare, 'legacy', 'legacy', { owned: true }), none).text, bare)
      const wrapped = outbound(passageOf(bare, 'legacy', 'modern'), none).text
      assert.equal(wrapped, `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"_meta":{${ours}}}}`)
    }
  })

  test('with _meta that is not an object, or with a member twice', () => {
    assert.equal(text('{"_meta":5}', 'legacy', 'modern'), call(`{"_meta":{${ours}}}`))
    for (const params of ['{"a":1,"\\u0061":2}', '{"_meta":{"a":1,"a":2}}', `{"_meta":{${sent},${sent}}}`]) {
      for (const [client, server] of [
        ['legacy', 'modern'],
        ['modern', 'legacy'],
        ['modern', 'modern'],
        ['legacy', 'legacy'],
      ] as const) {
        const refused = (error: unknown) => error instanceof Fault && error.reason === 'invalid_request'
        assert.throws(() => text(params, client, server), refused, `${params} ${client} ${server}`)
      }
    }
  })

  test('as a notification has no id', () => {
    const note = '{"jsonrpc":"2.0","method":"notifications/vendor","params":{"a":1}}'
    const { text: same, id } = outbound(passageOf(note, 'legacy', 'legacy'), none)
    assert.deepEqual([same, id], [note, undefined])
  })
})

test('whatever nobody knows arrives as it was written, in all four cells', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...eras),
      fc.constantFrom(...eras),
      fc.boolean(),
      anyObject,
      anyValue,
      anyValue,
      (client, server, owned, args, future, own) => {
        const meta = client === 'modern' ? `${sent},` : ''
        const params = `{"name":"x_get","arguments":${args},"future":${future},"_meta":{${meta}"com.example/own":${own}}}`
        const seen = exact(text(params, client, server, { owned, route: rename }))
        assert.deepEqual(member(seen, 'params', 'name'), 'get "it"')
        assert.deepEqual(member(seen, 'params', 'arguments'), exact(args))
        assert.deepEqual(member(seen, 'params', 'future'), exact(future))
        assert.deepEqual(member(seen, 'params', '_meta', 'com.example/own'), exact(own))
        assert.equal(member(seen, 'params', '_meta', META.version), server === 'modern' ? '2026-07-28' : undefined)
        assert.deepEqual(Object.keys(seen as object), ['jsonrpc', 'id', 'method', 'params'])
      },
    ),
  )
})

describe('headers', () => {
  const schema = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
  const catalog = merge(
    [memberOf('ns/s', { tools: ['plain', JSON.stringify({ name: 'mirrored', inputSchema: schema })] })],
    DEFAULT_AGGREGATION,
    [],
  )
  const to = (name: string): Passage['route'] => {
    const entry = catalog.find('tools', name)
    assert.ok(entry)
    return { server: 'ns/s', entry, rename: { path: ['name'], value: entry.original } }
  }
  const headers = (params: string, client: Era, server: Era, route: Passage['route'], from: Headers = none) =>
    outbound(passageOf(call(params), client, server, { route }), from).headers

  test('mirror the message for modern servers, with the server’s name for it', () => {
    assert.deepEqual(headers('{"name":"s_plain"}', 'legacy', 'modern', to('s_plain')), {
      traceparent: 'our-trace',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'plain',
    })
    const odd = { ...to('s_plain'), rename: { path: ['name'], value: 'für' } }
    assert.equal(headers('{"name":"x"}', 'legacy', 'modern', odd)['mcp-name'], encodeHeader('für'))
    assert.deepEqual(headers('{"name":"s_plain"}', 'modern', 'legacy', to('s_plain')), { traceparent: 'our-trace' })
  })

  test('carry declared arguments, from the body and not from the client’s headers', () => {
    const from = new Headers({ 'mcp-param-region': 'forged', 'mcp-param-other': 'o', 'x-other': '1' })
    const region = (args: string, client: Era) =>
      headers(`{"name":"x"${args}}`, client, 'modern', to('s_mirrored'), from)
    for (const client of eras) {
      assert.equal(region(',"arguments":{"region":"eu"}', client)['mcp-param-region'], 'eu')
      assert.equal(region(',"arguments":{"region":"ü"}', client)['mcp-param-region'], encodeHeader('ü'))
      for (const absent of ['', ',"arguments":{}', ',"arguments":{"region":null}', ',"arguments":[]'])
        assert.equal(region(absent, client)['mcp-param-region'], undefined, absent)
    }
    assert.deepEqual(
      [region('', 'modern')['mcp-param-other'], region('', 'legacy')['mcp-param-other']],
      ['o', undefined],
    )
    assert.equal(region('', 'modern')['x-other'], undefined)
  })

  test('that a modern client adds for what no entry describes are passed on, up to a bound', () => {
    const route: Passage['route'] = { server: 'ns/s', entry: undefined, rename: undefined }
    const many = new Headers(Array.from({ length: 100 }, (_, index): [string, string] => [`mcp-param-${index}`, 'v']))
    const passed = Object.keys(headers('{"name":"x"}', 'modern', 'modern', route, many))
    assert.equal(passed.filter((name) => name.startsWith('mcp-param-')).length, 64)
  })
})
