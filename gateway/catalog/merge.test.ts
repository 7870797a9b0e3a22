import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memberOf, type Lists } from '../sample.ts'
import type { Catalog } from './catalog.ts'
import { mark } from './hash.ts'
import { DEFAULT_AGGREGATION, merge, type Aggregation, type Member } from './merge.ts'
import type { Section } from './server.ts'

const a = (lists: Lists, more?: Partial<Member>) => memberOf('ns/a', lists, more)
const b = (lists: Lists, more?: Partial<Member>) => memberOf('ns/b', lists, more)

function merged(members: readonly Member[], aggregation: Partial<Aggregation> = {}): Catalog {
  return merge(members, { ...DEFAULT_AGGREGATION, ...aggregation }, [])
}

/** `exposed = server's original` of every entry of a section. */
function names(catalog: Catalog, section: Section = 'tools'): string[] {
  return catalog.entries[section].map((entry) => `${entry.exposed} = ${entry.server} ${entry.original}`)
}

const problems = (catalog: Catalog) => catalog.problems.map(({ server, item }) => `${server} ${item}`)

describe('conflicts between tools', () => {
  const both = [a({ tools: ['get', 'mine'] }), b({ tools: ['get', 'other'] })]
  const cases: readonly [title: string, aggregation: Partial<Aggregation>, names: readonly string[]][] = [
    [
      'prefix: every tool has its server before its name',
      { strategy: 'prefix' },
      ['a_get = ns/a get', 'a_mine = ns/a mine', 'b_get = ns/b get', 'b_other = ns/b other'],
    ],
    [
      'prefix: the format is the operator’s',
      { strategy: 'prefix', prefixFormat: 'x-{workload}-{workload}-' },
      ['x-a-a-get = ns/a get', 'x-a-a-mine = ns/a mine', 'x-b-b-get = ns/b get', 'x-b-b-other = ns/b other'],
    ],
    [
      'prefix: an empty format leaves bare names, and those that meet are both marked',
      { strategy: 'prefix', prefixFormat: '' },
      [
        ...[`get_${mark('ns/a get')} = ns/a get`, `get_${mark('ns/b get')} = ns/b get`].sort(),
        'mine = ns/a mine',
        'other = ns/b other',
      ],
    ],
    [
      'priority: the first in the order keeps the name, the others lose the tool',
      { strategy: 'priority', priorityOrder: ['b', 'a'] },
      ['get = ns/b get', 'mine = ns/a mine', 'other = ns/b other'],
    ],
    [
      'priority: who is not in the order loses against who is',
      { strategy: 'priority', priorityOrder: ['a'] },
      ['get = ns/a get', 'mine = ns/a mine', 'other = ns/b other'],
    ],
    [
      'priority: where none is in the order, all are prefixed',
      { strategy: 'priority', priorityOrder: ['c'] },
      ['a_get = ns/a get', 'b_get = ns/b get', 'mine = ns/a mine', 'other = ns/b other'],
    ],
    ['manual: an unresolved name is nobody’s', { strategy: 'manual' }, ['mine = ns/a mine', 'other = ns/b other']],
  ]
  for (const [title, aggregation, expected] of cases) {
    test(title, () => assert.deepEqual(names(merged(both, aggregation)), expected))
  }

  test('manual: the unresolved name is reported for every server that wants it', () => {
    assert.deepEqual(problems(merged(both, { strategy: 'manual' })), ['ns/a get', 'ns/b get'])
  })

  test('manual: an override resolves it, and one that collides again does not', () => {
    const renamed = (name: string) =>
      merged([a({ tools: ['get', 'mine'] }, { overrides: { get: { name } } }), b({ tools: ['get'] })], {
        strategy: 'manual',
      })
    assert.deepEqual(names(renamed('fetch')), ['fetch = ns/a get', 'get = ns/b get', 'mine = ns/a mine'])
    assert.deepEqual(names(renamed('mine')), ['get = ns/b get'])
  })

  test('names that meet only after prefixing are both marked', () => {
    const catalog = merged([memberOf('ns/a', { tools: ['b_c'] }), memberOf('ns/a_b', { tools: ['c'] })])
    const expected = [`a_b_c_${mark('ns/a b_c')} = ns/a b_c`, `a_b_c_${mark('ns/a_b c')} = ns/a_b c`].sort()
    assert.deepEqual(names(catalog), expected)
  })

  test('names that are alike even with their marks are nobody’s, and reported', () => {
    const forged = `get_${mark('ns/a get')}`
    const catalog = merged([a({ tools: ['get'] }), b({ tools: ['get', forged] })], { prefixFormat: '' })
    assert.deepEqual(names(catalog), [`get_${mark('ns/b get')} = ns/b get`])
    assert.deepEqual(problems(catalog), ['ns/a get', `ns/b ${forged}`])
  })
})

