// The kinds of resources: how they are called, and by which schema they are read.
// Those of `elsewhere` are ToolHive's as well, but do nothing at an edge.
import { MCPExternalAuthConfig } from './mcp-external-auth-config.ts'
import { MCPGroup } from './mcp-group.ts'
import { MCPOIDCConfig } from './mcp-oidc-config.ts'
import { MCPRemoteProxy } from './mcp-remote-proxy.ts'
import { MCPServerEntry } from './mcp-server-entry.ts'
import { MCPToolConfig } from './mcp-tool-config.ts'
import { toolhive, waggle } from './resource.ts'
import { ToolPolicy } from './tool-policy.ts'
import { VirtualMCPServer } from './virtual-mcp-server.ts'

export const kinds = {
  MCPRemoteProxy: {
    plural: 'mcpremoteproxies',
    singular: 'mcpremoteproxy',
    shortNames: ['rp', 'mcprp'],
    apiVersion: toolhive,
    schema: MCPRemoteProxy,
  },
  MCPServerEntry: {
    plural: 'mcpserverentries',
    singular: 'mcpserverentry',
    shortNames: ['mcpentry'],
    apiVersion: toolhive,
    schema: MCPServerEntry,
  },
  VirtualMCPServer: {
    plural: 'virtualmcpservers',
    singular: 'virtualmcpserver',
    shortNames: ['vmcp', 'virtualmcp'],
    apiVersion: toolhive,
    schema: VirtualMCPServer,
  },
  MCPGroup: {
    plural: 'mcpgroups',
    singular: 'mcpgroup',
    shortNames: ['mcpg'],
    apiVersion: toolhive,
    schema: MCPGroup,
  },
  MCPOIDCConfig: {
    plural: 'mcpoidcconfigs',
    singular: 'mcpoidcconfig',
    shortNames: ['mcpoidc'],
    apiVersion: toolhive,
    schema: MCPOIDCConfig,
  },
  MCPToolConfig: {
    plural: 'mcptoolconfigs',
    singular: 'mcptoolconfig',
    shortNames: ['tc', 'toolconfig'],
    apiVersion: toolhive,
    schema: MCPToolConfig,
  },
  MCPExternalAuthConfig: {
    plural: 'mcpexternalauthconfigs',
    singular: 'mcpexternalauthconfig',
    shortNames: ['extauth', 'mcpextauth'],
    apiVersion: toolhive,
    schema: MCPExternalAuthConfig,
  },
  ToolPolicy: {
    plural: 'toolpolicies',
    singular: 'toolpolicy',
    shortNames: ['tp'],
    apiVersion: waggle,
    schema: ToolPolicy,
  },
} as const

export type Kind = keyof typeof kinds

const words = new Map<string, Kind>()
for (const kind of Object.keys(kinds) as Kind[]) {
  const { plural, singular, shortNames } = kinds[kind]
  for (const word of [kind.toLowerCase(), plural, singular, ...shortNames]) words.set(word, kind)
}

/** The kind that a word means: a kind, its plural, singular or a short name, in any case. Undefined for any other word. */
export function kindOf(word: string): Kind | undefined {
  return words.get(word.toLowerCase())
}

/** ToolHive's kinds that an edge does not take, and what to do instead. */
export const elsewhere: Readonly<Record<string, string>> = {
  MCPServer:
    'MCPServer runs in a cluster; apply it there with kubectl, or name a server that already runs by its URL in an MCPServerEntry',
  MCPAuthzConfig: 'MCPAuthzConfig belongs to a cluster and is not available at the edge yet; use a ToolPolicy here',
  MCPTelemetryConfig: 'MCPTelemetryConfig belongs to a cluster; apply it there with kubectl',
  MCPWebhookConfig: 'MCPWebhookConfig belongs to a cluster; apply it there with kubectl',
  MCPRegistry: 'MCPRegistry belongs to a cluster; apply it there with kubectl',
  EmbeddingServer: 'EmbeddingServer runs in a cluster; apply it there with kubectl',
  VirtualMCPCompositeToolDefinition:
    'VirtualMCPCompositeToolDefinition belongs to a cluster and is not available at the edge yet; apply it there with kubectl',
}
