// What the operator reports about a resource. Status schemas are open: a newer operator may have written more than an older one knows.
import * as z from 'zod'
import { filled, list, text, whole } from './bound.ts'

const time = text(64).meta({ format: 'date-time' })

export const Condition = z.object({
  type: filled(316).describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z.int().min(0).optional().describe('metadata.generation that it is about.'),
  lastTransitionTime: time.describe('When status changed last.'),
  reason: filled(1024).describe('Why, in one word.'),
  message: text(32_768).describe('Why, in a sentence.'),
})
export type Condition = z.infer<typeof Condition>

const hash = (of: string) => text(128).optional().describe(`Hash of ${of} that is in use.`)

/** Fields that every status has. */
const base = {
  conditions: list(Condition, 64)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .describe('The state in detail.'),
  observedGeneration: z.int().min(0).optional().describe('metadata.generation that the status is about.'),
}

/** Fields of the status of a workload: something with a phase, a message and mostly a URL. */
const workload = {
  ...base,
  message: text(32_768).optional().describe('The state in a sentence.'),
  url: text(2048).optional().describe('URL of the endpoint inside the cluster.'),
}

const phase = <const P extends readonly [string, ...string[]]>(phases: P) =>
  z.enum(phases).optional().describe('The state in a word.')

/** What ToolHive writes and its exported manifests hold. */
const ofToolHive = <T extends z.ZodType>(field: T) =>
  field.optional().describe("ToolHive's: accepted, and never written here.")

const readyReplicas = whole(0).optional().describe('Pods that are ready.')

export const MCPServerStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Ready', 'Failed', 'Terminating', 'Stopped']),
  readyReplicas,
  authServerConfigHash: ofToolHive(text(128)),
  authzConfigHash: hash('the policies'),
  externalAuthConfigHash: hash('the MCPExternalAuthConfig'),
  oidcConfigHash: hash('the MCPOIDCConfig'),
  telemetryConfigHash: hash('the MCPTelemetryConfig'),
  toolConfigHash: hash('the MCPToolConfig'),
  webhookConfigHash: hash('the MCPWebhookConfig'),
})
export type MCPServerStatus = z.infer<typeof MCPServerStatus>

export const MCPRemoteProxyStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Ready', 'Failed', 'Terminating']),
  readyReplicas,
  externalUrl: ofToolHive(text(2048)),
  authServerConfigHash: ofToolHive(text(128)),
  authzConfigHash: hash('the policies'),
  externalAuthConfigHash: hash('the MCPExternalAuthConfig'),
  oidcConfigHash: hash('the MCPOIDCConfig'),
  telemetryConfigHash: hash('the MCPTelemetryConfig'),
  toolConfigHash: hash('the MCPToolConfig'),
})
export type MCPRemoteProxyStatus = z.infer<typeof MCPRemoteProxyStatus>

export const MCPServerEntryStatus = z.object({ ...base, phase: phase(['Valid', 'Pending', 'Failed']) })
export type MCPServerEntryStatus = z.infer<typeof MCPServerEntryStatus>

const DiscoveredBackend = z.object({
  name: filled(253).describe('Name of the server.'),
  url: text(2048).optional().describe('URL that it is called at.'),
  status: text(64).optional().describe('How it is: ready, unavailable or unknown.'),
  message: text(32_768).optional().describe('How it is, in a sentence.'),
  authType: text(64).optional().describe('How it is authenticated to.'),
  authConfigRef: text(253).optional().describe('The MCPExternalAuthConfig that is used.'),
  mcpRevision: text(32)
    .optional()
    .describe('Revision of the protocol that it speaks; an edge tells it, an operator does not.'),
  lastHealthCheck: time.optional().describe('When it was looked at last; an edge tells it, an operator does not.'),
  consecutiveFailures: ofToolHive(whole(0)),
  circuitBreakerState: ofToolHive(z.enum(['closed', 'open', 'half-open'])),
  circuitLastChanged: ofToolHive(time),
})

export const VirtualMCPServerStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Ready', 'Degraded', 'Failed']),
  readyReplicas,
  backendCount: whole(0).optional().describe('Servers behind the endpoint that are ready.'),
  discoveredBackends: list(DiscoveredBackend, 1024)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe('The servers behind the endpoint.'),
  authzConfigHash: hash('the policies'),
  oidcConfigHash: hash('the MCPOIDCConfig'),
  telemetryConfigHash: hash('the MCPTelemetryConfig'),
})
export type VirtualMCPServerStatus = z.infer<typeof VirtualMCPServerStatus>

const members = (what: string) =>
  list(filled(253), 1024)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'set' })
    .describe(`Names of the ${what} in the group.`)
const count = (what: string) => whole(0).optional().describe(`Number of ${what} in the group.`)

export const MCPGroupStatus = z.object({
  ...base,
  phase: phase(['Ready', 'Pending', 'Failed']),
  servers: members('MCPServers'),
  serverCount: count('MCPServers'),
  remoteProxies: members('MCPRemoteProxies'),
  remoteProxyCount: count('MCPRemoteProxies'),
  entries: members('MCPServerEntries'),
  entryCount: count('MCPServerEntries'),
})
export type MCPGroupStatus = z.infer<typeof MCPGroupStatus>

/** The status of what other resources refer to for its settings. */
export const ConfigStatus = z.object({ ...base, configHash: hash('the settings') })
export type ConfigStatus = z.infer<typeof ConfigStatus>

export const CompositeToolStatus = z.object({
  ...base,
  validationStatus: z.enum(['Valid', 'Invalid', 'Unknown']).optional().describe('Whether the workflow can run.'),
  validationErrors: list(text(2048)).optional().describe('What is wrong with it.'),
  referencingVirtualServers: list(filled(253), 1024)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'set' })
    .describe('VirtualMCPServers that have the tool.'),
})
export type CompositeToolStatus = z.infer<typeof CompositeToolStatus>

export const MCPRegistryStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Ready', 'Failed', 'Terminating']),
  readyReplicas,
})
export type MCPRegistryStatus = z.infer<typeof MCPRegistryStatus>

export const EmbeddingServerStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Downloading', 'Ready', 'Failed', 'Terminating']),
  readyReplicas,
})
export type EmbeddingServerStatus = z.infer<typeof EmbeddingServerStatus>

export const ToolPolicyStatus = z.object(base)
export type ToolPolicyStatus = z.infer<typeof ToolPolicyStatus>
