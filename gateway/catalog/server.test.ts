import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyObject, exact, member } from '../../test/lossless/json.ts'
import type { Json } from '../../protocol/envelope.ts'
import { MAX_ITEM, readItems, type Section } from './server.ts'

function read(section: Section, ...items: readonly string[]) {
  const text = `{"list": [ ${items.join(' ,\n')} ]}`
  const { list } = JSON.parse(text) as { list: Json[] }
  return readItems(section, list, text, text.indexOf('['))
}

const good = '{"name":"good","inputSchema":{"type":"object"}}'
/** Deep enough to end whoever walks through it. */
const deep = `${'{"not":'.repeat(10_000)}1${'}'.repeat(10_000)}`

describe('a malformed item is dropped alone and reported', () => {
  const cases: readonly [section: Section, item: string, label: string, message: RegExp][] = [
    ['tools', 'null', '#1', /not an object/],
    ['tools', '[]', '#1', /not an object/],
    ['tools', '{"inputSchema":{"type":"object"}}', '#1', /no valid "name"/],
    ['tools', '{"name":"","inputSchema":{"type":"object"}}', '#1', /no valid "name"/],
    ['tools', `{"name":"${'n'.repeat(2049)}"}`, 'n'.repeat(128), /no valid "name"/],
    ['tools', '{"name":"x"}', 'x', /"inputSchema" must be an object schema/],
    ['tools', '{"name":"x","inputSchema":{"type":["object"]}}', 'x', /"inputSchema" must be/],
    ['tools', '{"name":"x","inputSchema":{"type":"object"},"outputSchema":true}', 'x', /"outputSchema" must be/],
    ['tools', '{"name":"x","inputSchema":{"type":"object","x-mcp-header":"A"}}', 'x', /x-mcp-header at the root/],
    ['tools', '{"name":"x","name":"y","inputSchema":{"type":"object"}}', 'y', /the member "name" twice/],
    ['tools', '{"name":"x","inputSchema":{"type":"object"},"_meta":{"a":1,"\\u0061":2}}', 'x', /the member "a" twice/],
    ['tools', '{"name":"x","inputSchema":{"type":"object"},"_meta":{"ui":{"a":1,"a":2}}}', 'x', /the member "a" twice/],
    ['tools', '{"name":"x","inputSchema":{"type":"object"},"annotations":{"a":1,"a":2}}', 'x', /the member "a" twice/],
    ['tools', '{"name":"x","inputSchema":{"type":"object"},"outputSchema":{"a":1,"a":2}}', 'x', /the member "a" twice/],
    ['tools', `{"name":"x","d":"${'d'.repeat(MAX_ITEM)}"}`, 'x', /larger than/],
    ['tools', `{"name":"x","inputSchema":{"type":"object","properties":{"q":${deep}}}}`, 'x', /nested more than/],
    ['resources', `{"uri":"x","_meta":${deep}}`, 'x', /nested more than/],
    ['prompts', '{"title":"x"}', '#1', /no valid "name"/],
    ['resources', '{"name":"x"}', '#1', /no valid "uri"/],
    ['templates', '{"uri":"x"}', '#1', /no valid "uriTemplate"/],
  ]
  for (const [section, item, label, message] of cases) {
    test(`${section}: ${item.slice(0, 80)}`, () => {
      const neighbour = good.replace('{', '{"uri":"good","uriTemplate":"good",')
      const { items, problems } = read(section, neighbour, item, neighbour)
      assert.deepEqual(
        items.map(({ id }) => id),
        ['good', 'good'],
      )
      assert.deepEqual(
        problems.map((problem) => [problem.section, problem.item]),
        [[section, label]],
      )
      assert.match(problems[0]?.message ?? '', message)
    })
  }
})

test('an item is kept as its text, whatever else is in it', () => {
  fc.assert(
    fc.property(anyObject, anyObject, (future, schema) => {
      const item = `{ "name" : "x","inputSchema":{"type":"object","x-future":${schema}},"future":${future}}`
      const { items, problems } = read('tools', good, item)
      assert.deepEqual(problems, [])
      assert.equal(items[1]?.text, item)
      assert.deepEqual(member(exact(items[1].text), 'future'), exact(future))
    }),
  )
})

test('what routing needs to know is read once', () => {
  const mirrored = '{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"}}}'
  const { items } = read(
    'tools',
    good,
    `{"name":"a","inputSchema":${mirrored}}`,
    '{"name":"b","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}',
    '{"name":"c","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}',
    '{"name":"d","inputSchema":{"type":"object"},"outputSchema":{"anyOf":[]}}',
  )
  assert.deepEqual(
    items.map(({ id, params, wrap }) => [id, params, wrap]),
    [
      ['good', undefined, undefined],
      ['a', [{ header: 'Region', path: ['r'] }], undefined],
      ['b', undefined, undefined],
      ['c', undefined, true],
      ['d', undefined, true],
    ],
  )
})
