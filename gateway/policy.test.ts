import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { glob, judge, visible, type Grant, type Rule, type Verdict } from './policy.ts'
import { anonymous } from './principal.ts'
import { caller } from './sample.ts'

const grant = (rules: readonly Partial<Rule>[], access?: Grant['access']): Grant => ({
  access,
  rules: rules.map((rule) => ({ tools: ['*'], ...rule })),
})

/** The verdict without the grant that led to it. */
const kind = (verdict: Verdict) => (verdict.kind === 'step_up' ? verdict.scopes : verdict.kind)

describe('one grant', () => {
  const alice = caller(['read'], {
    groups: ['dev', 'ops'],
    claims: { team: 'blue', level: 7, admin: true, roles: ['a', 2], gone: null, nested: { a: 1 } },
  })
  const cases: readonly [title: string, rules: readonly Partial<Rule>[], verdict: string | readonly string[]][] = [
    ['no rule', [], 'allow'],
    ['a rule without conditions', [{}], 'allow'],
    ['one of the groups', [{ groups: ['none', 'ops'] }], 'allow'],
    ['none of the groups', [{ groups: ['none'] }], 'hidden'],
    ['an empty choice of groups', [{ groups: [] }], 'hidden'],
    ['a claim with one of the values', [{ claims: { team: ['red', 'blue'] } }], 'allow'],
    ['a claim with another value', [{ claims: { team: ['red'] } }], 'hidden'],
    ['a claim that is a number', [{ claims: { level: ['7'] } }], 'allow'],
    ['a claim that is a boolean', [{ claims: { admin: ['true'] } }], 'allow'],
    ['a claim that is a list', [{ claims: { roles: ['2'] } }], 'allow'],
    ['a claim that is a list without the value', [{ claims: { roles: ['b'] } }], 'hidden'],
    ['a claim that is absent', [{ claims: { absent: ['undefined', ''] } }], 'hidden'],
    ['a claim that JavaScript inherits', [{ claims: { constructor: [String(Object)] } }], 'hidden'],
    ['all claims', [{ claims: { team: ['blue'], level: ['7'] } }], 'allow'],
    ['one of two claims', [{ claims: { team: ['blue'], level: ['8'] } }], 'hidden'],
    ['all scopes', [{ scopes: ['read'] }], 'allow'],
    ['a missing scope', [{ scopes: ['write', 'read'] }], ['read', 'write']],
    [
      'a missing scope, though another rule asks for less',
      [{ scopes: ['read'] }, { scopes: ['write'] }],
      ['read', 'write'],
    ],
    ['a missing scope and a missing group', [{ scopes: ['write'] }, { groups: ['none'] }], 'hidden'],
    ['an empty list of scopes', [{ scopes: [] }], 'allow'],
  ]
  for (const [title, rules, verdict] of cases) {
    test(`${title}: ${String(verdict)}`, () => assert.deepEqual(kind(judge(alice, [grant(rules)])), verdict))
  }
})

describe('placements', () => {
  const at = (here: boolean, policy = 'p'): Rule['place'] & object => ({ policy, here })
  const alice = caller(['read'], { groups: ['dev'] })
  const cases: readonly [title: string, rules: readonly Partial<Rule>[], verdict: string | readonly string[]][] = [
    ['one that is about this place', [{ place: at(true) }], 'allow'],
    ['one that is about another place', [{ place: at(false) }], 'hidden'],
    ['one about this place for others', [{ place: at(true), groups: ['ops'] }], 'hidden'],
    [
      'one that holds of two',
      [
        { place: at(true), groups: ['ops'] },
        { place: at(true), groups: ['dev'] },
      ],
      'allow',
    ],
    [
      'one that holds elsewhere beside one for others',
      [{ place: at(false) }, { place: at(true), groups: ['ops'] }],
      'hidden',
    ],
    ['those of two policies, both of which hold', [{ place: at(true) }, { place: at(true, 'q') }], 'allow'],
    [
      'those of two policies, one of which is about elsewhere',
      [{ place: at(true) }, { place: at(false, 'q') }],
      'hidden',
    ],
    ['one that holds beside a rule that does not', [{ place: at(true) }, { groups: ['ops'] }], 'hidden'],
    ['one that holds and lacks a scope', [{ place: at(true), scopes: ['write'] }], ['write']],
    [
      'two that hold, of which one lacks nothing',
      [
        { place: at(true), scopes: ['write'] },
        { place: at(true), scopes: ['read'] },
      ],
      'allow',
    ],
    ['one elsewhere that asks for a scope', [{ place: at(false), scopes: ['write'] }, { place: at(true) }], 'allow'],
    [
      'one that holds beside a rule that lacks a scope',
      [{ place: at(true), scopes: ['read'] }, { scopes: ['write'] }],
      ['read', 'write'],
    ],
  ]
  for (const [title, rules, verdict] of cases) {
    test(`${title}: ${String(verdict)}`, () => assert.deepEqual(kind(judge(alice, [grant(rules)])), verdict))
  }

  test('one alone means what the same rule means, there or nowhere', () => {
    const rule = fc.record({
      groups: fc.constantFrom(undefined, ['dev'], ['ops']),
      scopes: fc.constantFrom(undefined, ['read'], ['write']),
    })
    fc.assert(
      fc.property(rule, fc.boolean(), ({ groups, scopes }, here) => {
        const plain = { ...(groups !== undefined && { groups }), ...(scopes !== undefined && { scopes }) }
        const expected = here ? kind(judge(alice, [grant([plain])])) : 'hidden'
        assert.deepEqual(kind(judge(alice, [grant([{ ...plain, place: at(here) }])])), expected)
      }),
    )
  })
})

