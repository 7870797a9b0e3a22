// What stands around the resources of the tests in this folder.

import { configMap, type Manifest } from '../kinds/scene.ts'

/** What counts as one: its content is the proxy's to judge. */
export const certificate = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----'

/** One configuration of each kind. */
export const configs: readonly Manifest[] = [
  { kind: 'MCPGroup', name: 'fleet' },
  {
    kind: 'MCPOIDCConfig',
    name: 'login',
    spec: { type: 'inline', inline: { issuer: 'https://idp.example.com' } },
  },
  {
    kind: 'MCPExternalAuthConfig',
    name: 'key',
    spec: { type: 'bearerToken', bearerToken: { tokenSecretRef: { name: 'api', key: 'token' } } },
  },
  { kind: 'MCPToolConfig', name: 'few', spec: { toolsFilter: ['list_alerts'] } },
  {
    kind: 'MCPTelemetryConfig',
    name: 'otel',
    spec: { openTelemetry: { endpoint: 'otel:4317', tracing: { enabled: true } } },
  },
  {
    kind: 'MCPAuthzConfig',
    name: 'cedar',
    spec: { type: 'cedarv1', config: { policies: ['permit(principal, action, resource);'] } },
  },
  { kind: 'MCPWebhookConfig', name: 'hook' },
]

export const objects = [
  configMap('profile', { json: '{"network": {"outbound": {"allow_port": [5432]}}}' }),
  configMap('ca', { 'ca.crt': certificate }),
]
