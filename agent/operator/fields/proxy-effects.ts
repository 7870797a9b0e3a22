// What every server with a proxy has in its spec: who may call, how the server is called, and what its pods look like.

import type { Effect } from './effect.ts'

/** Sessions in Redis, with every field. */
export const redis = {
  provider: 'redis',
  address: 'redis:6379',
  db: 1,
  keyPrefix: 'x:',
  passwordRef: { name: 'p', key: 'k' },
}

/** Nobody may call. */
export const refused = { 'condition AuthConfigured': 'False AuthenticationRequired' }

/** `proxy` is the Deployment and `service` the Service of the proxy, as places of a plan. */
export function proxyEffects(proxy: string, service: string): Effect[] {
  return [
    {
      fields: ['groupRef'],
      spec: { groupRef: { name: 'fleet' } },
      shows: { 'condition GroupRefValidated': 'True GroupRefIsValid' },
    },
    {
      fields: ['oidcConfigRef.name', 'oidcConfigRef.audience', 'oidcConfigRef.resourceUrl', 'oidcConfigRef.scopes'],
      spec: {
        oidcConfigRef: { name: 'login', audience: 'us', resourceUrl: 'https://r.example.com', scopes: ['read'] },
      },
      shows: {
        'run config endpoint.guard.issuers[0].issuer': 'https://idp.example.com',
        'run config endpoint.guard.audience': 'us',
        'run config endpoint.guard.resource': 'https://r.example.com',
        'run config endpoint.guard.scopes[0]': 'read',
      },
    },
    {
      fields: ['externalAuthConfigRef.name'],
      spec: { externalAuthConfigRef: { name: 'key' } },
      shows: {
        'run config servers[0].credential.header': 'authorization',
        'run config servers[0].credential.secret.name': 'api',
        [`${proxy} spec.template.spec.volumes[secrets].projected.sources[0].secret.name`]: 'api',
      },
    },
    {
      fields: ['authServerRef.kind', 'authServerRef.name'],
      spec: { authServerRef: { kind: 'MCPExternalAuthConfig', name: 'key' } },
      shows: refused,
    },
    {
      fields: [
        'authzConfig.type',
        'authzConfig.configMap.name',
        'authzConfig.configMap.key',
        'authzConfig.inline.policies',
        'authzConfig.inline.entitiesJson',
        'authzConfig.inline.primaryUpstreamProvider',
        'authzConfig.groupClaimName',
        'authzConfig.groupEntityType',
        'authzConfig.roleClaimName',
      ],
      spec: { authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } } },
      shows: refused,
    },
    { fields: ['authzConfigRef.name'], spec: { authzConfigRef: { name: 'cedar' } }, shows: refused },
    {
      fields: ['toolConfigRef.name'],
      spec: { toolConfigRef: { name: 'few' } },
      shows: { 'run config endpoint.members[0].filter[0]': 'list_alerts' },
    },
    {
      fields: ['telemetryConfigRef.name', 'telemetryConfigRef.serviceName'],
      spec: { telemetryConfigRef: { name: 'otel', serviceName: 'grafana' } },
      shows: { 'condition TelemetryConfigRefValidated': 'True TelemetryConfigRefValid' },
    },
    { fields: ['audit.enabled'], spec: { audit: { enabled: false } }, shows: { 'run config audit.enabled': false } },
    {
      fields: [
        'sessionStorage.provider',
        'sessionStorage.address',
        'sessionStorage.db',
        'sessionStorage.keyPrefix',
        'sessionStorage.passwordRef.name',
        'sessionStorage.passwordRef.key',
      ],
      spec: { sessionStorage: redis },
      shows: { 'condition SessionStorageWarning': 'False SessionStorageConfigured' },
    },
    {
      fields: ['sessionAffinity'],
      spec: { sessionAffinity: 'None' },
      shows: { [`${service} spec.sessionAffinity`]: 'None' },
    },
    {
      fields: ['trustProxyHeaders'],
      spec: { trustProxyHeaders: true },
      shows: { 'run config trustProxyHeaders': true },
    },
    {
      fields: [
        'resourceOverrides.proxyDeployment.annotations',
        'resourceOverrides.proxyDeployment.labels',
        'resourceOverrides.proxyDeployment.env[].name',
        'resourceOverrides.proxyDeployment.env[].value',
        'resourceOverrides.proxyDeployment.imagePullSecrets[].name',
        'resourceOverrides.proxyDeployment.podTemplateMetadataOverrides.annotations',
        'resourceOverrides.proxyDeployment.podTemplateMetadataOverrides.labels',
        'resourceOverrides.proxyService.annotations',
        'resourceOverrides.proxyService.labels',
      ],
      spec: {
        resourceOverrides: {
          proxyDeployment: {
            annotations: { a: '1' },
            labels: { b: '2' },
            env: [{ name: 'C', value: '3' }],
            imagePullSecrets: [{ name: 'pull' }],
            podTemplateMetadataOverrides: { annotations: { d: '4' }, labels: { e: '5' } },
          },
          proxyService: { annotations: { f: '6' }, labels: { g: '7' } },
        },
      },
      shows: {
        [`${proxy} metadata.annotations.a`]: '1',
        [`${proxy} metadata.labels.b`]: '2',
        [`${proxy} spec.template.spec.containers[toolhive].env[C].value`]: '3',
        [`${proxy} spec.template.spec.imagePullSecrets[pull].name`]: 'pull',
        [`${proxy} spec.template.metadata.annotations.d`]: '4',
        [`${proxy} spec.template.metadata.labels.e`]: '5',
        [`${service} metadata.annotations.f`]: '6',
        [`${service} metadata.labels.g`]: '7',
      },
    },
  ]
}
