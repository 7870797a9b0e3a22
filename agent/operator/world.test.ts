import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEndpoint } from '../../plan/cluster.ts'
import { resourceKey } from '../../plan/resources.ts'
import type { Informer } from '../kube/informer.ts'
import type { KubeObject } from '../kube/object.ts'
import { siteOf } from './kinds/endpoint.ts'
import { settings } from './kinds/scene.ts'
import { State } from './world.ts'

test('an old inline issuer is there as a config as long as its server is', () => {
  const state = new State(settings, [], new Map())
  const server = {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name: 'a', namespace: 'n', uid: 'u', generation: 1 },
    spec: { image: 'a', oidcConfig: { type: 'inline', inline: { issuer: 'https://i.example', audience: 'x' } } },
  }
  state.change('MCPServer', undefined, server)
  const { resources } = state.world(0)
  const found = resources.get(resourceKey('MCPServer', 'n', 'a'))
  assert.ok(found?.kind === 'MCPServer')
  const config = resources.get(resourceKey('MCPOIDCConfig', 'n', found.spec.oidcConfigRef?.name ?? ''))
  assert.ok(config?.kind === 'MCPOIDCConfig' && config.spec.inline?.issuer === 'https://i.example')
  state.change('MCPServer', server, { ...server, status: { phase: 'Ready' } })
  assert.equal(state.world(0).resources.size, 2)
  state.change('MCPServer', server, undefined)
  assert.equal(state.world(0).resources.size, 0)
})

test('a Secret concerns the servers of its namespace that have it in their environment', () => {
  const state = new State(settings, [], new Map())
  for (const [namespace, name, secret] of [
    ['n', 'a', 's'],
    ['n', 'b', 't'],
    ['m', 'c', 's'],
  ] as const)
    state.change('MCPServer', undefined, {
      apiVersion: 'toolhive.stacklok.dev/v1beta1',
      kind: 'MCPServer',
      metadata: { name, namespace, uid: name, generation: 1 },
      spec: { image: 'i', secrets: [{ name: secret, key: 'k', targetEnvName: 'K' }] },
    })
  assert.deepEqual([...state.usersOfSecret('n', 's')], [resourceKey('MCPServer', 'n', 'a')])
  assert.deepEqual([...state.usersOfSecret('m', 't')], [])
})

test('a policy that cannot be read closes its target until it can, and whoever uses that is planned again', () => {
  const state = new State(settings, [], new Map())
  const metadata = (name: string, annotations = {}) => ({ name, namespace: 'n', uid: name, generation: 1, annotations })
  const server: KubeObject = {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: metadata('a'),
    spec: { image: 'a', transport: 'streamable-http' },
  }
  const policy = (annotations: Record<string, string>): KubeObject => ({
    apiVersion: 'waggle.dev/v1alpha1',
    kind: 'ToolPolicy',
    metadata: metadata('careful', annotations),
    spec: { targetRef: { kind: 'MCPServer', name: 'a' }, rules: [{ tools: ['delete_*'], groups: ['admins'] }] },
  })
  const good = policy({})
  // The API server knows nothing of annotations and takes it.
  const bad = policy({ 'waggle.dev/unknown': 'x' })
  const rules = () => {
    const world = state.world(0)
    const found = world.resources.get('MCPServer/n/a')
    assert.ok(found?.kind === 'MCPServer')
    return planEndpoint(found, world.resources, siteOf(world)).endpoint.members[0]?.rules
  }
  const open = [{ tools: ['delete_*'], groups: ['admins'] }]
  const closed = [{ tools: ['*'], groups: [] }]
  state.change('MCPServer', undefined, server)
  for (const [old, next, expected] of [
    [undefined, bad, closed],
    [bad, good, open],
    [good, bad, closed],
    [bad, undefined, []],
    [undefined, good, open],
  ] as const) {
    const keys = state.change('ToolPolicy', old, next)
    assert.ok(keys.has('MCPServer/n/a'))
    assert.deepEqual(rules(), expected)
  }
})

test('texts of ConfigMaps are wanted of those that are named, whether the name or the ConfigMap came first', async () => {
  const held = new Map<string, KubeObject>()
  const informer = { get: (namespace: string, name: string) => held.get(`${namespace}/${name}`) }
  const state = new State(settings, [], new Map([['ConfigMap', informer as unknown as Informer]]))
  const map = (name: string, data?: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'n', uid: name, resourceVersion: '1' },
    ...(data !== undefined && { data }),
  })
  const server = (name: string): KubeObject => ({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name: 'a', namespace: 'n', uid: 'a', generation: 1, annotations: { name } },
    spec: { image: 'a', permissionProfile: { type: 'configmap', name } },
  })
  const read: string[] = []
  const fill = () =>
    state.texts.fill(async (_namespace, name) => {
      read.push(name)
      return map(name, { key: name })
    })
  const text = (name: string) => state.world(0).object('ConfigMap', 'n', name)?.data?.['key']
  for (const name of ['first', 'other']) held.set(`n/${name}`, map(name))
  state.change('MCPServer', undefined, server('first'))
  await fill()
  assert.equal(text('first'), 'first')
  // Listed before it was named, shown after.
  state.change('MCPServer', server('first'), server('late'))
  assert.ok(state.reads('n', 'late') && !state.reads('n', 'first') && !state.reads('n', 'other'))
  await fill()
  held.set('n/late', map('late'))
  state.saw(map('late'))
  await fill()
  assert.equal(text('late'), 'late')
  assert.equal(text('first'), undefined, 'nobody names it any more')
  assert.deepEqual(read, ['first', 'late'])
})
