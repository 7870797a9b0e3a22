// One planner for every kind.

import type { Kind } from '../../crds/kinds.ts'
import type { Planner } from './kind.ts'
import { compositeTool } from './kinds/composite-tool.ts'
import { embeddingServer } from './kinds/embedding-server.ts'
import { authzConfig } from './kinds/mcp-authz-config.ts'
import { externalAuthConfig } from './kinds/mcp-external-auth-config.ts'
import { group } from './kinds/mcp-group.ts'
import { oidcConfig } from './kinds/mcp-oidc-config.ts'
import { registry } from './kinds/mcp-registry.ts'
import { remoteProxy } from './kinds/mcp-remote-proxy.ts'
import { serverEntry } from './kinds/mcp-server-entry.ts'
import { mcpServer } from './kinds/mcp-server.ts'
import { telemetryConfig } from './kinds/mcp-telemetry-config.ts'
import { toolConfig } from './kinds/mcp-tool-config.ts'
import { webhookConfig } from './kinds/mcp-webhook-config.ts'
import { toolPolicy } from './kinds/tool-policy.ts'
import { virtualServer } from './kinds/virtual-mcp-server.ts'

const all: readonly { readonly kind: Kind }[] = [
  mcpServer,
  remoteProxy,
  serverEntry,
  virtualServer,
  compositeTool,
  embeddingServer,
  group,
  oidcConfig,
  externalAuthConfig,
  authzConfig,
  toolConfig,
  telemetryConfig,
  webhookConfig,
  registry,
  toolPolicy,
]

/** By kind; the core gives each resources of its own kind only. */
export const planners: ReadonlyMap<Kind, Planner> = new Map(all.map((planner) => [planner.kind, planner as Planner]))
