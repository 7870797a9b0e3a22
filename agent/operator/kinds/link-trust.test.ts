import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig, Signer } from '../../run-config.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { remoteProxy } from './mcp-remote-proxy.ts'
import { mcpServer } from './mcp-server.ts'
import { configMap, keysMap, NAMESPACE, planned, type Manifest } from './scene.ts'
import { virtualServer } from './virtual-mcp-server.ts'

const HOME = 'toolhive-system'
const joined: Partial<Settings> = {
  cluster: 'prod',
  edge: { url: 'https://edge.example', keysConfigMap: 'edge-keys', uplinkKeysConfigMap: 'uplink-keys' },
}
const jwk = (kid: string) => ({ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' })
const keys = (name: string, kid: string, namespace = HOME): KubeObject =>
  configMap(name, { 'signing.json': JSON.stringify({ keys: [jwk(kid)] }) }, namespace)
const ours = [keys('edge-keys', 'e'), keys('uplink-keys', 'u')]
const edge: Signer = { issuer: 'edge', uses: ['call'], jwks: { keys: [jwk('e')] } }
const uplink: Signer = { issuer: 'prod/uplink', uses: ['catalog'], jwks: { keys: [jwk('u')] } }

const servers: Readonly<Record<string, Manifest>> = {
  MCPServer: { kind: 'MCPServer', name: 'one', spec: { image: 'i', transport: 'streamable-http', mcpPort: 8000 } },
  MCPRemoteProxy: { kind: 'MCPRemoteProxy', name: 'one', spec: { remoteUrl: 'https://mcp.linear.app/mcp' } },
  VirtualMCPServer: { kind: 'VirtualMCPServer', name: 'one', spec: { backends: [{ name: 'other' }] } },
}
const planners = { MCPServer: mcpServer, MCPRemoteProxy: remoteProxy, VirtualMCPServer: virtualServer }

interface Case {
  readonly more?: Partial<Manifest>
  readonly spec?: object
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
}
function planOf(kind: string, { more = {}, spec = {}, objects = ours, settings = joined }: Case = {}): Plan {
  const manifest = servers[kind]
  assert.ok(manifest)
  const scene = { manifests: [{ ...manifest, ...more, spec: { ...manifest.spec, ...spec } }], objects, settings }
  return planned(planners[kind as keyof typeof planners] as typeof mcpServer, scene)
}
function signers(kind: string, of: Case = {}): readonly Signer[] {
  const text = planOf(kind, of)
    .objects.map(({ data }) => data?.['runconfig.json'])
    .find((one) => one !== undefined)
  return (JSON.parse(text ?? '') as RunConfig).signers
}

test('the edge speaks for callers of what is published, the uplink for nobody: it reads the catalogs of servers', () => {
  assert.deepEqual(signers('MCPServer'), [edge, uplink])
  assert.deepEqual(signers('MCPRemoteProxy'), [edge, uplink])
  assert.deepEqual(signers('VirtualMCPServer'), [edge])
})

test('a cluster that has joined no edge believes none, whatever ConfigMaps there are', () => {
  for (const kind of Object.keys(servers)) assert.deepEqual(signers(kind, { settings: { cluster: 'prod' } }), [])
})

test('what its owner does not publish believes neither edge nor uplink', () => {
  for (const kind of Object.keys(servers)) {
    const kept = { annotations: { 'waggle.dev/publish': 'false' } }
    assert.deepEqual(signers(kind, { more: kept }), [])
    assert.doesNotMatch(JSON.stringify(planOf(kind, { more: kept }).objects), /uplink/)
  }
})

test('keys that stand elsewhere, belong to somebody or are no keys are nobody’s', () => {
  const spoilt = (name: string) => configMap(name, { 'signing.json': '{"keys":"none"}' }, HOME)
  const cases = [
    [],
    [keys('edge-keys', 'planted', NAMESPACE), keys('uplink-keys', 'planted', NAMESPACE)],
    [keys('edge-keys', 'planted', 'kube-system'), keys('uplink-keys', 'planted', 'kube-system')],
    [spoilt('edge-keys'), spoilt('uplink-keys')],
    // What the operator makes for a resource called `edge` has this name too.
    ['edge', 'uplink'].map((name) =>
      keysMap('VirtualMCPServer', name, { 'signing.json': JSON.stringify({ keys: [jwk('planted')] }) }, HOME),
    ),
  ]
  for (const objects of cases) assert.deepEqual(signers('MCPServer', { objects }), [])
  // Of two the one that is there counts.
  assert.deepEqual(signers('MCPServer', { objects: ours.slice(1) }), [uplink])
})

test('nobody speaks for callers where what its owner says about them cannot be kept', () => {
  const policies = { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } }
  assert.deepEqual(signers('MCPServer', { spec: { authzConfig: policies } }), [])
  assert.deepEqual(signers('MCPRemoteProxy', { spec: { oidcConfigRef: { name: 'gone', audience: 'a' } } }), [])
  const incomingAuth = { type: 'oidc', oidcConfigRef: { name: 'gone', audience: 'a' } }
  assert.deepEqual(signers('VirtualMCPServer', { spec: { incomingAuth } }), [])
  const open = { type: 'anonymous' }
  assert.deepEqual(signers('VirtualMCPServer', { spec: { incomingAuth: open } }), [edge])
})

test('the uplink’s pods reach the proxies of what is published, from the operator’s namespace alone', () => {
  const link = {
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [HOME] }],
    },
    podSelector: { matchLabels: { 'app.kubernetes.io/part-of': 'waggle', 'waggle.dev/role': 'uplink' } },
  }
  for (const kind of Object.keys(servers)) {
    const of = (settings: Partial<Settings>) => {
      const { objects } = planOf(kind, { settings })
      const policy = objects.find(
        ({ kind: what, metadata }) => what === 'NetworkPolicy' && /-(proxy|vmcp)$/.test(metadata.name),
      )
      assert.ok(policy)
      return (policy.spec as { ingress: { from?: object[]; ports: object[] }[] }).ingress
    }
    const [before, after] = [of({ cluster: 'prod' }), of(joined)]
    // The clients' port, which is closed to other namespaces as nobody has to log in, and the internal port.
    assert.deepEqual(
      after.map(({ from }) => from?.filter((peer) => !JSON.stringify(before).includes(JSON.stringify(peer)))),
      [[link], [link]],
    )
    assert.deepEqual(
      after.map(({ ports }) => ports),
      before.map(({ ports }) => ports),
    )
  }
})
