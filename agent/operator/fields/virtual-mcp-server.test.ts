import { test } from 'node:test'
import { virtualServer } from '../kinds/virtual-mcp-server.ts'
import { assertComplete, assertEffects, type Effect, type Stage } from './effect.ts'
import { redis } from './proxy-effects.ts'
import { configs, objects } from './stage.ts'

const consent = { 'waggle.dev/allow-virtual-servers-from': 'platform-tools' }
const image = { image: 'one', transport: 'streamable-http' }

const stage: Stage = {
  kind: 'VirtualMCPServer',
  name: 'all',
  spec: { backends: [{ name: 'one' }, { name: 'docs' }] },
  others: [
    ...configs,
    { kind: 'MCPServer', name: 'one', spec: { ...image, groupRef: { name: 'fleet' } } },
    { kind: 'MCPServer', name: 'two', spec: image },
    { kind: 'MCPServer', name: 'three', namespace: 'elsewhere', spec: image, annotations: consent },
    {
      kind: 'MCPServerEntry',
      name: 'docs',
      spec: { remoteUrl: 'https://docs.example.com/mcp', transport: 'streamable-http' },
    },
  ],
  objects,
}

const deployment = 'Deployment all'
const pod = `${deployment} spec.template.spec`
const service = 'Service vmcp-all'
const one = 'run config endpoint.members[0]'
const docs = 'run config endpoint.members[1]'
const aggregation = 'run config endpoint.aggregation'
const idle = { 'condition FieldsWithoutEffect': 'True NotAvailable' }
const config = (value: object): object => ({ config: value })
const tools = (value: object): object => config({ aggregation: { tools: [{ workload: 'one', ...value }] } })
const upstream = { name: 'idp', type: 'oidc', oidcConfig: { issuerUrl: 'https://idp.example.com', clientId: 'us' } }
const step = { id: 'a', tool: 'one_list' }

const servers: readonly Effect[] = [
  {
    fields: ['backends[].name'],
    spec: { backends: [{ name: 'two' }] },
    shows: { 'run config servers[0].key': 'platform-tools/two', [`${one}.workload`]: 'two' },
  },
  {
    fields: ['backends[].namespace'],
    spec: { backends: [{ name: 'three', namespace: 'elsewhere' }] },
    shows: { 'run config servers[0].key': 'elsewhere/three' },
  },
  {
    fields: ['groupRef'],
    base: { backends: undefined },
    spec: { groupRef: { name: 'fleet' } },
    shows: { 'run config servers[0].key': 'platform-tools/one', 'condition GroupRefValidated': 'True GroupRefIsValid' },
  },
  {
    fields: ['outgoingAuth.source', 'outgoingAuth.default.type', 'outgoingAuth.default.externalAuthConfigRef.name'],
    spec: {
      outgoingAuth: {
        source: 'inline',
        default: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name: 'key' } },
      },
    },
    shows: { [`${docs}.credential.header`]: 'authorization', [`${docs}.credential.secret.name`]: 'api' },
  },
  {
    fields: ['outgoingAuth.backends.*.type', 'outgoingAuth.backends.*.externalAuthConfigRef.name'],
    spec: {
      outgoingAuth: { backends: { docs: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name: 'key' } } } },
    },
    shows: { [`${docs}.credential.header`]: 'authorization', [`${docs}.credential.secret.name`]: 'api' },
  },
]

const callers: readonly Effect[] = [
  {
    fields: ['incomingAuth.type'],
    spec: { incomingAuth: { type: 'anonymous' } },
    shows: { 'condition AuthConfigured': 'True IncomingAuthValid' },
  },
  {
    fields: [
      'incomingAuth.oidcConfigRef.name',
      'incomingAuth.oidcConfigRef.audience',
      'incomingAuth.oidcConfigRef.resourceUrl',
      'incomingAuth.oidcConfigRef.scopes',
    ],
    spec: {
      incomingAuth: {
        type: 'oidc',
        oidcConfigRef: { name: 'login', audience: 'us', resourceUrl: 'https://r.example.com', scopes: ['read'] },
      },
    },
    shows: {
      'run config endpoint.guard.issuers[0].issuer': 'https://idp.example.com',
      'run config endpoint.guard.audience': 'us',
      'run config endpoint.guard.resource': 'https://r.example.com',
      'run config endpoint.guard.scopes[0]': 'read',
    },
  },
  {
    fields: [
      'incomingAuth.authzConfig.type',
      'incomingAuth.authzConfig.configMap.name',
      'incomingAuth.authzConfig.configMap.key',
      'incomingAuth.authzConfig.inline.policies',
      'incomingAuth.authzConfig.inline.entitiesJson',
      'incomingAuth.authzConfig.inline.primaryUpstreamProvider',
      'incomingAuth.authzConfig.groupClaimName',
      'incomingAuth.authzConfig.groupEntityType',
      'incomingAuth.authzConfig.roleClaimName',
    ],
    spec: {
      incomingAuth: {
        type: 'anonymous',
        authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } },
      },
    },
    shows: { 'condition AuthConfigured': 'False IncomingAuthInvalid' },
  },
  {
    fields: ['incomingAuth.authzConfigRef.name'],
    spec: { incomingAuth: { type: 'anonymous', authzConfigRef: { name: 'cedar' } } },
    shows: { 'condition AuthConfigured': 'False IncomingAuthInvalid' },
  },
]

