import { test } from 'node:test'
import { remoteProxy } from '../kinds/mcp-remote-proxy.ts'
import { assertComplete, assertEffects, type Effect, type Stage } from './effect.ts'
import { proxyEffects } from './proxy-effects.ts'
import { remoteEffects } from './remote-effects.ts'
import { configs, objects } from './stage.ts'

const stage: Stage = {
  kind: 'MCPRemoteProxy',
  name: 'linear',
  spec: { remoteUrl: 'https://mcp.linear.app/mcp' },
  others: configs,
  objects,
}

const proxy = 'Deployment linear'
const pod = `${proxy} spec.template.spec`
const service = 'Service mcp-linear-remote-proxy'
const base = 'http://mcp-linear-remote-proxy.platform-tools.svc.cluster.local'

const effects: readonly Effect[] = [
  ...remoteEffects,
  {
    fields: ['transport'],
    spec: { transport: 'sse' },
    shows: { 'run config servers[0].transport': 'sse' },
  },
  {
    fields: ['proxyPort'],
    spec: { proxyPort: 9090 },
    shows: {
      [`${service} spec.ports[http].port`]: 9090,
      'Service mcp-linear-proxy spec.ports[http].port': 9090,
      'run config port': 9090,
      'status url': `${base}:9090/mcp`,
    },
  },
  {
    fields: ['endpointPrefix'],
    spec: { endpointPrefix: '/to/linear' },
    shows: { 'run config prefix': '/to/linear', 'status url': `${base}:8080/to/linear/mcp` },
  },
  {
    fields: ['replicas'],
    spec: { replicas: 2 },
    shows: {
      [`${proxy} spec.replicas`]: 2,
      'condition SessionStorageWarning': 'True SessionStorageMissingForReplicas',
    },
  },
  {
    fields: ['resources.limits.cpu', 'resources.limits.memory', 'resources.requests.cpu', 'resources.requests.memory'],
    spec: { resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '2m', memory: '2Mi' } } },
    shows: {
      [`${pod}.containers[toolhive].resources.limits.cpu`]: '1',
      [`${pod}.containers[toolhive].resources.limits.memory`]: '1Gi',
      [`${pod}.containers[toolhive].resources.requests.cpu`]: '2m',
      [`${pod}.containers[toolhive].resources.requests.memory`]: '2Mi',
    },
  },
  {
    fields: ['serviceAccount'],
    spec: { serviceAccount: 'mine' },
    shows: {
      [`${pod}.serviceAccountName`]: 'mine',
      'ServiceAccount linear-remote-proxy-runner metadata.name': undefined,
    },
  },
  {
    fields: ['podTemplateSpec'],
    spec: { podTemplateSpec: { spec: { nodeSelector: { disk: 'ssd' } } } },
    shows: { [`${pod}.nodeSelector.disk`]: 'ssd', 'condition PodTemplateValid': 'True ValidPodTemplateSpec' },
  },
  ...proxyEffects(proxy, service),
]

test('every field of an MCPRemoteProxy shows in its objects, its run config or its status', () => {
  assertEffects(remoteProxy, stage, effects)
  assertComplete('MCPRemoteProxy', effects, 'agent/operator/fields/mcp-remote-proxy.test.ts')
})
