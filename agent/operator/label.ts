// Names and labels of what the operator creates. They are ToolHive's, so that dashboards, selectors and scripts go on working.
// Selectors of workloads can never change: what a selector holds here is for ever.

import type { Kind } from '../../crds/kinds.ts'

/** `app` of the pods of proxies, by the kind they stand for. */
export const components = {
  MCPServer: 'mcpserver',
  MCPRemoteProxy: 'mcpremoteproxy',
  VirtualMCPServer: 'virtualmcpserver',
} as const satisfies Partial<Record<Kind, string>>

export type ProxiedKind = keyof typeof components

export const MANAGED_BY = 'app.kubernetes.io/managed-by'
export const MANAGER = 'waggle'

/** Tells the pods of a proxy from those of the server behind it. */
export const ROLE = 'waggle.dev/role'

/** The selector of a proxy's Deployment. */
export function proxySelector(kind: ProxiedKind, name: string): Record<string, string> {
  return {
    app: components[kind],
    'app.kubernetes.io/name': components[kind],
    'app.kubernetes.io/instance': name,
    toolhive: 'true',
    'toolhive-name': name,
  }
}

/** Labels of every object of a proxy, and of its pods. */
export function proxyLabels(kind: ProxiedKind, name: string): Record<string, string> {
  return { ...proxySelector(kind, name), [MANAGED_BY]: MANAGER, [ROLE]: 'proxy' }
}

/** Labels of every object of the server itself, and of its pods. */
export function serverLabels(name: string): Record<string, string> {
  return { app: name, toolhive: 'true', 'toolhive-name': name, [MANAGED_BY]: MANAGER, [ROLE]: 'server' }
}

/** The pods of virtual servers, wherever they are. */
export const virtualPods = { 'app.kubernetes.io/name': components.VirtualMCPServer, [ROLE]: 'proxy' } as const

/** The pods of the cluster's uplink, in the operator's namespace. */
export const uplinkPods = { 'app.kubernetes.io/part-of': 'waggle', [ROLE]: 'uplink' } as const

/** Names of the objects that stand for a resource, as ToolHive calls them; aliases are the article's. */
export const names = {
  /** The Service of a proxy, by kind. */
  service(kind: ProxiedKind, name: string): string {
    if (kind === 'MCPServer') return `mcp-${name}-proxy`
    return kind === 'MCPRemoteProxy' ? `mcp-${name}-remote-proxy` : `vmcp-${name}`
  },
  alias: (name: string): string => `mcp-${name}-proxy`,
  /** ServiceAccount, Role and RoleBinding of a proxy. */
  account(kind: ProxiedKind, name: string): string {
    if (kind === 'MCPServer') return `${name}-proxy-runner`
    return kind === 'MCPRemoteProxy' ? `${name}-remote-proxy-runner` : `${name}-vmcp`
  },
  config: (kind: ProxiedKind, name: string): string =>
    kind === 'VirtualMCPServer' ? `${name}-vmcp-config` : `${name}-runconfig`,
  /** The public parts of the keys that were made for a resource. */
  keys: (name: string): string => `${name}-keys`,
  serverAccount: (name: string): string => `${name}-sa`,
  serverService: (name: string): string => `mcp-${name}`,
  headless: (name: string): string => `mcp-${name}-headless`,
} as const

/** The longest name of a resource whose Services' names fit into 63 characters. */
export const MAX_NAME = 63 - 'mcp--remote-proxy'.length

/** What is wrong with a resource's name, for Services are made of it; undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name.includes('.')) return `metadata.name must not contain dots, for Services are named after it`
  if (name.length > MAX_NAME)
    return `metadata.name must have ${MAX_NAME} characters at most, for Services are named after it`
  return undefined
}