describe('conflicts between prompts', () => {
  const both = [a({ prompts: ['ask', 'mine'] }), b({ prompts: ['ask', 'other'] })]
  const prefixed = ['a_ask = ns/a ask', 'a_mine = ns/a mine', 'b_ask = ns/b ask', 'b_other = ns/b other']
  const cases: readonly [title: string, aggregation: Partial<Aggregation>, names: readonly string[]][] = [
    ['prefix: all are prefixed', { strategy: 'prefix' }, prefixed],
    ['manual: all are prefixed, since the strategy is about tools', { strategy: 'manual' }, prefixed],
    [
      'priority: listed servers keep bare names, the others are prefixed always',
      { strategy: 'priority', priorityOrder: ['b'] },
      ['a_ask = ns/a ask', 'a_mine = ns/a mine', 'ask = ns/b ask', 'other = ns/b other'],
    ],
    [
      'priority: of two listed servers the first has the name, the other loses the prompt',
      { strategy: 'priority', priorityOrder: ['b', 'a'] },
      ['ask = ns/b ask', 'mine = ns/a mine', 'other = ns/b other'],
    ],
  ]
  for (const [title, aggregation, expected] of cases) {
    test(title, () => assert.deepEqual(names(merged(both, aggregation), 'prompts'), expected))
  }
})

describe('what is exposed', () => {
  const lists: Lists = { tools: ['get', 'put'], prompts: ['ask'], resources: ['file:///x'], templates: ['file:///{p}'] }
  const rest = (catalog: Catalog) =>
    (['prompts', 'resources', 'templates'] as const).map((s) => catalog.entries[s].length)
  const cases: readonly [title: string, member: Partial<Member>, aggregation: Partial<Aggregation>, tools: string[]][] =
    [
      ['everything by default', {}, {}, ['a_get = ns/a get', 'a_put = ns/a put']],
      ['what the filter names', { filter: ['get', 'absent'] }, {}, ['a_get = ns/a get']],
      ['nothing where the filter is empty', { filter: [] }, {}, []],
      ['nothing of a server that is excluded', { excludeAll: true, filter: ['get'] }, {}, []],
      ['nothing where all tools are excluded', { filter: ['get'] }, { excludeAllTools: true }, []],
      ['nothing without a filter where the default is deny', {}, { defaultToolVisibility: 'deny' }, []],
      [
        'what the filter names where the default is deny',
        { filter: ['put'] },
        { defaultToolVisibility: 'deny' },
        ['a_put = ns/a put'],
      ],
      [
        'what the filter names by its new name',
        { filter: ['take'], overrides: { get: { name: 'take' } } },
        {},
        ['a_take = ns/a get'],
      ],
      [
        'nothing that the filter names by its old name',
        { filter: ['get'], overrides: { get: { name: 'take' } } },
        {},
        [],
      ],
      [
        'tools under the names that overrides give',
        { overrides: { put: { name: 'set it' } } },
        {},
        ['a_get = ns/a get', `a_set_it_${mark('ns/a put')} = ns/a put`],
      ],
      [
        'tools without overrides that only JavaScript knows',
        { overrides: {} },
        {},
        ['a_get = ns/a get', 'a_put = ns/a put'],
      ],
    ]
  for (const [title, member, aggregation, expected] of cases) {
    test(`${title}, and prompts and resources always`, () => {
      const catalog = merged([a(lists, member)], aggregation)
      assert.deepEqual(names(catalog), expected)
      assert.deepEqual(rest(catalog), [1, 1, 1])
    })
  }

  test('nothing of a server that has not been seen yet', () => {
    const catalog = merged([a(lists), { ...b({}), catalog: undefined }])
    assert.deepEqual([...catalog.servers.keys()], ['ns/a'])
    assert.equal(catalog.entries.tools.length, 2)
  })

  test('problems of servers, each with its server', () => {
    const catalog = merged([a({ tools: ['{"name":"bad"}', 'good'] })])
    assert.deepEqual(names(catalog), ['a_good = ns/a good'])
    assert.deepEqual(problems(catalog), ['ns/a bad'])
  })
})

describe('rules', () => {
  const rule = (glob: string) => ({ tools: [glob], scopes: [glob] })
  const members = [
    a({ tools: ['get', 'put'], prompts: ['get'] }, { rules: [rule('put')], overrides: { get: { name: 'take' } } }),
    b({ tools: ['get', 'put'] }),
  ]
  const applied = (glob: string) =>
    merge(members, DEFAULT_AGGREGATION, [rule(glob)])
      .entries.tools.filter(({ grants }) => grants[0]?.rules.some(({ tools }) => tools.includes(glob)))
      .map(({ exposed }) => exposed as string)
  const cases: readonly [glob: string, tools: readonly string[]][] = [
    ['*', ['a_put', 'a_take', 'b_get', 'b_put']],
    ['get', ['a_take', 'b_get']],
    ['take', ['a_take']],
    ['a_take', ['a_take']],
    ['a_get', []],
    ['b_*', ['b_get', 'b_put']],
    ['nothing', []],
  ]
  for (const [glob, tools] of cases) {
    test(`of the endpoint for "${glob}" hold for ${tools.join(', ') || 'no tool'}`, () =>
      assert.deepEqual(applied(glob), tools))
  }

  test('of a server hold for its own tools only, and none holds for a prompt', () => {
    const catalog = merge(members, DEFAULT_AGGREGATION, [])
    const held = catalog.entries.tools.filter(({ grants }) => (grants[0]?.rules.length ?? 0) > 0)
    assert.deepEqual(
      held.map(({ exposed }) => exposed as string),
      ['a_put'],
    )
    assert.deepEqual(catalog.entries.prompts[0]?.grants, [{ access: undefined, rules: [] }])
  })
})
