import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import type { FleetMode, Instance } from './catalog/fleet.ts'
import { decide, decideSubscription, type Decision, type Route, type Situation } from './decide.ts'
import type { Rule } from './policy.ts'
import { caller, fleetMember, request, type Lists } from './sample.ts'

const lists: Lists = {
  tools: ['{"name":"get","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}'],
  prompts: ['ask'],
  resources: ['file:///x'],
  templates: ['urn:{n}'],
}
/** `dev` may use a, `ops` all; c asks `ops` for a scope. */
const rulesOf = (cluster: string): Rule[] => [
  { tools: ['*'], groups: ['dev'], place: { policy: 'p', here: cluster === 'a' } },
  {
    tools: ['*'],
    groups: ['ops'],
    place: { policy: 'p', here: true },
    ...(cluster === 'c' && { scopes: ['run'] }),
  },
]
const catalogOf = (mode: FleetMode, clusters: string, more: Partial<Instance> = {}) =>
  merge(
    [
      fleetMember('ns/s', mode, Object.fromEntries(clusters.split('').map((one) => [one, lists])), (cluster) => ({
        rules: rulesOf(cluster),
        ...more,
      })),
    ],
    DEFAULT_AGGREGATION,
    [],
  )

const ops = caller([], { groups: ['ops'] })
const dev = caller([], { groups: ['dev'] })
const addressable = catalogOf('addressable', 'ab')

function decided(method: string, params: unknown, more: Partial<Situation> = {}): Decision {
  const situation = {
    catalog: addressable,
    principal: ops,
    era: 'modern',
    sole: undefined,
    task: undefined,
    ...more,
  } as const
  return decide(request(method, params), situation)
}

const where = ({ server, cut, others = [] }: Route): string =>
  [server, ...others.map((one) => `or ${one.server}`), ...(cut === undefined ? [] : [`without ${cut}`])].join(' ')

/** In few words: the instances, or what the caller is told. */
function brief(decision: Decision): string {
  if (decision.kind === 'refuse') return `${decision.denied === true ? 'denied: ' : ''}${decision.fault.message}`
  if (decision.kind === 'scatter') return decision.routes.map(where).join(' and ')
  if (decision.kind === 'step_up') return `step up to ${decision.scopes.join()}`
  return decision.kind === 'forward' ? where(decision.route) : decision.kind
}

const call = (args: unknown, more: Partial<Situation> = {}) =>
  brief(decided('tools/call', { name: 's_get', arguments: args }, more))

describe('an addressable tool', () => {
  test('goes where the argument says, without it', () => {
    assert.equal(call({ cluster: 'b', q: 1 }), 'ns/s@b without cluster')
    assert.equal(call({ cluster: 'a' }, { principal: dev }), 'ns/s@a without cluster')
  })

  test('goes nowhere when it names a cluster that has gone, also when only one is left', () => {
    const left = { catalog: catalogOf('addressable', 'a') }
    assert.equal(call({ cluster: 'b' }, left), '"arguments.cluster" must be one of a.')
    assert.equal(call({ cluster: 'a' }, left), 'ns/s@a without cluster')
    assert.equal(call({}, left), 'ns/s@a')
  })

  test('goes to the only instance that its caller may use', () => {
    assert.equal(call({}, { principal: dev }), 'ns/s@a')
    assert.equal(call(undefined, { principal: dev }), 'ns/s@a')
  })

  test('wants to know where, of those who have a choice', () => {
    const text = '"arguments.cluster" must be one of a, b.'
    for (const args of [
      {},
      undefined,
      [],
      { cluster: 'x' },
      { cluster: 'A' },
      { cluster: 1 },
      { cluster: null },
      { cluster: '*' },
    ])
      assert.equal(call(args), text)
    const decision = decided('tools/call', { name: 's_get' })
    assert.ok(decision.kind === 'refuse')
    assert.deepEqual(
      [decision.fault.reason, decision.fault.data],
      ['invalid_params', { argument: 'cluster', values: ['a', 'b'] }],
    )
  })

  test('a cluster that is hidden is answered like one that does not exist, and known to the audit trail', () => {
    assert.equal(call({ cluster: 'x' }, { principal: dev }), '"arguments.cluster" must be one of a.')
    assert.equal(call({ cluster: 'b' }, { principal: dev }), 'denied: "arguments.cluster" must be one of a.')
    assert.equal(call({ cluster: 'a' }, { principal: caller() }), 'denied: Unknown tool: s_get')
  })

  test('asks for the scopes of the instance that is meant', () => {
    const catalog = catalogOf('addressable', 'abc', { trustHints: true })
    assert.equal(call({ cluster: 'b' }, { catalog }), 'ns/s@b without cluster')
    assert.equal(call({ cluster: 'c' }, { catalog }), 'step up to run')
    assert.equal(call({ cluster: '*' }, { catalog }), 'step up to run')
    const principal = caller(['run'], { groups: ['ops'] })
    assert.equal(call({ cluster: 'c' }, { catalog, principal }), 'ns/s@c without cluster')
  })

  test('goes to all where that is offered, and only to those that the caller may use', () => {
    const catalog = catalogOf('addressable', 'ab', { trustHints: true })
    assert.equal(call({ cluster: '*' }, { catalog }), 'ns/s@a without cluster and ns/s@b without cluster')
    assert.equal(call({}, { catalog }), '"arguments.cluster" must be one of a, b, *.')
    assert.equal(call({ cluster: '*' }, { catalog, principal: dev }), '"arguments.cluster" must be one of a.')
    const task = decided('tools/call', { name: 's_get', arguments: { cluster: '*' }, task: {} }, { catalog })
    assert.equal(brief(task), 'A task runs in one cluster: name it.')
  })

  test('names at most 32 clusters in its text, and all in its data', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`c${index + 10}`, lists]))
    const catalog = merge([fleetMember('ns/s', 'addressable', many)], DEFAULT_AGGREGATION, [])
    const decision = decided('tools/call', { name: 's_get' }, { catalog })
    assert.ok(decision.kind === 'refuse')
    assert.match(decision.fault.message, /^"arguments.cluster" must be one of c10, .*c41, and others\.$/u)
    const values = decision.fault.data?.['values']
    assert.equal(Array.isArray(values) && values.length, 40)
  })
})

