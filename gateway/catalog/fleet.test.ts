import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Principal } from '../principal.ts'
import { caller, fleetMember, memberOf, type Lists } from '../sample.ts'
import { Sealer } from '../seal.ts'
import type { Access, Rule } from '../policy.ts'
import type { Catalog } from './catalog.ts'
import type { FleetMode, Instance } from './fleet.ts'
import { DEFAULT_AGGREGATION, merge, type Aggregation } from './merge.ts'
import { Projection } from './project.ts'
import { SECTIONS, type Section } from './server.ts'
import { unite } from './unite.ts'

type Clusters = Readonly<Record<string, Lists>>

function merged(
  mode: FleetMode,
  clusters: Clusters,
  more?: (cluster: string) => Partial<Instance>,
  aggregation: Partial<Aggregation> = {},
): Catalog {
  return merge([fleetMember('ns/s', mode, clusters, more)], { ...DEFAULT_AGGREGATION, ...aggregation }, [])
}

/** `exposed: clusters` of every entry of a section. */
function names(catalog: Catalog, section: Section = 'tools'): string[] {
  return catalog.entries[section].map(
    ({ exposed, fleet }) => `${exposed}: ${(fleet?.places ?? []).map(({ cluster }) => cluster).join()}`,
  )
}

const wide = '{"name":"get","inputSchema":{"type":"object","properties":{"q":{}}}}'
const lists: Lists = { tools: ['get'], prompts: ['ask'], resources: ['ui://app'], templates: ['file:///{p}'] }

describe('names', () => {
  test('have the server before them as any other server’s, whatever says the cluster', () => {
    assert.deepEqual(names(merged('addressable', { a: lists, b: lists })), ['s_get: a,b'])
    assert.deepEqual(names(merged('addressable', { a: lists, b: { tools: [wide] } })), ['s_get: a', 's_get_b: b'])
    assert.deepEqual(names(merged('prefixed', { a: lists, b: lists })), ['a_s_get: a', 'b_s_get: b'])
    assert.deepEqual(names(merged('interchangeable', { a: lists, b: lists })), ['s_get: a,b'])
  })

  test('follow the conflict strategy with their cluster', () => {
    const members = [
      fleetMember('ns/s', 'prefixed', { a: { tools: ['get'] }, b: { tools: ['get'] } }),
      memberOf('ns/t', { tools: ['get', 'a_get'] }),
    ]
    const by = (aggregation: Partial<Aggregation>) =>
      merge(members, { ...DEFAULT_AGGREGATION, ...aggregation }, []).entries.tools.map(
        ({ exposed, server }) => `${exposed} ${server}`,
      )
    assert.deepEqual(by({ strategy: 'priority', priorityOrder: ['s', 't'] }), [
      'a_get ns/s@a',
      'b_get ns/s@b',
      'get ns/t',
    ])
    assert.deepEqual(by({ strategy: 'manual' }), ['b_get ns/s@b', 'get ns/t'])
  })

  test('give way to a tool that was named so before its cluster’s tool was', () => {
    const clusters = { a: { tools: ['get', 'get_b'] }, b: { tools: [wide] } }
    const [plain, taken, marked] = names(merged('addressable', clusters))
    assert.deepEqual([plain, taken], ['s_get: a', 's_get_b: a'])
    assert.match(marked ?? '', /^s_get_b_[0-9a-f]{6}: b$/u)
  })

  test('a tool that differs is reported where it differs', () => {
    const { problems } = merged('interchangeable', { a: lists, b: { tools: [wide] } })
    assert.deepEqual(
      problems.map(({ server, section, item }) => [server, section, item]),
      [['ns/s@b', 'tools', 'get']],
    )
  })

  test('URIs of several clusters are mapped like those of several servers, and lead back', () => {
    const catalog = merged('addressable', { a: lists, b: lists })
    assert.deepEqual(names(catalog, 'resources'), ['ui://ns.s~a!app: a', 'ui://ns.s~b!app: b'])
    assert.deepEqual(names(catalog, 'templates'), ['file://ns.s~a!/{p}: a', 'file://ns.s~b!/{p}: b'])
    assert.deepEqual(names(catalog, 'prompts'), ['a_s_ask: a', 'b_s_ask: b'])
    assert.equal(catalog.renamed('ns/s@b')?.get('ui://app'), 'ui://ns.s~b!app')
    assert.deepEqual(names(merged('interchangeable', { a: lists, b: lists }), 'resources'), ['ui://app: a,b'])
    assert.deepEqual(names(merged('addressable', { a: lists }), 'resources'), ['ui://app: a'])
  })

  test('overrides, filters and rules go by the name without a cluster', () => {
    const rule: Rule = { tools: ['fetch'], groups: ['x'] }
    const member = fleetMember('ns/s', 'prefixed', { a: { tools: ['get', 'put'] } }, () => ({ rules: [rule] }))
    const own = { ...member, overrides: { get: { name: 'fetch' } }, filter: ['fetch'] }
    const catalog = merge([own], DEFAULT_AGGREGATION, [])
    assert.deepEqual(names(catalog), ['a_s_fetch: a'])
    assert.deepEqual(catalog.entries.tools[0]?.grants, [{ access: undefined, rules: [rule] }])
  })

  test('the order of the instances changes neither a name nor the version', () => {
    const member = fleetMember('ns/s', 'addressable', { a: lists, b: { tools: [wide, 'x'] }, c: lists })
    const { fleet } = member
    assert.ok(fleet !== undefined)
    const turned = { ...member, fleet: { ...fleet, instances: fleet.instances.toReversed() } }
    const one = merge([member], DEFAULT_AGGREGATION, [])
    const other = merge([turned], DEFAULT_AGGREGATION, [])
    for (const section of SECTIONS) assert.deepEqual(names(other, section), names(one, section))
  })

  test('instances that have not been seen yet stand in nobody’s way', () => {
    const catalog = merged('addressable', { a: lists, b: lists }, (cluster) =>
      cluster === 'a' ? { catalog: undefined } : {},
    )
    assert.deepEqual(names(catalog), ['s_get: b'])
    assert.deepEqual([...catalog.servers.keys()], ['ns/s@b'])
  })
})

