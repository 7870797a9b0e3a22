// Both ends of the link as machines against each other, and against peers that do not keep to the protocol.

import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Network, type Order } from './network.ts'

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 2_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 200_000, max: 600_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 600_000, max: 1_500_000 }) },
)
const orders: fc.Arbitrary<Order> = fc
  .record({
    request: sizes,
    answer: sizes,
    piece: fc.constantFrom(1_000_000, 300_000, 70_000, 16_384),
    delay: fc.constantFrom(0, 0, 0, 100, 900, 15_000),
    breaks: fc.option(fc.nat(1_200_000), { freq: 8 }),
  })
  .map(({ breaks, ...order }) => (breaks === null ? order : { ...order, breaksAt: breaks }))

type Step =
  | { readonly do: 'call'; readonly order: Order }
  | { readonly do: 'deliver'; readonly link: number; readonly isDown: boolean; readonly frames: number }
  | { readonly do: 'read'; readonly caller: number; readonly bytes: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'cancel'; readonly caller: number }
  | { readonly do: 'cut'; readonly link: number; readonly atHub: boolean; readonly atUplink: boolean }
  | { readonly do: 'silence' | 'goaway'; readonly link: number }
  | { readonly do: 'wake' | 'connect' }

const link = fc.nat(20)
const caller = fc.nat(60)
const is = <T extends Step['do']>(name: T) => fc.constant(name)
/** What happens while all is well, and what does not go well. */
const usual: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: is('call'), order: orders }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: is('deliver'), link, isDown: fc.boolean(), frames: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: is('read'), caller, bytes: fc.constantFrom(1, 1_000, 300_000, 2_000_000) }) },
  { weight: 4, arbitrary: fc.record({ do: is('pass'), ms: fc.constantFrom(1, 50, 249, 251, 1_999) }) },
  { weight: 1, arbitrary: fc.record({ do: is('cancel'), caller }) },
)
const trouble: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: is('cut'), link, atHub: fc.boolean(), atUplink: fc.boolean() }),
  fc.record({ do: fc.constantFrom('silence', 'goaway'), link }),
  fc.record({ do: fc.constantFrom('wake', 'connect', 'connect') }),
)

function play(links: number, steps: readonly Step[]): Network {
  const network = new Network()
  for (let left = links; left > 0; left -= 1) network.connect()
  for (const step of steps) take(network, step)
  network.settle()
  return network
}

function take(network: Network, step: Step): void {
  const link = 'link' in step ? pick(network.links, step.link) : undefined
  const caller = 'caller' in step ? pick(network.callers, step.caller) : undefined
  switch (step.do) {
    case 'call':
      return network.call(step.order)
    case 'pass':
      return network.pass(step.ms)
    case 'wake':
      return network.wake()
    case 'connect':
      return network.connect()
    case 'read':
      return caller && network.read(caller, step.bytes)
    case 'cancel':
      return caller && network.cancel(caller)
    case 'cut':
      return link && network.cut(link, step.atHub, step.atUplink)
    case 'silence':
      return link && network.silence(link)
    case 'goaway':
      return link && network.goaway(link)
    case 'deliver':
      for (let left = step.frames; left > 0; left -= 1) if (link !== undefined) network.deliver(link, step.isDown)
  }
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % Math.max(1, list.length)]
}

test('whatever breaks, every call ends once, with every byte in its place or a fault, and slow readers pile nothing up', () => {
  const steps = fc.oneof({ weight: 10, arbitrary: usual }, { weight: 1, arbitrary: trouble })
  const scripts = fc.array(steps, { minLength: 10, maxLength: 120, size: 'max' })
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3 }), scripts, (links, steps) => {
      for (const { outcome } of play(links, steps).callers) seen.set(outcome ?? '', (seen.get(outcome ?? '') ?? 0) + 1)
    }),
    { numRuns: 300 },
  )
  // Scripts that never get anywhere would prove nothing.
  for (const outcome of ['last', 'lost', 'unreachable', 'timeout', 'refused', 'cancelled', 'forgotten']) {
    assert.ok((seen.get(outcome) ?? 0) > 0, `no call ended as ${outcome}: ${JSON.stringify([...seen])}`)
  }
})

test('without trouble every call gets its whole answer, however slowly it is delivered and read', () => {
  const patient = orders.map(({ request, answer, piece }) => ({ request, answer, piece, delay: 0 }))
  const calls = fc.array(
    patient.map((order): Step => ({ do: 'call', order })),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 3 }), (steps, links) => {
      const outcomes = play(links, steps).callers.map((caller) => caller.outcome)
      assert.deepEqual(new Set(outcomes), new Set(['last']))
    }),
    { numRuns: 60 },
  )
})
