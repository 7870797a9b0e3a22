import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Access, Rule } from '../policy.ts'
import { memberOf } from '../sample.ts'
import { mark } from './hash.ts'
import { DEFAULT_AGGREGATION, merge, type Aggregation, type Member } from './merge.ts'
import { unite } from './unite.ts'
import { SECTIONS, type Section } from './server.ts'

type Part = Parameters<typeof unite>[0][number]

const open: Access = { issuers: undefined, scopes: [] }
const staff: Access = { issuers: ['https://idp'], scopes: ['staff'] }

function part(
  key: string,
  access: Access,
  members: readonly Member[],
  aggregation: Partial<Aggregation> = {},
  rules: readonly Rule[] = [],
): Part {
  return { key, access, catalog: merge(members, { ...DEFAULT_AGGREGATION, ...aggregation }, rules) }
}

const names = (parts: readonly Part[], section: Section = 'tools') =>
  unite(parts).entries[section].map((entry) => `${entry.exposed} = ${entry.server} ${entry.original}`)

const a = (more?: Partial<Member>) => memberOf('ns/a', { tools: ['get', 'put'], resources: ['file:///x'] }, more)
const b = (more?: Partial<Member>) => memberOf('ns/b', { tools: ['get'], resources: ['file:///x'] }, more)

test('everything is named by its server, however its endpoints name it', () => {
  const parts = [
    part('ns/bare', open, [a()], { prefixFormat: '' }),
    part('ns/odd', open, [b()], { prefixFormat: 'my {workload}: ' }),
  ]
  assert.deepEqual(names(parts), ['a_get = ns/a get', 'a_put = ns/a put', 'b_get = ns/b get'])
})

test('what several endpoints expose alike appears once, with one grant for each', () => {
  const rule: Rule = { tools: ['put'], groups: ['writers'] }
  const parts = [part('ns/one', open, [a()], {}, [rule]), part('ns/two', staff, [a({ filter: ['put'] }), b()])]
  const catalog = unite(parts)
  assert.deepEqual(names(parts), ['a_get = ns/a get', 'a_put = ns/a put', 'b_get = ns/b get'])
  const grants = (name: string) =>
    catalog.find('tools', name)?.grants.map(({ via, access, rules }) => [via, access, rules])
  assert.deepEqual(grants('a_get'), [['ns/one', open, []]])
  assert.deepEqual(grants('a_put'), [
    ['ns/one', open, [rule]],
    ['ns/two', staff, []],
  ])
  assert.deepEqual(grants('b_get'), [['ns/two', staff, []]])
})

test('servers of one name in two namespaces are told apart by their marks', () => {
  const parts = [
    part('x/all', open, [memberOf('x/s', { tools: ['get'] })]),
    part('y/all', open, [memberOf('y/s', { tools: ['get', 'own'] })]),
  ]
  assert.deepEqual(names(parts), [
    ...[`s_get_${mark('x/s get')} = x/s get`, `s_get_${mark('y/s get')} = y/s get`].sort(),
    's_own = y/s own',
  ])
})

test('what one endpoint overrides, callers of another see as it is', () => {
  const overrides = { get: { name: 'fetch', description: 'for us' } }
  const parts = [part('ns/one', open, [a({ overrides })]), part('ns/two', staff, [a()])]
  const catalog = unite(parts)
  assert.deepEqual(names(parts), ['a_fetch = ns/a get', 'a_get = ns/a get', 'a_put = ns/a put'])
  assert.deepEqual(
    ['a_fetch', 'a_get'].map((name) => catalog.find('tools', name)?.grants.map(({ via }) => via)),
    [['ns/one'], ['ns/two']],
  )
})

test('resources of several servers are mapped where they collide, whatever their endpoints did', () => {
  const parts = [part('ns/one', open, [a(), b()]), part('ns/two', open, [a()])]
  assert.deepEqual(names(parts, 'resources'), ['file://ns.a!/x = ns/a file:///x', 'file://ns.b!/x = ns/b file:///x'])
  assert.deepEqual(names(parts.slice(1), 'resources'), ['file:///x = ns/a file:///x'])
  assert.deepEqual([...(unite(parts.slice(1)).renamed('ns/a') ?? [])], [])
})

test('names do not depend on the order of the endpoints', () => {
  const word = fc.constantFrom('a', 'b', 'a_b', 'x y')
  const member = fc
    .tuple(fc.constantFrom('m/a', 'n/a', 'n/b', 'n/a_a'), fc.uniqueArray(word), fc.option(word, { nil: undefined }))
    .map(([server, tools, name]) =>
      memberOf(
        server,
        { tools, prompts: tools, resources: tools },
        name === undefined ? {} : { overrides: { a: { name } } },
      ),
    )
  const members = fc.uniqueArray(member, { maxLength: 3, selector: ({ server }) => server })
  const how = fc.constantFrom<Partial<Aggregation>>(
    {},
    { prefixFormat: '' },
    { strategy: 'priority', priorityOrder: ['b'] },
  )
  const parts = fc
    .array(fc.tuple(members, how), { maxLength: 3 })
    .map((all) => all.map(([found, aggregation], index) => part(`e/${index}`, open, found, aggregation)))
  fc.assert(
    fc.property(parts, (all) => {
      const one = unite(all)
      for (const section of SECTIONS) {
        assert.deepEqual(names(all.toReversed(), section), names(all, section))
        const exposed = one.entries[section].map((entry) => entry.exposed as string)
        assert.equal(new Set(exposed).size, exposed.length)
        if (section === 'tools') for (const name of exposed) assert.match(name, /^[a-zA-Z0-9_-]{1,64}$/u)
      }
      const granted = all.flatMap(({ catalog }) => catalog.entries.tools).length
      const united = one.entries.tools.flatMap(({ grants }) => grants).length
      if (one.problems.length === 0) assert.equal(united, granted)
    }),
  )
})
