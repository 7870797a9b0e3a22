// What `kubectl get` prints of each kind: name, status, URL and age where there is an endpoint; the rest with -o wide. STATUS is the
// reason of the Ready condition (`Running`), PHASE is ToolHive's `.status.phase`.
import type { Kind } from './kinds.ts'

export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean' | 'date'
  readonly jsonPath: string
  /** 1 for columns that only `-o wide` prints. */
  readonly priority?: 0 | 1
}

const of = (type: string, field: 'reason' | 'status') => `.status.conditions[?(@.type=='${type}')].${field}`
const text = (name: string, jsonPath: string): Column => ({ name, type: 'string', jsonPath })
const count = (name: string, jsonPath: string): Column => ({ name, type: 'integer', jsonPath })
const flag = (name: string, jsonPath: string): Column => ({ name, type: 'boolean', jsonPath })
const wide = (column: Column): Column => ({ ...column, priority: 1 })

const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }
const status = text('Status', of('Ready', 'reason'))
const url = text('URL', '.status.url')
const phase = text('Phase', '.status.phase')
const ready = text('Ready', of('Ready', 'status'))
const replicas = count('Replicas', '.status.readyReplicas')
const valid = text('Valid', of('Valid', 'status'))
const type = text('Type', '.spec.type')
const remote = text('Remote URL', '.spec.remoteUrl')

export const columns: Readonly<Record<Kind, readonly Column[]>> = {
  MCPServer: [status, url, age, wide(phase), wide(ready), wide(replicas)],
  MCPRemoteProxy: [status, url, age, wide(phase), wide(remote), wide(ready)],
  MCPServerEntry: [
    text('Status', '.status.phase'),
    text('URL', '.spec.remoteUrl'),
    age,
    wide(text('Transport', '.spec.transport')),
    wide(text('Group', '.spec.groupRef.name')),
  ],
  VirtualMCPServer: [status, url, age, wide(phase), wide(count('Backends', '.status.backendCount')), wide(ready)],
  VirtualMCPCompositeToolDefinition: [
    text('Workflow', '.spec.name'),
    text('Status', '.status.validationStatus'),
    age,
    wide(ready),
  ],
  MCPGroup: [
    count('Servers', '.status.serverCount'),
    count('Proxies', '.status.remoteProxyCount'),
    count('Entries', '.status.entryCount'),
    phase,
    age,
    wide(text('Checked', of('MCPServersChecked', 'status'))),
  ],
  MCPOIDCConfig: [text('Source', '.spec.type'), valid, age],
  MCPExternalAuthConfig: [type, valid, age],
  MCPAuthzConfig: [type, valid, age],
  MCPToolConfig: [valid, age],
  MCPTelemetryConfig: [
    text('Endpoint', '.spec.openTelemetry.endpoint'),
    valid,
    flag('Tracing', '.spec.openTelemetry.tracing.enabled'),
    flag('Metrics', '.spec.openTelemetry.metrics.enabled'),
    age,
  ],
  MCPWebhookConfig: [valid, age],
  MCPRegistry: [status, url, age, wide(phase), wide(ready), wide(replicas)],
  EmbeddingServer: [status, url, age, wide(text('Model', '.spec.model')), wide(phase), wide(replicas)],
  ToolPolicy: [text('Kind', '.spec.targetRef.kind'), text('Target', '.spec.targetRef.name'), valid, age],
}

/** Fields for `kubectl get --field-selector`, besides name and namespace. */
export const selectable: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  MCPServer: ['.spec.transport'],
  MCPRemoteProxy: ['.spec.transport'],
  MCPServerEntry: ['.spec.transport'],
  MCPOIDCConfig: ['.spec.type'],
  MCPExternalAuthConfig: ['.spec.type'],
  MCPAuthzConfig: ['.spec.type'],
  ToolPolicy: ['.spec.targetRef.kind', '.spec.targetRef.name'],
}
