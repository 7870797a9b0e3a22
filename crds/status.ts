// What the operator reports about a resource. Status schemas are open: a newer operator may have written more than an older one knows.
import * as z from 'zod'
import { filled, list, text, whole } from './bound.ts'

export const Condition = z.object({
  type: filled(316).describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z.int().min(0).optional().describe('metadata.generation that it is about.'),
  lastTransitionTime: z.iso
    .datetime({ offset: true })
    .max(64)
    .meta({ format: 'date-time', pattern: undefined })
    .describe('When status changed last.'),
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

const readyReplicas = whole(0).optional().describe('Pods that are ready.')

export const MCPServerStatus = z.object({
  ...workload,
  phase: phase(['Pending', 'Ready', 'Failed', 'Terminating', 'Stopped']),
  readyReplicas,
  authServerConfigHash: hash('the embedded authorization server'),
  authzConfigHash: hash('the policies'),
  externalAuthConfigHash: hash('the MCPExternalAuthConfig'),
  oidcConfigHash: hash('the MCPOIDCConfig'),
  telemetryConfigHash: hash('the MCPTelemetryConfig'),
  toolConfigHash: hash('the MCPToolConfig'),
  webhookConfigHash: hash('the MCPWebhookConfig'),
})
export type MCPServerStatus = z.infer<typeof MCPServerStatus>
