import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memberOf } from '../sample.ts'
import type { Catalog } from './catalog.ts'
import { DEFAULT_AGGREGATION, merge, type Aggregation, type Member } from './merge.ts'
import { SECTIONS } from './server.ts'

const NAME = /^[a-zA-Z0-9_-]{1,64}$/u

/** Few letters, so that names meet often; long ones and odd ones too. */
const word = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[ab_]{1,3}$/u) },
  { weight: 1, arbitrary: fc.stringMatching(/^[ab]{30,70}$/u) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }) },
)
const items = fc.uniqueArray(word, { maxLength: 4 })
const uris = fc.uniqueArray(fc.constantFrom('ui://x', 'file:///a', 'file:///{p}', 'urn:b', 'plain', '{+any}'), {
  maxLength: 3,
})
const lists = fc.record({ tools: items, prompts: items, resources: uris, templates: uris })
const member: fc.Arbitrary<Member> = fc
  .tuple(
    fc.stringMatching(/^[xy]\/[ab_]{1,2}$/u),
    lists,
    fc.option(fc.array(word), { nil: undefined, freq: 6 }),
    fc.dictionary(
      word,
      word.map((name) => ({ name })),
    ),
  )
  .map(([server, found, filter, overrides]) => memberOf(server, found, { filter, overrides }))
const members = fc.uniqueArray(member, { maxLength: 4, selector: ({ server }) => server })
const aggregation: fc.Arbitrary<Aggregation> = fc.record({
  strategy: fc.constantFrom('prefix', 'priority', 'manual'),
  prefixFormat: fc.constantFrom('{workload}_', '', 'a', '{workload}{workload}.'),
  priorityOrder: fc.array(fc.constantFrom('a', 'b', 'ab', 'z')),
  excludeAllTools: fc.constant(false),
  defaultToolVisibility: fc.constant('allow'),
})

const shown = (catalog: Catalog) =>
  SECTIONS.flatMap((section) => catalog.entries[section].map((e) => [section, e.exposed, e.server, e.original]))

describe('exposed names', () => {
  test('always fit and are unique in their section, and all are in order', () => {
    fc.assert(
      fc.property(members, aggregation, (all, how) => {
        const { entries } = merge(all, how, [])
        for (const section of SECTIONS) {
          const names = entries[section].map(({ exposed }) => exposed as string)
          assert.deepEqual(
            names,
            [...new Set(names)].sort((a, b) => (a < b ? -1 : 1)),
          )
          if (section === 'tools' || section === 'prompts') for (const name of names) assert.match(name, NAME)
        }
      }),
    )
  })

  test('do not depend on the order in which members and items come', () => {
    const shuffled = members.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    )
    fc.assert(
      fc.property(shuffled, aggregation, ([all, mixed], how) => {
        const one = merge(all, how, [])
        const other = merge(mixed, how, [])
        assert.deepEqual(shown(other), shown(one))
        assert.equal(other.version, one.version)
      }),
    )
  })

  test('lead back to one item each, which is the one that has the name', () => {
    fc.assert(
      fc.property(members, aggregation, (all, how) => {
        const catalog = merge(all, how, [])
        const seen = new Set<string>()
        for (const section of SECTIONS) {
          for (const entry of catalog.entries[section]) {
            assert.equal(catalog.find(section, entry.exposed), entry)
            const owner = all.find(({ server }) => server === entry.server)
            assert.ok(owner?.catalog?.sections[section].some(({ id }) => id === (entry.original as string)))
            const key = JSON.stringify([section, entry.server, entry.original])
            assert.equal(seen.has(key), false)
            seen.add(key)
          }
        }
      }),
    )
  })

  test('stay when an unrelated server comes or goes', () => {
    const stranger = lists.map((found) =>
      memberOf('q/q', {
        tools: found.tools.map((name) => `q${name}`),
        prompts: found.prompts.map((name) => `q${name}`),
        resources: found.resources.map((uri) => `q${uri}`),
        templates: found.templates.map((uri) => `q${uri}`),
      }),
    )
    fc.assert(
      fc.property(members, stranger, aggregation, (all, other, how) => {
        const before = shown(merge(all, how, []))
        const after = shown(merge([other, ...all], how, [])).filter(([, , server]) => server !== 'q/q')
        assert.deepEqual(after, before)
      }),
    )
  })

  test('never lead elsewhere because another server joins, where a prefix keeps servers apart', () => {
    fc.assert(
      fc.property(members, member, (all, other) => {
        fc.pre(all.every(({ server }) => server !== other.server))
        const before = merge(all, DEFAULT_AGGREGATION, [])
        const after = merge([...all, other], DEFAULT_AGGREGATION, [])
        for (const { exposed, server, original } of before.entries.tools) {
          const now = after.find('tools', exposed)
          if (now !== undefined) assert.deepEqual([now.server, now.original], [server, original])
        }
      }),
    )
  })
})

