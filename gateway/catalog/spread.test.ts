import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { serverOf } from '../sample.ts'
import type { FleetMode } from './fleet.ts'
import type { Item, Section } from './server.ts'
import { arrange, markName, spread, type Place } from './spread.ts'

/** A tool as a server would send it. */
function tool(more: Record<string, unknown> = {}): Item {
  const text = JSON.stringify({ name: 'get', inputSchema: { type: 'object' }, ...more })
  const [item] = serverOf({ tools: [text] }).sections.tools
  assert.ok(item !== undefined)
  return item
}

const at = (cluster: string, since: number, item: Item = tool()) => ({ cluster, since, item })
const schema = (properties: Record<string, unknown>) => ({ inputSchema: { type: 'object', properties } })

/** The entries in few words: the marked name and the clusters behind it. */
function brief(mode: FleetMode, places: ReturnType<typeof at>[], section: Section = 'tools'): string[] {
  return arrange(mode, section, places).map(({ mark, places: those }) => {
    return `${markName('get', mark)}: ${those.map(({ cluster }) => cluster).join()}`
  })
}

const other = tool(schema({ q: { type: 'string' } }))

describe('which instances share an entry', () => {
  const cases: readonly [title: string, mode: FleetMode, places: ReturnType<typeof at>[], entries: string[]][] = [
    ['addressable: all whose tool is the same', 'addressable', [at('b', 1), at('a', 2)], ['get: a,b']],
    ['addressable: one alone', 'addressable', [at('a', 1)], ['get: a']],
    [
      'addressable: a tool that differs goes under its cluster’s name, and the oldest keeps the plain one',
      'addressable',
      [at('a', 2), at('b', 1, other), at('c', 3)],
      ['get: b', 'get_a: a', 'get_c: c'],
    ],
    ['interchangeable: all whose tool is the same', 'interchangeable', [at('b', 1), at('a', 2)], ['get: a,b']],
    [
      'interchangeable: a tool that differs is kept apart as well',
      'interchangeable',
      [at('a', 1), at('b', 2, other), at('c', 3)],
      ['get: a,c', 'get_b: b'],
    ],
    ['prefixed: each its own', 'prefixed', [at('b', 1), at('a', 2)], ['a_get: a', 'b_get: b']],
    ['prefixed: also one alone, so that nothing changes when another joins', 'prefixed', [at('a', 1)], ['a_get: a']],
  ]
  for (const [title, mode, places, entries] of cases) test(title, () => assert.deepEqual(brief(mode, places), entries))

  test('prompts and resources of an addressable fleet are one per cluster, those of an interchangeable one are one', () => {
    for (const section of ['prompts', 'resources', 'templates'] as const) {
      assert.deepEqual(brief('addressable', [at('a', 1), at('b', 2)], section), ['a_get: a', 'b_get: b'])
      assert.deepEqual(brief('addressable', [at('a', 1)], section), ['get: a'])
      assert.deepEqual(brief('interchangeable', [at('a', 1), at('b', 2)], section), ['get: a,b'])
    }
  })
})

describe('what callers notice of a tool', () => {
  const base = {
    title: 'Get',
    description: 'Gets.',
    inputSchema: {
      type: 'object',
      properties: { description: { type: 'string', description: 'x', default: { title: 1 } } },
      required: ['description'],
    },
    annotations: { title: 'Get', readOnlyHint: true },
    _meta: { build: 1, ui: { resourceUri: 'ui://x' } },
  }
  const input = (more: Record<string, unknown>) => ({ ...base, inputSchema: { ...base.inputSchema, ...more } })
  const property = (more: Record<string, unknown>) =>
    input({ properties: { description: { ...base.inputSchema.properties.description, ...more } } })
  const alike: readonly [title: string, tool: Record<string, unknown>][] = [
    ['its description', { ...base, description: 'Fetches.' }],
    ['its titles', { ...base, title: 'Fetch', annotations: { ...base.annotations, title: 'Fetch' } }],
    ['the wording of an argument', property({ description: 'y', title: 'Y', examples: ['z'] })],
    ['icons', { ...base, icons: [{ src: 'data:,' }] }],
    ['metadata of its build', { ...base, _meta: { ...base._meta, build: 2 } }],
    ['the order of members', Object.fromEntries(Object.entries(base).toReversed())],
  ]
  const apart: readonly [title: string, tool: Record<string, unknown>][] = [
    ['an argument named as a word is', input({ properties: {} })],
    ['a default', property({ default: { title: 2 } })],
    ['a type', property({ type: 'number' })],
    ['what is required', input({ required: [] })],
    ['an output schema', { ...base, outputSchema: { type: 'object' } }],
    ['a hint', { ...base, annotations: { ...base.annotations, readOnlyHint: false } }],
    ['how it runs', { ...base, execution: { taskSupport: 'required' } }],
    ['the resource that shows its result', { ...base, _meta: { ui: { resourceUri: 'ui://y' } } }],
    ['a member of an extension', { ...base, vendor: 1 }],
  ]
  const entries = (one: Record<string, unknown>) =>
    brief('addressable', [at('a', 1, tool(base)), at('b', 2, tool(one))])
  for (const [title, one] of alike) test(`not ${title}`, () => assert.deepEqual(entries(one), ['get: a,b']))
  for (const [title, one] of apart) test(title, () => assert.deepEqual(entries(one), ['get: a', 'get_b: b']))

  test('a schema that says something twice is like no other, not even like itself', () => {
    const twice = '{"name":"get","inputSchema":{"type":"object","properties":{"a":{},"a":{}}}}'
    const [item] = serverOf({ tools: [twice] }).sections.tools
    assert.ok(item !== undefined)
    assert.deepEqual(brief('addressable', [at('a', 1, item), at('b', 2, item)]), ['get: a', 'get_b: b'])
  })
})

