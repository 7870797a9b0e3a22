// Where servers and endpoints of a cluster are: names of Services, and the URLs that follow from them.

import type { ServerResource, VirtualResource } from './members.ts'

/** Port of a server's container when `mcpPort` is left out, and of an endpoint when `proxyPort` is. */
export const DEFAULT_PORT = 8080
/** Port of every virtual server; `proxyPort` adds another. */
export const VIRTUAL_PORT = 4483
/** Port of every proxy for health, metrics and its catalog. */
export const INTERNAL_PORT = 9464

/** Whatever has a proxy of its own. */
export type EndpointResource = Exclude<ServerResource, { kind: 'MCPServerEntry' }> | VirtualResource

/** The Service in front of an endpoint's proxies. */
export function endpointService({ kind, metadata: { name } }: EndpointResource): string {
  switch (kind) {
    case 'MCPServer':
      return `mcp-${name}-proxy`
    case 'MCPRemoteProxy':
      return `mcp-${name}-remote-proxy`
    case 'VirtualMCPServer':
      return `vmcp-${name}`
  }
}

export function endpointPort(resource: EndpointResource): number {
  return resource.spec.proxyPort ?? (resource.kind === 'VirtualMCPServer' ? VIRTUAL_PORT : DEFAULT_PORT)
}

/** Path that an ingress puts before the endpoint: empty, or with a slash before and none behind. */
export function endpointPrefix(resource: EndpointResource): string {
  if (resource.kind === 'VirtualMCPServer') return ''
  const path = (resource.spec.endpointPrefix ?? '').replace(/^\/+|\/+$/gu, '')
  return path === '' ? '' : `/${path}`
}

/** URL for clients in the cluster. */
export function endpointUrl(resource: EndpointResource): string {
  return `${inside(endpointService(resource), resource, endpointPort(resource))}${endpointPrefix(resource)}/mcp`
}

/** Where its proxies publish the endpoint's catalog. */
export function catalogUrl(resource: EndpointResource): string {
  return `${inside(endpointService(resource), resource, INTERNAL_PORT)}/catalog`
}

/** Where a server itself answers. */
export function serverUrl(server: ServerResource): string {
  if (server.kind !== 'MCPServer') return server.spec.remoteUrl
  const { name } = server.metadata
  return `${inside(`mcp-${name}`, server, server.spec.mcpPort ?? DEFAULT_PORT)}/mcp`
}

function inside(service: string, { metadata }: { metadata: { namespace: string } }, port: number): string {
  return `http://${service}.${metadata.namespace}.svc.cluster.local:${port}`
}