describe('resources', () => {
  const both = merge(
    [
      memberOf('ns/a', { resources: ['file:///x', 'ui://app', 'only'], templates: ['file:///{p}', 'urn:{n}'] }),
      memberOf('ns/b', { resources: ['file:///x', 'ui://app'], templates: ['file:///{p}', 'file:///logs/{day}'] }),
    ],
    DEFAULT_AGGREGATION,
    [],
  )

  test('keep a URI that is unique, and are mapped below their scheme where it is not', () => {
    assert.deepEqual(
      both.entries.resources.map((entry) => `${entry.exposed} = ${entry.server} ${entry.original}`),
      [
        'file://ns.a!/x = ns/a file:///x',
        'file://ns.b!/x = ns/b file:///x',
        'only = ns/a only',
        'ui://ns.a!app = ns/a ui://app',
        'ui://ns.b!app = ns/b ui://app',
      ],
    )
  })

  test('that are mapped are known by their server’s own URI', () => {
    assert.deepEqual(Object.fromEntries(both.renamed('ns/a') ?? []), {
      'file:///x': 'file://ns.a!/x',
      'file:///{p}': 'file://ns.a!/{p}',
      'ui://app': 'ui://ns.a!app',
    })
    assert.equal(merge([memberOf('ns/a', { resources: ['x'] })], DEFAULT_AGGREGATION, []).renamed('ns/a'), undefined)
  })

  test('that a template stands for are found by it, the most literal template first', () => {
    const found = (uri: string) => both.templates(uri).map(({ exposed }) => exposed as string)
    assert.deepEqual(found('file:///logs/today'), ['file:///logs/{day}'])
    assert.deepEqual(found('file://ns.b!/logs/today'), ['file://ns.b!/{p}'])
    assert.deepEqual(found('urn:x'), ['urn:{n}'])
    assert.deepEqual(found('http://x'), [])
    const nested = merge(
      [memberOf('ns/a', { templates: ['f:{+all}', 'f:logs/{day}', 'f:{list*}/x', 'f:lit*/{p}'] })],
      DEFAULT_AGGREGATION,
      [],
    )
    const all = nested.templates('f:logs/x').map(({ exposed }) => exposed as string)
    assert.deepEqual(all, ['f:logs/{day}', 'f:{list*}/x', 'f:{+all}'])
  })
})

test('the version changes with every part of the catalog', () => {
  const base = memberOf('ns/a', { tools: ['x'], prompts: ['p'] })
  const text = '{"name":"x","inputSchema":{"type":"object"},"description":"new"}'
  const variants: readonly Catalog[] = [
    merge([base], DEFAULT_AGGREGATION, []),
    merge([], DEFAULT_AGGREGATION, []),
    merge([memberOf('ns/b', { tools: ['x'], prompts: ['p'] })], DEFAULT_AGGREGATION, []),
    merge([memberOf('ns/a', { tools: [text], prompts: ['p'] })], DEFAULT_AGGREGATION, []),
    merge([memberOf('ns/a', { tools: ['x'], prompts: ['q'] })], DEFAULT_AGGREGATION, []),
    merge([{ ...base, overrides: { x: { description: 'new' } } }], DEFAULT_AGGREGATION, []),
    merge([base], { ...DEFAULT_AGGREGATION, prefixFormat: 'x' }, []),
    merge([base], DEFAULT_AGGREGATION, [{ tools: ['*'], groups: ['g'] }]),
  ]
  assert.equal(new Set(variants.map(({ version }) => version)).size, variants.length)
})
