import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readResource } from '../crds/cluster.ts'
import { SNAPSHOT_KINDS } from '../protocol/snapshot.ts'
import { plan } from './endpoint.ts'
import { gather, type Published, type PublishedResource } from './fleet.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'
import type { Site } from './site.ts'

const ISSUER = 'https://id.example.com'

function read(kind: string, place: string, spec: object, annotations: Record<string, string> = {}): Resource {
  const [namespace, name] = place.split('/')
  const group = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
  const reading = readResource({ apiVersion: group, kind, metadata: { namespace, name, annotations }, spec })
  assert.ok(reading.ok, JSON.stringify(reading))
  return reading.resource
}

const server = (place: string, annotations?: Record<string, string>) =>
  read('MCPServer', place, { image: 'x', transport: 'streamable-http' }, annotations)
const virtual = (place: string, ...backends: string[]) =>
  read('VirtualMCPServer', place, { backends: backends.map((name) => ({ name })) })
const policy = (place: string, kind: string, name: string, rules: object[]) =>
  read('ToolPolicy', place, { targetRef: { kind, name }, rules })

function isPublished(resource: Resource): resource is PublishedResource {
  return (SNAPSHOT_KINDS as readonly string[]).includes(resource.kind)
}
const publish = (at: number, ...resources: Resource[]): Published[] =>
  resources.filter(isPublished).map((resource) => ({ resource, registeredAt: at, catalog: `catalog-${at}` }))
const own = (...resources: Resource[]): Resources =>
  new Map(resources.map((one) => [resourceKey(one.kind, one.metadata.namespace, one.metadata.name), one]))

function planned(resources: Resources, clusters: Record<string, Published[]>) {
  const site: Site = {
    cluster: 'edge',
    defaultIssuer: {
      issuer: ISSUER,
      jwksUrl: undefined,
      introspectionUrl: undefined,
      clientId: undefined,
      clientSecret: undefined,
      algorithms: ['ES256'],
      clockSkewSeconds: 60,
      groupsClaim: 'groups',
      allowHttp: false,
      allowPrivate: false,
      ca: undefined,
      clusterAuth: false,
      subjects: undefined,
    },
    defaultAudience: undefined,
    open: false,
    proxies: false,
    serviceAccounts: false,
    fleets: gather(resources, new Map(Object.entries(clusters))),
    configMap: () => undefined,
  }
  const made = plan(resources, site)
  return {
    ...made,
    instances: (endpoint: string, at = 0) => made.endpoints.get(endpoint)?.members[at]?.fleet?.instances ?? [],
  }
}

test('a server of one name in two clusters is one member with two instances, each called as itself', () => {
  const { endpoints, servers, instances } = planned(own(), {
    b: publish(2, server('team/grafana')),
    a: publish(1, server('team/grafana')),
  })
  assert.deepEqual(
    instances('team/grafana').map(({ server: key, url, audience, catalog }) => ({ key, url, audience, catalog })),
    [
      {
        key: 'team/grafana@a',
        url: 'http://link/team/MCPServer/grafana',
        audience: 'a/team/MCPServer/grafana',
        catalog: 'catalog-1',
      },
      {
        key: 'team/grafana@b',
        url: 'http://link/team/MCPServer/grafana',
        audience: 'b/team/MCPServer/grafana',
        catalog: 'catalog-2',
      },
    ],
  )
  assert.equal(servers.size, 0)
  assert.deepEqual(
    endpoints.get('team/grafana')?.guard.issuers?.map(({ issuer }) => issuer),
    [ISSUER],
  )
})

test('what is defined at the edge wins over what a cluster publishes, whatever its kind', () => {
  const saas = read('MCPRemoteProxy', 'team/grafana', { remoteUrl: 'https://mcp.example.com/mcp' })
  const { endpoints, servers } = planned(own(saas, virtual('team/all', 'grafana')), {
    a: publish(1, server('team/grafana'), virtual('team/all', 'other'), server('team/all')),
  })
  assert.deepEqual([...servers.keys()], ['team/grafana'])
  assert.deepEqual(
    endpoints.get('team/all')?.members.map((member) => [member.server, member.fleet]),
    [['team/grafana', undefined]],
  )
})