const catalog: readonly Effect[] = [
  {
    fields: [
      'config.aggregation.conflictResolution',
      'config.aggregation.conflictResolutionConfig.prefixFormat',
      'config.aggregation.conflictResolutionConfig.priorityOrder',
    ],
    spec: config({
      aggregation: {
        conflictResolution: 'priority',
        conflictResolutionConfig: { prefixFormat: '{workload}.', priorityOrder: ['docs'] },
      },
    }),
    shows: {
      [`${aggregation}.strategy`]: 'priority',
      [`${aggregation}.prefixFormat`]: '{workload}.',
      [`${aggregation}.priorityOrder[0]`]: 'docs',
    },
  },
  {
    fields: ['config.aggregation.excludeAllTools', 'config.aggregation.defaultToolVisibility'],
    spec: config({ aggregation: { excludeAllTools: true, defaultToolVisibility: 'deny' } }),
    shows: { [`${aggregation}.excludeAllTools`]: true, [`${aggregation}.defaultToolVisibility`]: 'deny' },
  },
  {
    fields: ['config.aggregation.tools[].workload', 'config.aggregation.tools[].filter'],
    spec: tools({ filter: ['list'] }),
    shows: { [`${one}.filter[0]`]: 'list' },
  },
  {
    fields: [
      'config.aggregation.tools[].overrides.*.name',
      'config.aggregation.tools[].overrides.*.description',
      'config.aggregation.tools[].overrides.*.annotations.title',
      'config.aggregation.tools[].overrides.*.annotations.readOnlyHint',
      'config.aggregation.tools[].overrides.*.annotations.destructiveHint',
      'config.aggregation.tools[].overrides.*.annotations.idempotentHint',
      'config.aggregation.tools[].overrides.*.annotations.openWorldHint',
    ],
    spec: tools({
      overrides: {
        list: {
          name: 'ls',
          description: 'Lists.',
          annotations: {
            title: 'List',
            readOnlyHint: true,
            destructiveHint: false,
            idempotentHint: true,
            openWorldHint: false,
          },
        },
      },
    }),
    shows: {
      [`${one}.overrides.list.name`]: 'ls',
      [`${one}.overrides.list.description`]: 'Lists.',
      [`${one}.overrides.list.annotations.title`]: 'List',
      [`${one}.overrides.list.annotations.readOnlyHint`]: true,
      [`${one}.overrides.list.annotations.destructiveHint`]: false,
      [`${one}.overrides.list.annotations.idempotentHint`]: true,
      [`${one}.overrides.list.annotations.openWorldHint`]: false,
    },
  },
  {
    fields: ['config.aggregation.tools[].excludeAll'],
    spec: tools({ excludeAll: true }),
    shows: { [`${one}.excludeAll`]: true },
  },
  {
    fields: ['config.aggregation.tools[].toolConfigRef.name'],
    spec: tools({ toolConfigRef: { name: 'few' } }),
    shows: { [`${one}.filter[0]`]: 'list_alerts' },
  },
]

