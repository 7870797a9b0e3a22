// The kinds of resources and how they are called. `hosts` says where a kind does something: some of ToolHive's do only in a cluster.
import { toolhive, toolhiveAlpha, waggle } from './resource.ts'

/** Where resources are read: by an edge, or by a cluster's operator. */
export type Host = 'edge' | 'cluster'

interface Naming {
  /** What it is, in a sentence. */
  readonly summary: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  /** The present version; ToolHive's kinds with v1beta1 are served as v1alpha1 too. */
  readonly apiVersion: string
  readonly hosts: readonly Host[]
}

const both = ['edge', 'cluster'] as const
const cluster = ['cluster'] as const

export const kinds = {
  MCPServer: {
    summary: 'A server that runs in this cluster, behind a proxy that authenticates, limits and audits.',
    plural: 'mcpservers',
    singular: 'mcpserver',
    shortNames: ['mcpserver', 'mcpservers'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  MCPRemoteProxy: {
    summary: 'A server that runs elsewhere, behind a proxy that authenticates, limits and audits.',
    plural: 'mcpremoteproxies',
    singular: 'mcpremoteproxy',
    shortNames: ['rp', 'mcprp'],
    apiVersion: toolhive,
    hosts: both,
  },
  MCPServerEntry: {
    summary: 'A server that runs elsewhere and that virtual servers call directly.',
    plural: 'mcpserverentries',
    singular: 'mcpserverentry',
    shortNames: ['mcpentry'],
    apiVersion: toolhive,
    hosts: both,
  },
  VirtualMCPServer: {
    summary: 'One endpoint for many servers.',
    plural: 'virtualmcpservers',
    singular: 'virtualmcpserver',
    shortNames: ['vmcp', 'virtualmcp'],
    apiVersion: toolhive,
    hosts: both,
  },
  VirtualMCPCompositeToolDefinition: {
    summary: 'A tool made of several steps, for virtual servers.',
    plural: 'virtualmcpcompositetooldefinitions',
    singular: 'virtualmcpcompositetooldefinition',
    shortNames: ['vmcpctd', 'compositetool'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  MCPGroup: {
    summary: 'A group that servers join and virtual servers make into one.',
    plural: 'mcpgroups',
    singular: 'mcpgroup',
    shortNames: ['mcpg', 'mcpgroup'],
    apiVersion: toolhive,
    hosts: both,
  },
  MCPOIDCConfig: {
    summary: 'An issuer whose users may call servers.',
    plural: 'mcpoidcconfigs',
    singular: 'mcpoidcconfig',
    shortNames: ['mcpoidc'],
    apiVersion: toolhive,
    hosts: both,
  },
  MCPExternalAuthConfig: {
    summary: 'How a server is authenticated to.',
    plural: 'mcpexternalauthconfigs',
    singular: 'mcpexternalauthconfig',
    shortNames: ['extauth', 'mcpextauth'],
    apiVersion: toolhive,
    hosts: both,
  },
  MCPAuthzConfig: {
    summary: 'Policies over what callers may do, for several servers.',
    plural: 'mcpauthzconfigs',
    singular: 'mcpauthzconfig',
    shortNames: ['authzcfg'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  MCPToolConfig: {
    summary: 'Which tools of a server are shown, and how.',
    plural: 'mcptoolconfigs',
    singular: 'mcptoolconfig',
    shortNames: ['tc', 'toolconfig'],
    apiVersion: toolhive,
    hosts: both,
  },
  MCPTelemetryConfig: {
    summary: 'Where traces and metrics go.',
    plural: 'mcptelemetryconfigs',
    singular: 'mcptelemetryconfig',
    shortNames: ['mcpotel'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  MCPWebhookConfig: {
    summary: 'Webhooks that see every request of a server.',
    plural: 'mcpwebhookconfigs',
    singular: 'mcpwebhookconfig',
    shortNames: ['mwc'],
    apiVersion: toolhiveAlpha,
    hosts: cluster,
  },
  MCPRegistry: {
    summary: 'A catalogue of servers. Deprecated.',
    plural: 'mcpregistries',
    singular: 'mcpregistry',
    shortNames: ['mcpreg', 'registry'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  EmbeddingServer: {
    summary: 'A model that turns text into vectors, for the search over tools.',
    plural: 'embeddingservers',
    singular: 'embeddingserver',
    shortNames: ['emb', 'embedding'],
    apiVersion: toolhive,
    hosts: cluster,
  },
  ToolPolicy: {
    summary: 'Who may see and call which tools of a server.',
    plural: 'toolpolicies',
    singular: 'toolpolicy',
    shortNames: ['tp'],
    apiVersion: waggle,
    hosts: both,
  },
} as const satisfies Readonly<Record<string, Naming>>

export type Kind = keyof typeof kinds

/** The kinds that an edge takes. */
export type EdgeKind = { [K in Kind]: 'edge' extends (typeof kinds)[K]['hosts'][number] ? K : never }[Kind]

export function isKind(word: string): word is Kind {
  return Object.hasOwn(kinds, word)
}

export function isEdgeKind(kind: Kind): kind is EdgeKind {
  const hosts: readonly Host[] = kinds[kind].hosts
  return hosts.includes('edge')
}

export const allKinds: readonly Kind[] = Object.keys(kinds).filter(isKind)

export const edgeKinds: readonly EdgeKind[] = allKinds.filter(isEdgeKind)

const words = new Map<string, Kind>()
for (const kind of allKinds) {
  const { plural, singular, shortNames } = kinds[kind]
  for (const word of [kind.toLowerCase(), plural, singular, ...shortNames]) words.set(word, kind)
}

/**
 * The kind that a word means: a kind, its plural, singular or a short name, in any case. Undefined for any other word, and for kinds
 * that `host` does not take.
 */
export function kindOf(word: string): EdgeKind | undefined
export function kindOf(word: string, host: 'cluster'): Kind | undefined
export function kindOf(word: string, host: Host = 'edge'): Kind | undefined {
  const kind = words.get(word.toLowerCase())
  return kind !== undefined && (host === 'cluster' || isEdgeKind(kind)) ? kind : undefined
}

/** Why an edge does not take a kind of ToolHive's, and what to do instead. */
export const elsewhere: Readonly<Record<Exclude<Kind, EdgeKind>, string>> = {
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