test('between clusters the one that registered first decides about a virtual server, and all have instances in it', () => {
  const clusters = {
    late: publish(2, server('team/x'), server('team/y'), virtual('team/all', 'y')),
    early: publish(1, server('team/x'), virtual('team/all', 'x')),
  }
  for (const order of [clusters, Object.fromEntries(Object.entries(clusters).toReversed())]) {
    const { endpoints, instances } = planned(own(), order)
    assert.deepEqual(
      endpoints.get('team/all')?.members.map(({ server: name }) => name),
      ['team/x'],
    )
    assert.deepEqual(
      instances('team/all').map(({ cluster }) => cluster),
      ['early', 'late'],
    )
  }
})

test('a policy of a cluster reaches its own instances only, one of the edge reaches all', () => {
  const mine = policy('team/mine', 'MCPServer', 'x', [{ tools: ['*'], groups: ['a-people'] }])
  const edges = policy('team/edges', 'MCPServer', 'x', [{ tools: ['*'], groups: ['everybody'] }])
  const { instances } = planned(own(edges), {
    a: publish(1, server('team/x'), mine),
    b: publish(2, server('team/x')),
  })
  const groups = (cluster: string) =>
    instances('team/x')
      .filter((one) => one.cluster === cluster)
      .flatMap(({ rules }) => rules.flatMap((rule) => rule.groups ?? []))
      .sort()
  assert.deepEqual(groups('a'), ['a-people', 'everybody'])
  assert.deepEqual(groups('b'), ['everybody'])
})

test('a policy of a cluster says nothing about what is defined at the edge', () => {
  const foreign = policy('team/foreign', 'VirtualMCPServer', 'all', [{ tools: ['*'], groups: ['nobody'] }])
  const saas = read('MCPRemoteProxy', 'team/saas', { remoteUrl: 'https://mcp.example.com/mcp' })
  const { endpoints } = planned(own(saas, virtual('team/all', 'saas')), { a: publish(1, foreign) })
  assert.deepEqual(endpoints.get('team/all')?.rules, [])
})

test('another namespace uses only the instances whose owners consent', () => {
  const clusters = {
    a: publish(1, server('team/x', { 'waggle.dev/allow-virtual-servers-from': 'others' })),
    b: publish(2, server('team/x')),
  }
  const all = read('VirtualMCPServer', 'others/all', { backends: [{ name: 'x', namespace: 'team' }] })
  const { instances } = planned(own(all), clusters)
  assert.deepEqual(
    instances('others/all').map(({ cluster }) => cluster),
    ['a'],
  )
})

test('a virtual server of a cluster is planned with the configuration that its cluster published beside it', () => {
  const config = read('MCPToolConfig', 'team/few', { toolsFilter: ['search'] })
  const all = read('VirtualMCPServer', 'team/all', {
    backends: [{ name: 'x' }],
    config: { aggregation: { tools: [{ workload: 'x', toolConfigRef: { name: 'few' } }] } },
  })
  const { endpoints } = planned(own(), { a: publish(1, server('team/x'), all, config) })
  assert.deepEqual(endpoints.get('team/all')?.members[0]?.filter, ['search'])
})

