import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyObject, anyValue, exact } from '../../test/lossless/json.ts'
import { memberOf, type Lists } from '../sample.ts'
import type { Override } from './catalog.ts'
import { DEFAULT_AGGREGATION, merge } from './merge.ts'
import { present } from './present.ts'
import type { Section } from './server.ts'

/** The one entry of a section, as its caller reads it. */
function shown(
  section: Section,
  item: string,
  more: { override?: Override; era?: 'legacy' | 'modern'; also?: Lists } = {},
) {
  const name = (JSON.parse(item) as { name: string }).name
  const overrides = more.override === undefined ? {} : { [name]: more.override }
  const members = [memberOf('ns/a', { [section]: [item] }, { overrides }), memberOf('ns/b', more.also ?? {})]
  const catalog = merge(members, DEFAULT_AGGREGATION, [])
  const entry = catalog.entries[section].find(({ server }) => server === 'ns/a')
  assert.ok(entry)
  return present(entry, catalog, more.era ?? 'modern')
}

const tool = (rest: string) => `{"name" : "x" , "inputSchema":{"type":"object"}${rest}}`

test('only the name changes, and no other byte', () => {
  fc.assert(
    fc.property(anyValue, anyValue, fc.constantFrom('modern', 'legacy'), (before, after, era) => {
      const item = (name: string) =>
        `{"before":${before}, "name" : ${name} ,"title":"x","inputSchema":{"type":"object"} ,"after":${after} }`
      assert.equal(shown('tools', item('"x"'), { era }), item('"a_x"'))
      assert.equal(shown('prompts', item('"x"'), { era }), item('"a_x"'))
    }),
  )
})

test('a resource whose URI is unique is untouched', () => {
  fc.assert(
    fc.property(anyValue, (future) => {
      const item = `{"name":"x", "uri":"file:\\/\\/\\/x","future" :${future}}`
      assert.equal(shown('resources', item), item)
    }),
  )
})

test('a mapped resource shows its mapped URI, also where a tool names it as its UI', () => {
  const item = '{"name":"x", "uri":"ui://app","mimeType":"text/html"}'
  assert.equal(
    shown('resources', item, { also: { resources: ['ui://app'] } }),
    item.replace('ui://app', 'ui://ns.a!app'),
  )
  const meta = (uri: string) => `{"k":1e400,"ui":{"visibility":["model"],"resourceUri":"${uri}"}}`
  const both = (uri: string) => ({ tools: [tool(`,"_meta":${meta(uri)}`)], resources: ['ui://app'] })
  const catalog = merge(
    [memberOf('ns/a', both('ui://app')), memberOf('ns/b', both('ui://other'))],
    DEFAULT_AGGREGATION,
    [],
  )
  const texts = catalog.entries.tools.map((entry) => present(entry, catalog, 'modern'))
  assert.equal(texts[0], tool(`,"_meta":${meta('ui://ns.a!app')}`).replace('"x"', '"a_x"'))
  assert.equal(texts[1], tool(`,"_meta":${meta('ui://other')}`).replace('"x"', '"b_x"'))
})

describe('overrides', () => {
  const cases: readonly [title: string, item: string, override: Override, shown: string][] = [
    ['give a new name', tool(''), { name: 'y' }, tool('').replace('"x"', '"a_y"')],
    [
      'replace a description in place',
      tool(',"description":"old","z":1.0'),
      { description: 'new "one"' },
      tool(',"description":"new \\"one\\"","z":1.0').replace('"x"', '"a_x"'),
    ],
    [
      'add a description',
      tool(',"z":1.0'),
      { description: '' },
      '{"name" : "a_x","inputSchema":{"type":"object"},"z":1.0,"description":""}',
    ],
    [
      'set single annotations among others',
      tool(',"annotations":{"title":"old", "readOnlyHint" : false,"future":1e400}'),
      { annotations: { readOnlyHint: true, title: undefined, openWorldHint: false } },
      tool(',"annotations":{"title":"old","readOnlyHint" : true,"future":1e400,"openWorldHint":false}').replace(
        '"x"',
        '"a_x"',
      ),
    ],
    [
      'make annotations where there are none that are an object',
      tool(',"annotations":null'),
      { annotations: { title: 't' } },
      tool(',"annotations":{"title":"t"}').replace('"x"', '"a_x"'),
    ],
  ]
  for (const [title, item, override, expected] of cases) {
    test(title, () => assert.equal(shown('tools', item, { override }), expected))
  }
})

describe('an output schema that is not an object', () => {
  const schema = '{"$schema":"s","$defs":{"d":{"type":"string"}},"type":"array","items":{"$ref":"#/$defs/d"}}'
  const item = tool(`,"outputSchema":${schema}`)

  test('is itself for modern clients', () => {
    assert.equal(shown('tools', item), item.replace('"x"', '"a_x"'))
  })

  test('moves below "result" for legacy ones, with its definitions where references find them', () => {
    const inner = '{"type":"array","items":{"$ref":"#/$defs/d"}}'
    const wrapped = `{"$schema":"s","$defs":{"d":{"type":"string"}},"type":"object","properties":{"result":${inner}},"required":["result"]}`
    assert.equal(shown('tools', item, { era: 'legacy' }), tool(`,"outputSchema":${wrapped}`).replace('"x"', '"a_x"'))
  })

  test('leaves one that is an object alone', () => {
    fc.assert(
      fc.property(anyObject, (future) => {
        const plain = tool(`,"outputSchema":{"type":"object","x-future":${future}}`)
        assert.equal(shown('tools', plain, { era: 'legacy' }), plain.replace('"x"', '"a_x"'))
      }),
    )
  })
})

test('names and texts that JSON must escape stay readable', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary' }), (uri, description) => {
      const also = { resources: [uri] }
      const item = JSON.stringify({ name: 'x', uri, description })
      const mapped = exact(shown('resources', item, { also })) as { uri: string; description: string }
      assert.ok(mapped.uri.includes('ns.a!'))
      assert.equal(mapped.uri.replace('ns.a!', ''), uri)
      assert.equal(mapped.description, description)
    }),
  )
})
