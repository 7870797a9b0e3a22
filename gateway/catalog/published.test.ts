import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DEFAULT_AGGREGATION, merge } from './merge.ts'
import { readItems, type ServerCatalog } from './server.ts'
import type { Json } from '../../protocol/envelope.ts'
import { publish, readPublished } from './published.ts'

function catalogOf(tools: readonly object[], rest: Partial<ServerCatalog> = {}): ServerCatalog {
  const text = JSON.stringify(tools)
  return {
    era: 'modern',
    revision: '2026-07-28',
    capabilities: { tools: { listChanged: true } },
    instructions: 'Be kind.',
    ttlMs: 30_000,
    sections: {
      tools: readItems('tools', JSON.parse(text) as Json[], text, 0).items,
      prompts: [],
      resources: [],
      templates: [],
    },
    problems: [],
    ...rest,
  }
}

const merged = (catalog: ServerCatalog, overrides = {}) =>
  merge(
    [{ server: 'test/one', workload: 'one', catalog, rules: [], overrides }],
    { ...DEFAULT_AGGREGATION, prefixFormat: '' },
    [],
  )

test('a catalog comes out as it went in, byte for byte, whatever the tools are like', () => {
  const tool = fc.record({
    name: fc.stringMatching(/^[a-zA-Z][\w-]{0,20}$/u),
    description: fc.string({ unit: 'grapheme' }),
    inputSchema: fc.constant({ type: 'object', properties: { a: { type: 'string' } } }),
    _meta: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/u), fc.jsonValue()),
  })
  fc.assert(
    fc.property(fc.uniqueArray(tool, { selector: ({ name }) => name, maxLength: 20 }), (tools) => {
      const sorted = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1))
      const catalog = catalogOf(sorted)
      const text = publish(merged(catalog))
      assert.ok(text !== undefined)
      assert.deepEqual(readPublished(text), catalog)
    }),
  )
})

test('what a proxy renames and describes anew is published so', () => {
  const tools = [{ name: 'echo', description: 'Old.', inputSchema: { type: 'object' } }]
  const text = publish(merged(catalogOf(tools), { echo: { name: 'repeat', description: 'New.' } })) ?? ''
  const [tool] = readPublished(text).sections.tools
  assert.equal(tool?.id, 'repeat')
  assert.match(tool?.text ?? '', /"New\."/u)
})

test('a result that a legacy server’s proxy wraps has a schema that says so, and is not wrapped again', () => {
  const tools = [{ name: 'list', inputSchema: { type: 'object' }, outputSchema: { type: 'array' } }]
  const wrapped = (era: 'legacy' | 'modern') =>
    readPublished(publish(merged(catalogOf(tools, { era }))) ?? '').sections.tools[0]
  assert.equal(wrapped('legacy')?.wrap, undefined)
  assert.match(wrapped('legacy')?.text ?? '', /"required":\["result"\]/u)
  assert.equal(wrapped('modern')?.wrap, true)
})

test('nothing is published before the server has been seen', () => {
  assert.equal(publish(merge([], DEFAULT_AGGREGATION, [])), undefined)
})

test('a malformed item is dropped alone, and what is no catalog is refused', () => {
  const text = publish(merged(catalogOf([{ name: 'good', inputSchema: { type: 'object' } }]))) ?? ''
  const spoilt = text.replace('"tools":[', '"tools":[{"name":"bad"},')
  const read = readPublished(spoilt)
  assert.deepEqual(
    read.sections.tools.map(({ id }) => id),
    ['good'],
  )
  assert.equal(read.problems.length, 1)
  for (const bad of ['[]', '{}', '{', text.replace('"modern"', '"future"')]) assert.throws(() => readPublished(bad))
})