describe('at the endpoint of everything', () => {
  const open: Access = { issuers: undefined, scopes: [] }
  const part = (key: string, mode: FleetMode, clusters: Clusters) => ({
    key,
    access: open,
    catalog: merged(mode, clusters),
  })

  test('instances of several endpoints are one fleet, told apart anew', () => {
    const all = unite([part('ns/x', 'addressable', { a: lists }), part('ns/y', 'addressable', { b: lists, a: lists })])
    assert.deepEqual(names(all), ['s_get: a,b'])
    const places = all.entries.tools[0]?.fleet?.places ?? []
    assert.deepEqual(
      places.map(({ grants }) => grants.map(({ via }) => via)),
      [['ns/x', 'ns/y'], ['ns/y']],
    )
    const apart = unite([
      part('ns/x', 'addressable', { a: lists }),
      part('ns/y', 'addressable', { b: { tools: [wide] } }),
    ])
    assert.deepEqual(names(apart).length, 2)
    const prefixed = unite([part('ns/x', 'prefixed', { a: lists, b: lists })])
    assert.deepEqual(names(prefixed), ['a_s_get: a', 'b_s_get: b'])
    assert.deepEqual(names(prefixed, 'resources'), ['ui://ns.s~a!app: a', 'ui://ns.s~b!app: b'])
  })

  const both = { a: lists, b: lists }

  test('a server’s own endpoint says how its fleet is called, whatever the endpoints before it say', () => {
    const all = unite([
      part('ns/a-virtual', 'interchangeable', both),
      part('ns/s', 'addressable', both),
      part('ns/z-virtual', 'interchangeable', both),
    ])
    assert.deepEqual(
      all.entries.tools.map(({ fleet }) => [fleet?.mode, fleet?.argument]),
      [['addressable', 'cluster']],
    )
  })

  test('no cluster renames a tool of the edge', () => {
    const mine = merge([memberOf('own/s', { tools: ['get'] })], DEFAULT_AGGREGATION, [])
    const edges = { key: 'own/s', access: open, catalog: mine }
    const [theirs, own] = unite([edges, part('ns/s', 'addressable', both)])
      .entries.tools.filter(({ original }) => (original as string) === 'get')
      .toSorted((a, b) => b.exposed.length - a.exposed.length)
    assert.deepEqual([own?.exposed, own?.server], ['s_get', 'own/s'])
    assert.match(theirs?.exposed ?? '', /^s_get_[0-9a-f]{6}$/u)
  })

  test('no cluster takes a tool of the edge away by having its name', () => {
    const odd = merge([memberOf('own/s', { tools: ['get it'] })], DEFAULT_AGGREGATION, [])
    const edges = { key: 'own/s', access: open, catalog: odd }
    const [marked] = unite([edges]).entries.tools
    const same = marked?.exposed.replace(/^s_/u, '') ?? ''
    const all = unite([edges, part('ns/s', 'addressable', { a: { tools: [same] } })])
    assert.equal(all.find('tools', marked?.exposed ?? '')?.server, 'own/s')
    assert.equal(all.entries.tools.length, 2)
  })
})

