import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import { mcpServer } from '../kinds/mcp-server.ts'
import { configMap, planned, type Manifest } from '../kinds/scene.ts'
import { virtualServer } from '../kinds/virtual-mcp-server.ts'
import type { Settings } from '../settings.ts'
import { flat } from './effect.ts'

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
const server: Manifest = {
  kind: 'MCPServer',
  name: 'one',
  spec: { image: 'i', transport: 'streamable-http', replicas: 2, backendReplicas: 2 },
}
const virtual: Manifest = { kind: 'VirtualMCPServer', name: 'all', spec: { backends: [{ name: 'one' }] } }
const company: Manifest = {
  kind: 'MCPOIDCConfig',
  name: 'company',
  namespace: 'toolhive-system',
  spec: { type: 'inline', inline: { issuer: 'https://login.example' } },
}
const objects = [configMap('ca', { 'ca.crt': PEM }, 'toolhive-system'), configMap('ca', { 'ca.crt': PEM + PEM }, 'ops')]

interface Shown {
  readonly settings: Partial<Settings>
  /** Places of the plans of a server `one` and a virtual server `all`, with values that they do not have otherwise. */
  readonly shows: Readonly<Record<string, unknown>>
}

const pod = 'Deployment one spec.template.spec'
const edge = {
  url: 'https://edge.example',
  keysConfigMap: 'edge-keys',
  uplinkKeysConfigMap: 'uplink-keys',
}

/** Every setting: what it changes, or the test that shows it. */
const cases: Readonly<Record<keyof Settings, Shown | string>> = {
  namespace: {
    settings: { namespace: 'ops', extraCaConfigMap: 'ca' },
    shows: { 'run config extraCa': `${PEM}\n${PEM}` },
  },
  namespaces: 'test/cluster/namespaces.test.ts',
  cluster: { settings: { cluster: 'west' }, shows: { 'run config self.cluster': 'west' } },
  image: { settings: { image: 'proxy:2' }, shows: { [`${pod}.containers[toolhive].image`]: 'proxy:2' } },
  virtualImage: {
    settings: { virtualImage: 'vmcp:2' },
    shows: { 'Deployment all spec.template.spec.containers[vmcp].image': 'vmcp:2' },
  },
  imagePullPolicy: {
    settings: { imagePullPolicy: 'Always' },
    shows: { [`${pod}.containers[toolhive].imagePullPolicy`]: 'Always' },
  },
  imagePullSecrets: {
    settings: { imagePullSecrets: ['registry'] },
    shows: {
      [`${pod}.imagePullSecrets[registry].name`]: 'registry',
      'StatefulSet one spec.template.spec.imagePullSecrets[registry].name': 'registry',
      'ServiceAccount one-sa imagePullSecrets[registry].name': 'registry',
    },
  },
  defaultOidcConfig: {
    settings: { defaultOidcConfig: { namespace: 'toolhive-system', name: 'company', audience: 'mcp' } },
    shows: {
      'run config endpoint.guard.issuers[0].issuer': 'https://login.example',
      'run config endpoint.guard.audience': 'mcp',
    },
  },
  requireAuthentication: {
    settings: { requireAuthentication: true },
    shows: { 'condition AuthConfigured': 'False AuthenticationRequired' },
  },
  defaultRedis: {
    settings: { defaultRedis: { address: 'redis:6379', secret: undefined } },
    shows: { 'condition SessionStorageWarning': 'False SessionStorageConfigured' },
  },
  egressAllow: {
    settings: { egressAllow: ['*.corp.example'] },
    shows: { 'run config egressAllow[0]': '*.corp.example' },
  },
  extraCaConfigMap: { settings: { extraCaConfigMap: 'ca' }, shows: { 'run config extraCa': PEM } },
  edge: {
    settings: { edge },
    shows: {
      'NetworkPolicy one-proxy spec.ingress[0].from[1].namespaceSelector.matchExpressions[0].values[0]':
        'toolhive-system',
    },
  },
  podTemplateAllow: 'agent/operator/pod-template.test.ts',
  networkPolicies: {
    settings: { networkPolicies: false },
    shows: { 'NetworkPolicy one-proxy metadata.name': undefined, 'NetworkPolicy one-server metadata.name': undefined },
  },
  metricsNamespaces: {
    settings: { metricsNamespaces: ['monitoring'] },
    shows: {
      'NetworkPolicy one-proxy spec.ingress[1].from[1].namespaceSelector.matchExpressions[0].values[0]': 'monitoring',
    },
  },
  podDisruptionBudgets: {
    settings: { podDisruptionBudgets: true },
    shows: {
      'PodDisruptionBudget one spec.maxUnavailable': 1,
      'PodDisruptionBudget one-server spec.maxUnavailable': 1,
    },
  },
  topologySpread: {
    settings: { topologySpread: true },
    shows: {
      [`${pod}.topologySpreadConstraints[0].topologyKey`]: 'kubernetes.io/hostname',
      'StatefulSet one spec.template.spec.topologySpreadConstraints[1].topologyKey': 'topology.kubernetes.io/zone',
    },
  },
  rollOnSecretChange: 'agent/operator/kinds/mcp-server.test.ts',
  openshift: {
    settings: { openshift: true },
    shows: {
      [`${pod}.securityContext.runAsUser`]: undefined,
      'StatefulSet one spec.template.spec.containers[mcp].securityContext.runAsUser': undefined,
    },
  },
  takeOver: 'agent/operator/takeover.test.ts',
}

function places(settings: Partial<Settings>, more: readonly KubeObject[] = []): ReadonlyMap<string, unknown> {
  const scene = { manifests: [server, virtual, company], objects: [...objects, ...more], settings }
  return new Map([...flat(planned(virtualServer, scene)), ...flat(planned(mcpServer, scene))])
}

for (const [setting, shown] of Object.entries(cases))
  test(`the admin’s ${setting} is heeded${typeof shown === 'string' ? `, as ${shown} shows` : ''}`, () => {
    if (typeof shown === 'string')
      return assert.ok(existsSync(join(import.meta.dirname, '../../..', shown)), `there is no ${shown}`)
    const [before, after] = [places({}), places(shown.settings)]
    for (const [place, value] of Object.entries(shown.shows)) {
      assert.deepEqual(after.get(place), value, place)
      assert.notDeepEqual(before.get(place), value, `${place} is so without it`)
    }
  })

test('what an autoscaler makes several of has a budget for disruptions too', () => {
  const scaled = (kind: string): KubeObject => ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'one', namespace: 'platform-tools' },
    spec: { replicas: 3, template: { metadata: { labels: { 'waggle.dev/role': 'server' } } } },
  })
  const free: Manifest = { ...server, spec: { image: 'i', transport: 'streamable-http' } }
  const budgets = (more: readonly KubeObject[]): string[] =>
    planned(mcpServer, { manifests: [free], objects: more, settings: { podDisruptionBudgets: true } })
      .objects.filter(({ kind }) => kind === 'PodDisruptionBudget')
      .map(({ metadata }) => metadata.name)
      .sort()
  assert.deepEqual(budgets([]), [])
  assert.deepEqual(budgets([scaled('Deployment'), scaled('StatefulSet')]), ['one', 'one-server'])
})
