import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker } from './backend/breaker.ts'
import { pulseOf } from './backend/pulse.ts'
import { rank, type Vitals } from './rank.ts'

const well: Vitals = { health: 'online', failing: false, latencyMs: 10 }
const ways = ['a', 'b', 'c', 'd'].map((server) => ({ server }))

function ranked(known: Readonly<Record<string, Partial<Vitals>>>, affinity?: string, random = () => 0): string {
  return rank(ways, ({ server }) => ({ ...well, ...known[server] }), affinity, random)
    .map(({ server }) => server)
    .join('')
}

test('those that seem well come first, those whose cluster is gone last', () => {
  assert.equal(ranked({ a: { health: 'offline' }, b: { failing: true, latencyMs: 1 } }), 'cdba')
  assert.equal(ranked({ a: { health: 'offline', latencyMs: 1 }, b: { latencyMs: 900 } }), 'cdba')
})

test('of those that seem well the fastest comes first; differences that mean nothing are left to chance', () => {
  assert.equal(ranked({ a: { latencyMs: 200 }, b: { latencyMs: 100 }, c: { latencyMs: 50 } }), 'dcba')
  const draws = [0.3, 0.2, 0.1, 0.4]
  assert.equal(
    ranked({ a: { latencyMs: 12 } }, undefined, () => draws.shift() ?? 0),
    'cbad',
  )
})

test('who has never answered is tried like the best', () => {
  assert.equal(
    ranked({ a: { latencyMs: 50 }, b: { latencyMs: 40 }, d: { latencyMs: undefined } }, undefined).at(-1),
    'a',
  )
  assert.equal(ranked({ a: {}, b: { latencyMs: 90 }, c: { latencyMs: 80 }, d: { latencyMs: undefined } }).at(0), 'a')
})

test('a session goes where it went before, whatever else changes, as long as that seems well', () => {
  fc.assert(
    fc.property(fc.string(), fc.double({ min: 0, max: 1 }), fc.nat(500), (session, chance, latencyMs) => {
      const before = ranked({}, session)
      assert.equal(
        ranked({ a: { latencyMs } }, session, () => chance),
        before,
      )
      const [first = ''] = before
      const moved = ranked({ [first]: { health: 'offline' } }, session)
      assert.equal(moved, before.slice(1) + first)
    }),
  )
  const homes = new Set(Array.from({ length: 100 }, (_, index) => ranked({}, `session ${index}`).charAt(0)))
  assert.equal(homes.size, 4)
})

test('every way is there once', () => {
  const vitals = fc.record({
    health: fc.constantFrom('online', 'offline'),
    failing: fc.boolean(),
    latencyMs: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: undefined }),
  })
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), vitals),
      fc.option(fc.string(), { nil: undefined }),
      (known, affinity) => {
        assert.equal(ranked(known, affinity).split('').toSorted().join(''), 'abcd')
      },
    ),
  )
})

test('a pulse follows the answers, and forgets failures and slowness after a while', () => {
  const breaker = new Breaker({ threshold: 1, openMs: 1 }, () => 0)
  const pulse = pulseOf(breaker)
  assert.equal(pulseOf(breaker), pulse)
  assert.equal(pulse.latencyMs(0), undefined)
  pulse.answered(100, 0)
  pulse.answered(200, 0)
  assert.equal(pulse.latencyMs(59_999), 120)
  assert.equal(pulse.latencyMs(60_000), undefined)
  pulse.failed(1000)
  assert.equal(pulse.failing(3999), true)
  assert.equal(pulse.failing(4000), false)
  pulse.failed(1000)
  pulse.answered(1, 1001)
  assert.equal(pulse.failing(1001), false)
})