describe('several grants', () => {
  const open = grant([])
  const scoped = (scope: string) => grant([{ scopes: [scope] }])
  const hidden = grant([{ groups: ['none'] }])
  test('none hides', () => assert.equal(judge(caller(), []).kind, 'hidden'))
  test('the first that allows is the one that is used', () => {
    const verdict = judge(caller(), [hidden, scoped('a'), open, grant([])])
    assert.ok(verdict.kind === 'allow')
    assert.equal(verdict.grant, open)
  })
  test('the first that only lacks scopes is the one to step up to', () => {
    assert.deepEqual(kind(judge(caller(['a']), [hidden, scoped('b'), scoped('c')])), ['b'])
  })
  test('an endpoint that does not admit the caller is no way', () => {
    const staff = { issuers: ['https://idp'], scopes: ['mcp'] }
    assert.equal(judge(caller(['mcp']), [grant([], staff)]).kind, 'allow')
    assert.equal(judge(caller([]), [grant([], staff)]).kind, 'hidden')
    assert.equal(judge(caller(['mcp'], { issuer: 'https://other' }), [grant([], staff)]).kind, 'hidden')
    assert.equal(judge(anonymous, [grant([], staff)]).kind, 'hidden')
    assert.equal(judge(anonymous, [grant([], { issuers: undefined, scopes: [] })]).kind, 'allow')
  })
})

test('whoever may see an item may call it or step up to it, and nobody else', () => {
  const some = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined })
  const names = fc.subarray(['a', 'b', 'c'])
  const rule = fc
    .record({ groups: some(names), claims: some(fc.dictionary(fc.constantFrom('x', 'y'), names)), scopes: some(names) })
    .map((found) => JSON.parse(JSON.stringify({ tools: ['*'], ...found })) as Rule)
  const access = some(fc.record({ issuers: some(fc.subarray(['https://idp', 'https://b'])), scopes: names }))
  const grants = fc.array(
    fc.tuple(access, fc.array(rule, { maxLength: 3 })).map(([from, rules]) => ({ access: from, rules })),
    { maxLength: 3 },
  )
  const principal = fc
    .tuple(names, names, fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom<unknown>('a', ['b', 'c'], 1)))
    .map(([scopes, groups, claims]) => caller(scopes, { groups, claims }))
  fc.assert(
    fc.property(principal, grants, (one, all) => {
      const verdict = judge(one, all)
      assert.equal(
        verdict.kind !== 'hidden',
        all.some((each) => visible(one, each)),
      )
      if (verdict.kind !== 'step_up') return
      assert.ok(verdict.scopes.some((scope) => !one.scopes.has(scope)))
      const after = { ...one, scopes: new Set([...one.scopes, ...verdict.scopes]) }
      assert.equal(judge(after, all).kind, 'allow')
    }),
  )
})

describe('globs', () => {
  const cases: readonly [pattern: string, name: string, matches: boolean][] = [
    ['get', 'get', true],
    ['get', 'get_issue', false],
    ['*', '', true],
    ['get_*', 'get_', true],
    ['*_issue', 'get_issue', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['ab*bc', 'abc', false],
    ['*a*b*', 'ba', false],
    ['*ab*b', 'ab', false],
    ['*ab*b', 'abb', true],
    ['**', 'x', true],
    ['a.c', 'abc', false],
    ['a?c', 'abc', false],
    ['[ab]', 'a', false],
    ['GET', 'get', false],
    ['', '', true],
    ['', 'x', false],
  ]
  for (const [pattern, name, matches] of cases) {
    test(`"${pattern}" ${matches ? 'matches' : 'does not match'} "${name}"`, () =>
      assert.equal(glob(pattern)(name), matches))
  }

  test('mean what the same regular expression means', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '*', '*', '.', '\n')
    const text = (max: number) => fc.array(part, { maxLength: max }).map((parts) => parts.join(''))
    const escape = (literal: string) => literal.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&')
    fc.assert(
      fc.property(text(7), text(10), (pattern, name) => {
        const reference = new RegExp(`^${pattern.split('*').map(escape).join('.*')}$`, 'su')
        assert.equal(glob(pattern)(name), reference.test(name), JSON.stringify([pattern, name]))
      }),
      { numRuns: 2000 },
    )
  })

  test('take linear time on hostile patterns and names', () => {
    const long = 'a'.repeat(1_000_000)
    const patterns = ['*a'.repeat(1000), `${'*a'.repeat(1000)}b`, `*${'a'.repeat(1000)}b*`, `*b${'a'.repeat(1000)}*`]
    const started = performance.now()
    for (const pattern of patterns) glob(pattern)(long)
    assert.ok(performance.now() - started < 1000)
  })
})