describe('an interchangeable tool', () => {
  const catalog = catalogOf('interchangeable', 'abc')
  test('goes to any instance that its caller may use at once', () => {
    assert.equal(call({ cluster: 'b' }, { catalog }), 'ns/s@a or ns/s@b')
    assert.equal(call({}, { catalog, principal: dev }), 'ns/s@a')
    assert.equal(call({}, { catalog: catalogOf('interchangeable', 'c') }), 'step up to run')
  })

  test('stays where what the call is about began, or is nowhere', () => {
    assert.equal(call({}, { catalog, at: 'ns/s@b' }), 'ns/s@b')
    assert.equal(call({}, { catalog, principal: dev, at: 'ns/s@b' }), 'denied: Unknown tool: s_get')
    assert.equal(call({}, { catalog, at: 'ns/gone@b' }), 'denied: Unknown tool: s_get')
  })
})

test('what began at an instance stays there also where callers choose', () => {
  assert.equal(call(undefined, { at: 'ns/s@b' }), 'ns/s@b')
  assert.equal(call({ cluster: 'a' }, { at: 'ns/s@b' }), 'ns/s@a without cluster')
})

test('prompts, resources and completions of an interchangeable server are read wherever the caller may', () => {
  const catalog = catalogOf('interchangeable', 'ab')
  const cases: readonly [method: string, params: unknown][] = [
    ['prompts/get', { name: 's_ask' }],
    ['resources/read', { uri: 'file:///x' }],
    ['resources/read', { uri: 'urn:1' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 's_ask' } }],
  ]
  for (const [method, params] of cases) {
    assert.equal(brief(decided(method, params, { catalog })), 'ns/s@a or ns/s@b')
    assert.equal(brief(decided(method, params, { catalog, principal: dev })), 'ns/s@a')
  }
})

test('a mapped URI leads to its cluster, in the server’s own words', () => {
  const read = (uri: string) => decided('resources/read', { uri })
  const expanded = read('urn:ns.s~b!7')
  assert.ok(expanded.kind === 'forward')
  assert.deepEqual([expanded.route.server, expanded.route.rename?.value], ['ns/s@b', 'urn:7'])
  const exact = read('file://ns.s~a!/x')
  assert.ok(exact.kind === 'forward')
  assert.deepEqual([exact.route.server, exact.route.rename?.value], ['ns/s@a', 'file:///x'])
})

test('a subscription is always at the same instance, wherever it is asked for', () => {
  const catalog = catalogOf('interchangeable', 'ab')
  const situation = { catalog, era: 'legacy' } as const
  const asked = decided('resources/subscribe', { uri: 'file:///x' }, situation)
  assert.ok(asked.kind === 'subscribe')
  assert.equal(where(asked.route), 'ns/s@a')
  assert.equal(decideSubscription('file:///x', { catalog, principal: ops, sole: undefined })?.server, 'ns/s@a')
})