describe('what callers may do', () => {
  const placed = (item: Item, trusted: readonly boolean[]): Place[] =>
    trusted.map((one, index) => {
      const cluster = String.fromCodePoint(97 + index)
      return { ...at(cluster, index, item), server: `ns/s@${cluster}`, grants: [], trusted: one }
    })
  const reads = tool({ annotations: { readOnlyHint: true } })
  const repeats = tool({ annotations: { readOnlyHint: false, idempotentHint: true } })
  const cases: readonly [title: string, mode: FleetMode, item: Item, trusted: boolean[], spread: unknown[]][] = [
    ['a tool that reads, believed', 'addressable', reads, [true, true], ['cluster', true, true]],
    ['a tool that reads, not believed everywhere', 'addressable', reads, [true, false], ['cluster', false, false]],
    ['a tool that may be repeated', 'addressable', repeats, [true, true], ['cluster', false, true]],
    ['any other tool', 'addressable', tool(), [true, true], ['cluster', false, false]],
    ['a tool that is in one place by now', 'addressable', reads, [true], ['cluster', false, false]],
    ['an interchangeable one', 'interchangeable', reads, [true, true], [undefined, false, true]],
  ]
  for (const [title, mode, item, trusted, expected] of cases) {
    test(title, () => {
      const found = spread(mode, 'tools', placed(item, trusted), undefined)
      assert.deepEqual([found.argument, found.scatters, found.repeats], expected)
    })
  }

  test('an override of a hint counts, and only where the server is believed', () => {
    const hints = { readOnlyHint: true }
    assert.equal(spread('addressable', 'tools', placed(tool(), [true, true]), hints).scatters, true)
    assert.equal(spread('addressable', 'tools', placed(tool(), [false, false]), hints).scatters, false)
    assert.equal(spread('addressable', 'tools', placed(reads, [true, true]), { readOnlyHint: false }).scatters, false)
  })

  test('the argument has a name that no argument of the tool has', () => {
    const named = (...names: string[]) =>
      spread(
        'addressable',
        'tools',
        placed(tool(schema(Object.fromEntries(names.map((n) => [n, {}])))), [false, false]),
        undefined,
      ).argument
    assert.equal(named('q'), 'cluster')
    assert.equal(named('cluster'), 'waggle_cluster')
    assert.equal(named('cluster', 'waggle_cluster'), 'waggle_cluster_')
    assert.equal(named('constructor', '__proto__'), 'cluster')
  })
})

describe('always', () => {
  const items = [
    tool(),
    other,
    tool({ description: 'worded otherwise' }),
    tool({ annotations: { idempotentHint: true } }),
  ]
  const fleet = fc.uniqueArray(
    fc.record({
      cluster: fc.stringMatching(/^[a-c][a-c0-1-]{0,2}[a-c]$/u),
      since: fc.nat(3),
      item: fc.constantFrom(...items),
    }),
    { selector: ({ cluster }) => cluster, maxLength: 6 },
  )
  const mode = fc.constantFrom<FleetMode>('addressable', 'interchangeable', 'prefixed')
  const section = fc.constantFrom<Section>('tools', 'prompts', 'resources', 'templates')

  test('every instance is behind one entry, and no two entries have one name', () => {
    fc.assert(
      fc.property(mode, section, fleet, (how, what, places) => {
        const variants = arrange(how, what, places)
        const clusters = variants.flatMap((variant) => variant.places.map(({ cluster }) => cluster))
        assert.deepEqual(clusters.toSorted(), places.map(({ cluster }) => cluster).toSorted())
        const names = variants.map(({ mark }) => markName('get', mark))
        assert.equal(new Set(names).size, names.length)
      }),
    )
  })

  test('the order of the instances changes nothing', () => {
    fc.assert(
      fc.property(mode, section, fleet, (how, what, places) => {
        assert.deepEqual(arrange(how, what, places.toReversed()), arrange(how, what, places))
      }),
    )
  })

  test('who joins renames no tool of those that were there', () => {
    fc.assert(
      fc.property(mode, fleet, fc.constantFrom(...items), (how, places, item) => {
        const nameOf = (all: typeof places) =>
          new Map(
            arrange(how, 'tools', all).flatMap((variant) =>
              variant.places.map(({ cluster }) => [cluster, markName('get', variant.mark)]),
            ),
          )
        const before = nameOf(places)
        const after = nameOf([...places, at('joins', 9, item)])
        for (const [cluster, name] of before) assert.equal(after.get(cluster), name)
      }),
    )
  })
})
