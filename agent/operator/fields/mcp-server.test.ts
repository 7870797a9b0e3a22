import { test } from 'node:test'
import { mcpServer } from '../kinds/mcp-server.ts'
import { assertComplete, assertEffects, type Effect, type Stage } from './effect.ts'
import { proxyEffects, redis, refused } from './proxy-effects.ts'
import { configs, objects } from './stage.ts'

const stage: Stage = {
  kind: 'MCPServer',
  name: 'grafana',
  spec: { image: 'one', transport: 'streamable-http' },
  others: configs,
  objects,
}

const pod = 'StatefulSet grafana spec.template.spec'
const server = `${pod}.containers[mcp]`
const proxy = 'Deployment grafana'
const service = 'Service mcp-grafana-proxy'
const base = 'http://mcp-grafana-proxy.platform-tools.svc.cluster.local'
const limit = { maxTokens: 3, refillPeriod: '1s' }

const effects: readonly Effect[] = [
  { fields: ['image'], spec: { image: 'two' }, shows: { [`${server}.image`]: 'two' } },
  {
    fields: ['transport'],
    spec: { transport: 'stdio' },
    shows: { [`${server}.stdin`]: true, 'condition TransportServed': 'False NotAvailable' },
  },
  { fields: ['transport'], spec: { transport: 'sse' }, shows: { 'condition TransportServed': 'False NotAvailable' } },
  {
    fields: ['mcpPort'],
    spec: { mcpPort: 9000 },
    shows: {
      [`${server}.ports[http].containerPort`]: 9000,
      [`${server}.env[MCP_PORT].value`]: '9000',
      'Service mcp-grafana spec.ports[port-9000].port': 9000,
      'Service mcp-grafana-headless spec.ports[port-9000].port': 9000,
      'NetworkPolicy grafana-server spec.ingress[0].ports[0].port': 9000,
      'run config servers[0].url': 'http://mcp-grafana.platform-tools.svc.cluster.local:9000/mcp',
    },
  },
  {
    fields: ['proxyPort'],
    spec: { proxyPort: 9090 },
    shows: { [`${service} spec.ports[http].port`]: 9090, 'run config port': 9090, 'status url': `${base}:9090/mcp` },
  },
  { fields: ['args'], spec: { args: ['--debug'] }, shows: { [`${server}.args[0]`]: '--debug' } },
  {
    fields: ['env[].name', 'env[].value'],
    spec: { env: [{ name: 'GRAFANA_URL', value: 'https://grafana' }] },
    shows: { [`${server}.env[GRAFANA_URL].value`]: 'https://grafana' },
  },
  {
    fields: ['secrets[].name', 'secrets[].key', 'secrets[].targetEnvName'],
    spec: { secrets: [{ name: 'grafana-token', key: 'token', targetEnvName: 'TOKEN' }] },
    shows: {
      [`${server}.env[TOKEN].valueFrom.secretKeyRef.name`]: 'grafana-token',
      [`${server}.env[TOKEN].valueFrom.secretKeyRef.key`]: 'token',
    },
  },
  {
    fields: ['resources.limits.cpu', 'resources.limits.memory', 'resources.requests.cpu', 'resources.requests.memory'],
    spec: { resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '2m', memory: '2Mi' } } },
    shows: {
      [`${server}.resources.limits.cpu`]: '1',
      [`${server}.resources.limits.memory`]: '1Gi',
      [`${server}.resources.requests.cpu`]: '2m',
      [`${server}.resources.requests.memory`]: '2Mi',
    },
  },
  {
    fields: ['replicas'],
    spec: { replicas: 2 },
    shows: {
      [`${proxy} spec.replicas`]: 2,
      'condition SessionStorageWarning': 'True SessionStorageMissingForReplicas',
    },
  },
  { fields: ['backendReplicas'], spec: { backendReplicas: 3 }, shows: { 'StatefulSet grafana spec.replicas': 3 } },
  ...proxyEffects(proxy, service),
  {
    fields: ['webhookConfigRef.name'],
    spec: { webhookConfigRef: { name: 'hook' } },
    shows: { ...refused, 'condition WebhookConfigValidated': 'False WebhookConfigInvalid' },
  },
  {
    fields: [
      'rateLimiting.shared.maxTokens',
      'rateLimiting.shared.refillPeriod',
      'rateLimiting.tools[].name',
      'rateLimiting.tools[].shared.maxTokens',
      'rateLimiting.tools[].shared.refillPeriod',
    ],
    base: { sessionStorage: redis },
    spec: { rateLimiting: { shared: limit, tools: [{ name: 'a', shared: limit }] } },
    shows: { 'condition RateLimitEnforced': 'False NotAvailable' },
  },
  {
    fields: [
      'rateLimiting.perUser.maxTokens',
      'rateLimiting.perUser.refillPeriod',
      'rateLimiting.tools[].perUser.maxTokens',
      'rateLimiting.tools[].perUser.refillPeriod',
    ],
    base: { sessionStorage: redis, oidcConfigRef: { name: 'login', audience: 'us' } },
    spec: { rateLimiting: { perUser: limit, tools: [{ name: 'a', perUser: limit }] } },
    shows: { 'condition RateLimitEnforced': 'False NotAvailable' },
  },
  {
    fields: ['endpointPrefix'],
    spec: { endpointPrefix: '/mcp-of/grafana' },
    shows: { 'run config prefix': '/mcp-of/grafana', 'status url': `${base}:8080/mcp-of/grafana/mcp` },
  },
  {
    fields: ['serviceAccount'],
    spec: { serviceAccount: 'mine' },
    shows: { [`${pod}.serviceAccountName`]: 'mine', 'ServiceAccount grafana-sa metadata.name': undefined },
  },
  {
    fields: ['permissionProfile.type', 'permissionProfile.name'],
    spec: { permissionProfile: { type: 'builtin', name: 'none' } },
    shows: {
      'condition PermissionProfileApplied': 'True Applied',
      'NetworkPolicy grafana-server spec.egress[0].to[1].ipBlock.cidr': undefined,
    },
  },
  {
    fields: ['permissionProfile.key'],
    spec: { permissionProfile: { type: 'configmap', name: 'profile', key: 'json' } },
    shows: {
      'condition PermissionProfileApplied': 'True Applied',
      'NetworkPolicy grafana-server spec.egress[0].ports[2].port': 5432,
    },
  },
  {
    fields: ['volumes[].name', 'volumes[].hostPath', 'volumes[].mountPath', 'volumes[].readOnly'],
    spec: { volumes: [{ name: 'data', hostPath: '/srv', mountPath: '/data', readOnly: true }] },
    settings: { podTemplateAllow: new Set(['hostPath']) },
    shows: {
      [`${pod}.volumes[data].hostPath.path`]: '/srv',
      [`${server}.volumeMounts[data].mountPath`]: '/data',
      [`${server}.volumeMounts[data].readOnly`]: true,
    },
  },
  {
    fields: ['volumes[].hostPath'],
    spec: { volumes: [{ name: 'data', hostPath: '/srv', mountPath: '/data' }] },
    shows: { 'condition Ready': 'False HostPathNotAllowed' },
  },
  {
    fields: ['podTemplateSpec'],
    spec: { podTemplateSpec: { spec: { nodeSelector: { disk: 'ssd' } } } },
    shows: { [`${pod}.nodeSelector.disk`]: 'ssd', 'condition PodTemplateValid': 'True ValidPodTemplateSpec' },
  },
]

test('every field of an MCPServer shows in its objects, its run config or its status', () => {
  assertEffects(mcpServer, stage, effects)
  assertComplete('MCPServer', effects, 'agent/operator/fields/mcp-server.test.ts')
})
