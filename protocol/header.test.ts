import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyObject, anyValue } from '../test/lossless/json.ts'
import type { JsonObject } from './envelope.ts'
import { Fault } from './fault.ts'
import { decodeHeader, encodeHeader, mirroredParams, mirroredValues } from './header.ts'

const mirroredValue = (text: string, at: number, path: readonly string[]) =>
  mirroredValues(text, at, [{ header: 'X', path }])[0]

describe('field values', () => {
  test('every text comes back, and a Headers object carries it unharmed', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.string().map((inner) => `=?base64?${inner}?=`),
      fc.string().map((inner) => ` ${inner}\t`),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const sent = new Headers({ 'mcp-name': encodeHeader(text) }).get('mcp-name')
        assert.ok(sent !== null)
        assert.match(sent, /^[\x20-\x7e]*$/u)
        assert.equal(decodeHeader(sent), text)
      }),
    )
  })

  const encoded: readonly [text: string, field: string][] = [
    ['get_issue', 'get_issue'],
    ['two words', 'two words'],
    ['file:///a/b?c=d', 'file:///a/b?c=d'],
    ['', '=?base64??='],
    [' padded', '=?base64?IHBhZGRlZA==?='],
    ['padded ', '=?base64?cGFkZGVkIA==?='],
    ['a\nb', '=?base64?YQpi?='],
    ['Grüße', '=?base64?R3LDvMOfZQ==?='],
    ['=?base64?eA==?=', '=?base64?PT9iYXNlNjQ/ZUE9PT89?='],
    ['=?base64?', '=?base64?'],
  ]
  for (const [text, field] of encoded) {
    test(`${JSON.stringify(text)} is sent as ${field}`, () => {
      assert.equal(encodeHeader(text), field)
      assert.equal(decodeHeader(field), text)
    })
  }

  test('broken base64 and broken UTF-8 have no text', () => {
    for (const inner of ['eA', 'eA=', 'eA===', 'e', 'e A==', 'eA==\n', 'eA-_', 'ünï=', '=', '/w==', 'gICA', '?']) {
      assert.equal(decodeHeader(`=?base64?${inner}?=`), undefined, inner)
    }
  })

  test('a byte order mark is part of the text', () => {
    assert.equal(decodeHeader(encodeHeader('\ufeffx')), '\ufeffx')
  })
})

describe('declarations in an input schema', () => {
  const string = (header: string) => ({ type: 'string', 'x-mcp-header': header })

  test('are found with their paths', () => {
    const schema: JsonObject = {
      type: 'object',
      properties: {
        plain: { type: 'string' },
        region: string('Region'),
        nested: { type: 'object', properties: { deep: { type: 'integer', 'x-mcp-header': 'Deep-Value' } } },
        properties: { type: 'boolean', 'x-mcp-header': 'Props', default: { 'x-mcp-header': 'not a declaration' } },
      },
      required: ['region'],
    }
    assert.deepEqual(mirroredParams(schema), [
      { header: 'Region', path: ['region'] },
      { header: 'Deep-Value', path: ['nested', 'deep'] },
      { header: 'Props', path: ['properties'] },
    ])
    assert.deepEqual(mirroredParams({ type: 'object' }), [])
  })

  const broken: readonly [name: string, schema: JsonObject, problem: RegExp][] = [
    ['an empty name', { properties: { a: string('') } }, /at a is not a header name/],
    ['a name with a space', { properties: { a: string('X Y') } }, /at a is not a header name/],
    ['a name with a line break', { properties: { a: string('X\r\nY') } }, /is not a header name/],
    ['a name that is not a string', { properties: { a: { type: 'string', 'x-mcp-header': 1 } } }, /not a header name/],
    ['the same name twice', { properties: { a: string('X'), b: string('x') } }, /at b repeats the name x/],
    ['the root', { 'x-mcp-header': 'X', type: 'object' }, /at the root is not reachable/],
    ['an element', { properties: { a: { type: 'array', items: string('X') } } }, /not reachable by properties alone/],
    ['a branch', { anyOf: [{ properties: { a: string('X') } }] }, /not reachable by properties alone/],
    ['a definition', { $defs: { d: string('X') } }, /not reachable by properties alone/],
    ['an object', { properties: { a: { type: 'object', 'x-mcp-header': 'X' } } }, /needs type string, integer/],
    ['a number', { properties: { a: { type: 'number', 'x-mcp-header': 'X' } } }, /needs type string, integer/],
    ['no type', { properties: { a: { 'x-mcp-header': 'X' } } }, /needs type string, integer/],
    ['several types', { properties: { a: { type: ['string'], 'x-mcp-header': 'X' } } }, /needs type string/],
    ['a type that is an object', { properties: { a: { type: { toString: 1 }, 'x-mcp-header': 'X' } } }, /needs type/],
  ]
  for (const [name, schema, problem] of broken) {
    test(`are refused for ${name}`, () => assert.match(String(mirroredParams(schema)), problem))
  }

  test('never make the reader throw, whatever the schema', () => {
    const value = anyValue.map((text) => JSON.parse(text) as JsonObject)
    fc.assert(
      fc.property(fc.string(), value, value, (key, declared, type) => {
        const found = mirroredParams({ properties: { [key]: { 'x-mcp-header': declared, type } } })
        assert.ok(typeof found === 'string' || found.length <= 1)
      }),
    )
    let schema: JsonObject = string('X')
    for (let depth = 0; depth < 5000; depth += 1) schema = { properties: { a: schema } }
    assert.deepEqual(mirroredParams(schema), [])
  })
})

describe('the value that is mirrored', () => {
  const text =
    '{"s":"a\\u0062","n": 12345678901234567890.10e+2 ,"t":true,"f":false,"z":null,"l":[1],"o":{"in":"x"},"":"empty"}'
  const cases: readonly [path: readonly string[], value: string | undefined][] = [
    [['s'], 'ab'],
    [['n'], '12345678901234567890.10e+2'],
    [['t'], 'true'],
    [['f'], 'false'],
    [['z'], undefined],
    [['l'], undefined],
    [['o'], undefined],
    [['o', 'in'], 'x'],
    [['s', 'in'], undefined],
    [['l', '0'], undefined],
    [['absent'], undefined],
    [[''], 'empty'],
  ]
  for (const [path, value] of cases) {
    test(`of ${JSON.stringify(path)} is ${String(value)}`, () => {
      assert.equal(mirroredValue(text, 0, path), value)
      assert.equal(mirroredValue(`{"arguments":${text}}`, 13, path), value)
    })
  }

  test('keeps all digits of a number', () => {
    const number = fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).map(String)
    fc.assert(fc.property(number, (digits) => assert.equal(mirroredValue(`{"n":${digits}}`, 0, ['n']), digits)))
  })

  test('is nothing where arguments are not an object', () => {
    for (const value of ['[]', '"x"', '1', 'null']) assert.equal(mirroredValue(value, 0, ['a']), undefined)
  })

  test('is refused where a member on the way occurs twice', () => {
    fc.assert(
      fc.property(anyObject, (value) => {
        const refused = (error: unknown) => error instanceof Fault && error.reason === 'invalid_request'
        assert.throws(() => mirroredValue(`{"a":${value},"\\u0061":1}`, 0, ['a']), refused)
      }),
      { numRuns: 20 },
    )
  })
})
