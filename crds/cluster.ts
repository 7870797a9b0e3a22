// Resources as a cluster has them: all kinds, with the metadata and the status that an API server returns. Never throws; what the API
// server let through and the operator can't act on comes back as problems, for conditions.
import * as z from 'zod'
import { EmbeddingServer } from './embedding-server.ts'
import type { Kind } from './kinds.ts'
import { edgeSchemas, read } from './manifest.ts'
import { liftIssuer } from './inline-issuer.ts'
import { MCPAuthzConfig } from './mcp-authz-config.ts'
import type { MCPOIDCConfig } from './mcp-oidc-config.ts'
import { MCPRegistry } from './mcp-registry.ts'
import { MCPServer } from './mcp-server.ts'
import { MCPTelemetryConfig } from './mcp-telemetry-config.ts'
import { MCPWebhookConfig } from './mcp-webhook-config.ts'
import type { Problem } from './problem.ts'
import {
  CompositeToolStatus,
  ConfigStatus,
  EmbeddingServerStatus,
  MCPGroupStatus,
  MCPRegistryStatus,
  MCPRemoteProxyStatus,
  MCPServerEntryStatus,
  MCPServerStatus,
  ToolPolicyStatus,
  VirtualMCPServerStatus,
} from './status.ts'
import { VirtualMCPCompositeToolDefinition } from './virtual-mcp-composite-tool-definition.ts'

export const schemas = {
  ...edgeSchemas,
  MCPServer,
  VirtualMCPCompositeToolDefinition,
  MCPAuthzConfig,
  MCPTelemetryConfig,
  MCPWebhookConfig,
  MCPRegistry,
  EmbeddingServer,
} as const satisfies Readonly<Record<Kind, z.ZodObject>>

export const statuses = {
  MCPServer: MCPServerStatus,
  MCPRemoteProxy: MCPRemoteProxyStatus,
  MCPServerEntry: MCPServerEntryStatus,
  VirtualMCPServer: VirtualMCPServerStatus,
  VirtualMCPCompositeToolDefinition: CompositeToolStatus,
  MCPGroup: MCPGroupStatus,
  MCPOIDCConfig: ConfigStatus,
  MCPExternalAuthConfig: ConfigStatus,
  MCPAuthzConfig: ConfigStatus,
  MCPToolConfig: ConfigStatus,
  MCPTelemetryConfig: ConfigStatus,
  MCPWebhookConfig: ConfigStatus,
  MCPRegistry: MCPRegistryStatus,
  EmbeddingServer: EmbeddingServerStatus,
  ToolPolicy: ToolPolicyStatus,
} as const satisfies Readonly<Record<Kind, z.ZodType>>

const OwnerReference = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
})

const ServerSet = z.object({
  generation: z.int().optional().catch(undefined),
  creationTimestamp: z.string().optional().catch(undefined),
  deletionTimestamp: z.string().optional().catch(undefined),
  finalizers: z.array(z.string()).optional().catch(undefined),
  ownerReferences: z.array(OwnerReference).optional().catch(undefined),
})

export type StatusOf<K extends Kind> = z.infer<(typeof statuses)[K]>

/** A resource of kind `K` as the operator works with it. `status` is undefined when nobody wrote one that can be read. */
export type ClusterResource<K extends Kind = Kind> = {
  [T in K]: Omit<z.infer<(typeof schemas)[T]>, 'metadata'> & {
    readonly metadata: z.infer<(typeof schemas)[T]>['metadata'] & z.infer<typeof ServerSet>
    readonly status?: StatusOf<T>
  }
}[K]

/** A resource and the MCPOIDCConfigs that stand for old inline ones: they exist nowhere else, and `resource` names them. */
export type Observation<K extends Kind = Kind> =
  | {
      readonly ok: true
      readonly resource: ClusterResource<K>
      readonly warnings: readonly Problem[]
      readonly derived: readonly MCPOIDCConfig[]
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Reads an object that an API server returned. */
export function readResource(raw: unknown): Observation {
  return readAs(raw, schemas)
}

/** As `readResource`, when the object can only be of `kind`. */
export function readKind<K extends Kind>(kind: K, raw: unknown): Observation<K> {
  return readAs<K>(raw, { [kind]: schemas[kind] })
}

function readAs<K extends Kind>(raw: unknown, wanted: Readonly<Partial<Record<Kind, z.ZodType>>>): Observation<K> {
  const lifted = liftIssuer(raw)
  const parsed = read<z.infer<(typeof schemas)[K]>>(lifted.input, wanted, 'cluster')
  const problems = [...lifted.problems, ...(parsed.ok ? [] : parsed.problems)]
  if (!parsed.ok || problems.length > 0) return { ok: false, problems }
  const { resource, warnings } = parsed
  const given = raw as { readonly metadata: unknown; readonly status?: unknown }
  const set = ServerSet.safeParse(given.metadata).data ?? {}
  const status = statuses[resource.kind].safeParse(given.status).data
  return {
    ok: true,
    resource: {
      ...resource,
      metadata: { ...resource.metadata, ...set },
      ...(status === undefined ? {} : { status }),
    } as unknown as ClusterResource<K>,
    warnings: [...lifted.warnings, ...warnings],
    derived: lifted.derived,
  }
}