describe('what a caller sees', () => {
  const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32).fill(7) }])
  interface Tool {
    readonly name: string
    readonly description?: string
    readonly inputSchema: { properties?: Record<string, { enum?: string[] }>; required?: string[] }
    readonly outputSchema?: unknown
  }
  const text = (cluster: string, more: object = {}) =>
    JSON.stringify({
      name: 'get',
      description: `of ${cluster}`,
      inputSchema: { type: 'object', properties: { q: {} }, required: ['q'] },
      outputSchema: { type: 'object' },
      annotations: { readOnlyHint: true },
      ...more,
    })
  const clusters = Object.fromEntries(['a', 'b', 'c'].map((one) => [one, { tools: [text(one)] }]))
  /** `dev` may use a, `ops` all. */
  const place = (cluster: string): Rule[] => [
    { tools: ['*'], groups: ['dev'], place: { policy: 'p', here: cluster === 'a' } },
    { tools: ['*'], groups: ['ops'], place: { policy: 'p', here: true } },
    { tools: ['get'], groups: ['dev', 'ops'] },
  ]
  const ops = caller([], { groups: ['ops'] })
  const dev = caller([], { groups: ['dev'] })

  async function list(catalog: Catalog, principal: Principal, section: Section = 'tools'): Promise<Tool[]> {
    const { result } = await new Projection(catalog, sealer, true).list(section, principal, 'modern', undefined)
    return Object.values(JSON.parse(new TextDecoder().decode(result)) as Record<string, Tool[]>)[0] ?? []
  }
  const placed = (mode: FleetMode, more: Partial<Instance> = {}) =>
    merged(mode, clusters, (cluster) => ({ rules: place(cluster), ...more }))

  test('who may use several instances chooses one; the argument is required and stands beside the tool’s own', async () => {
    const [tool] = await list(placed('addressable'), ops)
    assert.deepEqual(tool?.inputSchema.required, ['q', 'cluster'])
    assert.deepEqual(Object.keys(tool?.inputSchema.properties ?? {}), ['q', 'cluster'])
    assert.deepEqual(tool?.inputSchema.properties?.['cluster']?.enum, ['a', 'b', 'c'])
    assert.equal(tool?.description, 'of a')
    assert.ok(tool?.outputSchema)
  })

  test('who may use one gets the tool as it is, and nothing of the others', async () => {
    const [tool] = await list(placed('addressable'), dev)
    assert.deepEqual(tool, { ...(JSON.parse(text('a')) as Tool), name: 's_get' })
    const only = merged('addressable', clusters, (cluster) => ({
      rules: [{ tools: ['*'], place: { policy: 'p', here: cluster === 'c' } }],
    }))
    assert.equal((await list(only, dev))[0]?.description, 'of c')
    assert.deepEqual(await list(placed('addressable'), caller()), [])
  })

  test('all at once is offered where hints are believed, and then nothing is promised about the output', async () => {
    const [tool] = await list(placed('addressable', { trustHints: true }), ops)
    assert.deepEqual(tool?.inputSchema.properties?.['cluster']?.enum, ['a', 'b', 'c', '*'])
    assert.equal(tool?.outputSchema, undefined)
    const [one] = await list(placed('addressable', { trustHints: true }), dev)
    assert.ok(one?.outputSchema)
    const by = (trustHints: boolean) =>
      merged('addressable', clusters, () => ({ trustHints: !trustHints, rules: [{ tools: ['get'], trustHints }] }))
    assert.equal((await list(by(true), ops))[0]?.outputSchema, undefined)
    assert.ok((await list(by(false), ops))[0]?.outputSchema)
  })

  test('interchangeable tools have no argument', async () => {
    const [tool] = await list(placed('interchangeable'), ops)
    assert.deepEqual(tool, { ...(JSON.parse(text('a')) as Tool), name: 's_get' })
  })

  test('a schema without properties or requirements gets both', async () => {
    const bare = { tools: ['{"name":"get","inputSchema":{"type":"object"}}'] }
    const [tool] = await list(merged('addressable', { a: bare, b: bare }), ops)
    assert.deepEqual(Object.keys(tool?.inputSchema.properties ?? {}), ['cluster'])
    assert.deepEqual(tool?.inputSchema.required, ['cluster'])
  })

  test('who may use no tool of a cluster sees its prompts and resources as little', async () => {
    const catalog = merged('addressable', { a: lists, b: lists }, (cluster) => ({ rules: place(cluster) }))
    const projection = new Projection(catalog, sealer, true)
    assert.deepEqual([...projection.servers(dev)], ['ns/s@a'])
    assert.deepEqual([...projection.servers(ops)].toSorted(), ['ns/s@a', 'ns/s@b'])
    assert.deepEqual(
      (await list(catalog, dev, 'prompts')).map(({ name }) => name),
      ['a_s_ask'],
    )
  })

  test('callers who may use other instances never share a list or a digest', async () => {
    const projection = new Projection(placed('addressable'), sealer, true)
    const [one, other] = await Promise.all([ops, dev].map((who) => projection.list('tools', who, 'modern', undefined)))
    assert.notDeepEqual(one?.result, other?.result)
    assert.notEqual(projection.digest('tools', ops), projection.digest('tools', dev))
  })
})