const operation: readonly Effect[] = [
  {
    fields: ['config.operational.timeouts.default', 'config.operational.timeouts.perWorkload'],
    spec: config({ operational: { timeouts: { default: '10s', perWorkload: { docs: '90s' } } } }),
    shows: { [`${one}.timeoutMs`]: 10_000, [`${docs}.timeoutMs`]: 90_000 },
  },
  {
    fields: [
      'config.operational.failureHandling.circuitBreaker.enabled',
      'config.operational.failureHandling.circuitBreaker.failureThreshold',
      'config.operational.failureHandling.circuitBreaker.timeout',
    ],
    spec: config({
      operational: { failureHandling: { circuitBreaker: { enabled: true, failureThreshold: 7, timeout: '20s' } } },
    }),
    shows: { [`${one}.breaker.threshold`]: 7, [`${one}.breaker.openMs`]: 20_000 },
  },
  {
    fields: ['config.audit.enabled'],
    spec: config({ audit: { enabled: false } }),
    shows: { 'run config audit.enabled': false },
  },
  {
    fields: ['proxyPort'],
    spec: { proxyPort: 9090 },
    shows: {
      [`${service} spec.ports[http-9090].port`]: 9090,
      'Service mcp-all-proxy spec.ports[http].port': 9090,
      'status url': 'http://vmcp-all.platform-tools.svc.cluster.local:9090/mcp',
    },
  },
  { fields: ['replicas'], spec: { replicas: 2 }, shows: { [`${deployment} spec.replicas`]: 2 } },
  { fields: ['serviceAccount'], spec: { serviceAccount: 'mine' }, shows: { [`${pod}.serviceAccountName`]: 'mine' } },
  { fields: ['serviceType'], spec: { serviceType: 'NodePort' }, shows: { [`${service} spec.type`]: 'NodePort' } },
  {
    fields: ['sessionAffinity'],
    spec: { sessionAffinity: 'None' },
    shows: { [`${service} spec.sessionAffinity`]: 'None' },
  },
  {
    fields: ['imagePullSecrets[].name'],
    spec: { imagePullSecrets: [{ name: 'pull' }] },
    shows: { [`${pod}.imagePullSecrets[pull].name`]: 'pull' },
  },
  {
    fields: ['podTemplateSpec'],
    spec: { podTemplateSpec: { spec: { nodeSelector: { disk: 'ssd' } } } },
    shows: { [`${pod}.nodeSelector.disk`]: 'ssd', 'condition PodTemplateSpecValid': 'True ValidPodTemplateSpec' },
  },
  {
    fields: ['sessionStorage.provider'],
    spec: { sessionStorage: redis },
    shows: { ...idle, 'condition SessionStorageWarning': 'False SessionStorageConfigured' },
  },
]

/** What is accepted and does nothing yet is said in a condition. */
const later: readonly Effect[] = [
  {
    fields: ['config.compositeTools[].name'],
    spec: config({ compositeTools: [{ name: 'both', steps: [step] }] }),
    shows: idle,
  },
  { fields: ['config.compositeToolRefs[].name'], spec: config({ compositeToolRefs: [{ name: 'both' }] }), shows: idle },
  {
    fields: ['config.rateLimiting.shared.maxTokens'],
    base: { sessionStorage: { provider: 'memory' } },
    spec: { ...config({ rateLimiting: { shared: { maxTokens: 1, refillPeriod: '1s' } } }), sessionStorage: redis },
    shows: idle,
  },
  { fields: ['config.codeMode.enabled'], spec: config({ codeMode: { enabled: true } }), shows: idle },
  { fields: ['config.optimizer.maxToolsToReturn'], spec: config({ optimizer: { maxToolsToReturn: 5 } }), shows: idle },
  {
    fields: ['config.backends[].name'],
    spec: config({ backends: [{ name: 'a', url: 'https://a.example.com', transport: 'sse' }] }),
    shows: idle,
  },
  { fields: ['config.outgoingAuth.source'], spec: config({ outgoingAuth: { source: 'inline' } }), shows: idle },
  { fields: ['config.sessionStorage.provider'], spec: config({ sessionStorage: { provider: 'memory' } }), shows: idle },
  { fields: ['config.telemetry.endpoint'], spec: config({ telemetry: { endpoint: 'otel:4317' } }), shows: idle },
  { fields: ['config.passthroughHeaders'], spec: config({ passthroughHeaders: ['X-Team'] }), shows: idle },
  {
    fields: ['config.operational.failureHandling.partialFailureMode'],
    spec: config({ operational: { failureHandling: { partialFailureMode: 'best_effort' } } }),
    shows: idle,
  },
  { fields: ['config.audit.eventTypes'], spec: config({ audit: { eventTypes: ['mcp_tool_call'] } }), shows: idle },
  { fields: ['passthroughHeaders'], spec: { passthroughHeaders: ['X-Team'] }, shows: idle },
  { fields: ['embeddingServerRef.name'], spec: { embeddingServerRef: { name: 'e' } }, shows: idle },
  { fields: ['telemetry'], spec: { telemetry: {} }, shows: idle },
  {
    fields: ['telemetryConfigRef.name'],
    spec: { telemetryConfigRef: { name: 'otel', serviceName: 'all' } },
    shows: { 'condition TelemetryConfigRefValidated': 'True TelemetryConfigRefValid' },
  },
  {
    fields: ['authServerConfig.issuer'],
    spec: { authServerConfig: { issuer: 'https://as.example.com', upstreamProviders: [upstream] } },
    shows: { 'condition AuthConfigured': 'False IncomingAuthInvalid' },
  },
]

test('every field of a VirtualMCPServer shows in its objects, its run config or its status', () => {
  const effects = [...servers, ...callers, ...catalog, ...operation, ...later]
  assertEffects(virtualServer, stage, effects)
  assertComplete('VirtualMCPServer', effects, 'agent/operator/fields/virtual-mcp-server.test.ts')
})
