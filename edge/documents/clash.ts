// Names that two resources of an edge cannot share, though a cluster would allow it: servers are known by `namespace/name`
// whatever their kind, and endpoints by `/<namespace>/<name>/mcp`.

import type { Resource } from '../../crds/manifest.ts'
import { resourceKey } from '../../plan/resources.ts'

/** What stands in the way of a resource beside `present`, as field and message; undefined when nothing does. */
export function clash(
  resource: Resource,
  present: { has(key: string): boolean },
): { path: string; message: string } | undefined {
  const { kind } = resource
  const { namespace, name } = resource.metadata
  const endpoint = kind === 'VirtualMCPServer' || kind === 'MCPRemoteProxy'
  if (endpoint && namespace === 'admin')
    return { path: 'metadata.namespace', message: '"admin" is the path of the admin API; use another namespace' }
  const rivals =
    kind === 'MCPRemoteProxy'
      ? ['MCPServerEntry', 'VirtualMCPServer']
      : endpoint || kind === 'MCPServerEntry'
        ? ['MCPRemoteProxy']
        : []
  const rival = rivals.find((other) => present.has(resourceKey(other, namespace, name)))
  if (rival === undefined) return undefined
  const shared =
    rival === 'MCPServerEntry' || kind === 'MCPServerEntry' ? 'the key of the server' : `/${namespace}/${name}/mcp`
  return { path: 'metadata.name', message: `${rival} ${namespace}/${name} has ${shared} already; choose another name` }
}