test('a virtual server of a cluster has no servers of the edge, whatever they are called and whoever grouped them', () => {
  const saas = read('MCPRemoteProxy', 'team/saas', { remoteUrl: 'https://mcp.example.com/mcp' })
  const shadowed = read('MCPRemoteProxy', 'team/x', { remoteUrl: 'https://mcp.example.com/x' })
  const grouped = read('MCPServerEntry', 'team/entry', {
    remoteUrl: 'https://mcp.example.com/entry',
    transport: 'streamable-http',
    groupRef: { name: 'all' },
  })
  const byGroup = read('VirtualMCPServer', 'team/group', { groupRef: { name: 'all' } })
  const { endpoints } = planned(own(saas, shadowed, grouped), {
    a: publish(1, server('team/x'), server('team/y'), virtual('team/all', 'saas', 'x', 'y', 'entry'), byGroup),
  })
  const membersOf = (key: string) => endpoints.get(key)?.members.map((member) => member.server)
  assert.deepEqual(membersOf('team/all'), ['team/y'])
  assert.deepEqual(membersOf('team/group'), [])
})

test('a policy of the edge takes no policy of a cluster away that has its name, nor becomes an alternative to it', () => {
  const edges = policy('team/where', 'VirtualMCPServer', 'other', [{ tools: ['*'], clusters: ['a'] }])
  const same = policy('team/both', 'MCPServer', 'x', [{ tools: ['*'], clusters: ['a'], groups: ['edge-people'] }])
  const { instances } = planned(own(edges, same), {
    a: publish(
      1,
      server('team/x'),
      policy('team/where', 'MCPServer', 'x', [{ tools: ['*'], groups: ['a-people'] }]),
      policy('team/both', 'MCPServer', 'x', [{ tools: ['*'], clusters: ['a'], groups: ['others'] }]),
    ),
  })
  const rules = instances('team/x')[0]?.rules ?? []
  assert.deepEqual(rules.flatMap(({ groups }) => groups ?? []).sort(), ['a-people', 'edge-people', 'others'])
  assert.equal(new Set(rules.flatMap(({ place }) => place?.policy ?? [])).size, 2)
})

test('names that a server was given in its cluster follow from the configuration there, not from one of the edge', () => {
  const renames = (name: string) => read('MCPToolConfig', 'team/names', { toolsOverride: { drop: { name } } })
  const named = read('MCPServer', 'team/x', {
    image: 'x',
    transport: 'streamable-http',
    toolConfigRef: { name: 'names' },
  })
  const { instances } = planned(own(renames('other')), {
    a: publish(
      1,
      named,
      renames('tidy'),
      policy('team/drops', 'MCPServer', 'x', [{ tools: ['drop'], groups: ['admins'] }]),
    ),
  })
  assert.deepEqual(instances('team/x')[0]?.rules[0]?.tools, ['drop', 'tidy'])
})

test('no instance gets out of a policy of the edge by being of another kind', () => {
  const place = policy('team/where', 'MCPServer', 'x', [{ tools: ['*'], clusters: ['a'] }])
  const other = read('MCPRemoteProxy', 'team/x', { remoteUrl: 'https://mcp.example.com/mcp' })
  const { instances } = planned(own(place), { a: publish(1, server('team/x')), b: publish(2, other) })
  assert.deepEqual(
    instances('team/x').map(({ cluster, rules }) => [cluster, rules[0]?.place?.here]),
    [
      ['a', true],
      ['b', false],
    ],
  )
})

test('a virtual server of a cluster has instances of the clusters alone that publish it too', () => {
  const { instances } = planned(own(), {
    a: publish(1, server('team/x')),
    b: publish(2, server('team/x'), virtual('team/all', 'x')),
    c: publish(3, server('team/x'), virtual('team/all', 'x')),
  })
  const clustersOf = (key: string) => instances(key).map(({ cluster }) => cluster)
  assert.deepEqual(clustersOf('team/all'), ['b', 'c'])
  assert.deepEqual(clustersOf('team/x'), ['a', 'b', 'c'])
})

test('a virtual server of a cluster has no member that is in none of these clusters', () => {
  const { endpoints } = planned(own(), {
    a: publish(1, server('team/x')),
    b: publish(2, virtual('team/all', 'x', 'y'), server('team/y')),
  })
  assert.deepEqual(
    endpoints.get('team/all')?.members.map((member) => member.server),
    ['team/y'],
  )
})
