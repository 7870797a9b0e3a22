// What the operator's chart renders for a cluster that joins an edge: the uplink, and what it may do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../agent/kube/object.ts'
import { tools } from './bed/tools.ts'
import { container, environmentOf, find, isOne, objectsOf, render, values as file } from './chart.ts'
import { allowed, fill, rightsIn, sorted } from './rights.ts'
import type { Rights, Rule } from './rights.ts'

const UPLINK = 'waggle-agent-uplink'
const release = { release: 'waggle-agent' }
const built = await tools()
const objects = (...values: string[]): KubeObject[] => objectsOf(render(built, ...values))

interface Volume {
  readonly name: string
  readonly secret?: object
  readonly projected?: object
}
const volumesOf = (among: readonly KubeObject[]): readonly Volume[] =>
  (find(among, 'Deployment', UPLINK).spec as { template: { spec: { volumes: Volume[] } } }).template.spec.volumes

/** The grants of a ServiceAccount: what its Roles and ClusterRoles say, by namespace; `*` stands for all. */
function grantsOf(among: readonly KubeObject[], account: string): Record<string, Rights> {
  const found: Record<string, Rights> = {}
  for (const binding of among) {
    const { roleRef, subjects = [] } = binding as {
      roleRef?: { kind: string; name: string }
      subjects?: { name: string }[]
    }
    if (roleRef === undefined || !subjects.some(({ name }) => name === account)) continue
    const { namespace } = binding.metadata
    const role = among.find(
      (one) =>
        isOne(roleRef.kind, roleRef.name)(one) && one.metadata.namespace === (namespace ?? one.metadata.namespace),
    )
    assert.ok(role, `${account} is bound to ${roleRef.kind} ${roleRef.name}, which is not there`)
    const place = namespace ?? '*'
    found[place] = { ...found[place], ...rightsIn(role['rules'] as Rule[]) }
  }
  return found
}

test('a cluster that joins no edge has no uplink, and no right for one', () => {
  const rendered = objects()
  assert.deepEqual(
    rendered.filter(({ metadata }) => metadata.name.includes('uplink') || metadata.name.includes('edge')),
    [],
  )
  const names = Object.keys(environmentOf(rendered))
  assert.deepEqual(
    names.filter((name) => /EDGE|UPLINK/.test(name)),
    [],
  )
})

test('the uplink gets exactly the rights of the list, which no Secret but its own is in', () => {
  const uplink = {
    managed: sorted(allowed.uplink.managed),
    own: sorted(fill(allowed.uplink.own, release)),
  }
  assert.deepEqual(grantsOf(objects(...file('edge')), UPLINK), {
    '*': uplink.managed,
    'toolhive-system': uplink.own,
  })
  const joined = sorted(fill(allowed.operator.joined, release))
  const apart = objects(...file('edge-namespace'))
  assert.deepEqual(grantsOf(apart, UPLINK), {
    'platform-tools': uplink.managed,
    'team-frontend': uplink.managed,
    'toolhive-system': uplink.own,
  })
  assert.deepEqual(grantsOf(apart, 'waggle-agent')['toolhive-system'], {
    ...sorted(fill(allowed.operator.own, release)),
    ...sorted(allowed.operator.apart),
    ...joined,
  })
  assert.deepEqual(
    apart.filter(({ metadata }) => metadata.namespace === undefined),
    [],
  )
})

test('what the uplink writes into is there and holds nothing, so that an upgrade takes nothing away', () => {
  const rendered = objects(...file('edge'))
  for (const [kind, name] of [
    ['Secret', UPLINK],
    ['ConfigMap', 'waggle-agent-uplink-keys'],
    ['ConfigMap', 'waggle-agent-edge-keys'],
  ] as const) {
    const { data, spec, ...rest } = find(rendered, kind, name)
    assert.deepEqual([data, spec, rest['stringData']], [undefined, undefined, undefined], `${kind} ${name}`)
  }
})

test('a cluster joins by its ServiceAccount unless a join token is named, and has the token for that alone', () => {
  const oidc = objects(...file('edge'))
  const env = environmentOf(oidc, UPLINK)
  assert.equal(env['WAGGLE_CLUSTER'], 'prod-eu')
  assert.equal(environmentOf(oidc)['WAGGLE_CLUSTER'], 'prod-eu')
  assert.equal(env['WAGGLE_EDGE_TOKEN_FILE'], '/var/run/secrets/waggle/edge/token')
  assert.equal(env['WAGGLE_JOIN_TOKEN_FILE'], undefined)
  const volumes = (among: readonly KubeObject[]) =>
    volumesOf(among)
      .map(({ secret, projected }) => secret ?? projected)
      .filter((one) => one !== undefined)
  const serviceAccountToken = {
    audience: 'https://mcp.example.com/clusters/prod-eu',
    expirationSeconds: 600,
    path: 'token',
  }
  assert.deepEqual(volumes(oidc), [{ sources: [{ serviceAccountToken }] }])
  const token = objects(...file('edge-namespace'))
  assert.equal(environmentOf(token, UPLINK)['WAGGLE_EDGE_TOKEN_FILE'], undefined)
  assert.equal(environmentOf(token, UPLINK)['WATCH_NAMESPACE'], 'platform-tools,team-frontend')
  const items = [{ key: 'token', path: 'token' }]
  assert.deepEqual(volumes(token), [{ secretName: 'waggle-join', optional: true, items }])
})

test('files that the uplink is told of are mounted', () => {
  for (const name of ['edge', 'edge-namespace']) {
    const rendered = objects(...file(name))
    const { volumeMounts } = container(rendered, UPLINK)
    const volumes = volumesOf(rendered)
    assert.deepEqual(
      volumeMounts.map((mount) => mount.name),
      volumes.map((volume) => volume.name),
    )
    const told = Object.entries(environmentOf(rendered, UPLINK)).filter(([key]) => /_(FILE|DIR)$/.test(key))
    assert.equal(told.length, volumeMounts.length)
    for (const [key, path = ''] of told)
      assert.ok(
        volumeMounts.some(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`)),
        key,
      )
  }
})

test('the uplink’s own policy lets out what it must do, and in what asks how it is', () => {
  const { spec } = find(objects(...file('edge-namespace')), 'NetworkPolicy', UPLINK)
  const { ingress, egress } = spec as {
    ingress: { ports: { port: unknown }[] }[]
    egress: { to?: unknown; ports?: { port: number }[] }[]
  }
  assert.deepEqual(
    ingress.flatMap(({ ports }) => ports.map(({ port }) => port)),
    ['metrics', 'health'],
  )
  const anywhere = egress
    .filter(({ to }) => to === undefined)
    .flatMap(({ ports = [] }) => ports.map(({ port }) => port))
  assert.deepEqual([...new Set(anywhere)], [53, 8443, 443, 6443])
})
