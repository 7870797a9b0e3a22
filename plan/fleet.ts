// What clusters publish, as the edge plans with it. Servers of the same namespace and name are one fleet with an instance in each
// cluster; virtual servers of the same name are one. What is defined at the edge wins; between clusters, what registered first.
// A cluster decides about its own instances only: its policies and configurations reach nothing of another's.

import type { SnapshotKind } from '../protocol/snapshot.ts'
import { isServer, serverKey, type ServerResource, type VirtualResource } from './members.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'

export type PublishedResource = Extract<Resource, { kind: SnapshotKind }>

export interface Published {
  readonly resource: PublishedResource
  /** When the edge saw its key first in this cluster, in milliseconds since the epoch. */
  readonly registeredAt: number
  /** Digest of the server's catalog; undefined while it is not known. */
  readonly catalog: string | undefined
}

/** One server in one cluster. */
export interface Placed {
  readonly cluster: string
  readonly server: ServerResource
  readonly catalog: string | undefined
  /** When the edge saw it first, in milliseconds since the epoch. */
  readonly since: number
  /** What speaks about it: the resources of its cluster, and those of the edge. */
  readonly resources: Resources
}

export interface Fleets {
  /** The resources of the edge, and the servers and virtual servers that clusters published. */
  readonly resources: Resources
  /** The instances of a server; none for servers of the edge itself. */
  readonly instances: (server: string) => readonly Placed[]
  /** Whether a virtual server has instances in a cluster: one that clusters published has them in these alone. */
  readonly reaches: (virtual: VirtualResource, cluster: string) => boolean
  /** Whether a server is in one of these clusters, for a virtual server that clusters published. */
  readonly concerns: (virtual: VirtualResource, server: ServerResource) => boolean
  /** What to plan a resource with: for one that a cluster published what it refers to there, and no server of the edge. */
  readonly around: (resource: Resource) => Resources
}

/** `clusters` are those whose servers are listed, each with what it publishes. Deterministic: the order of a map decides nothing. */
export function gather(own: Resources, clusters: ReadonlyMap<string, readonly Published[]>): Fleets {
  const views = new Map([...clusters].map(([cluster, published]) => [cluster, viewOf(cluster, published, own)]))
  const taken = new Map([...own.values()].filter(isNamed).map((resource) => [serverKey(resource), resource]))
  const resources = new Map<string, Resource>(own)
  const instances = new Map<string, Placed[]>()
  const homes = new Map<Resource, string>()
  const publishers = new Map<string, Set<string>>()
  for (const [cluster, { resource, catalog, registeredAt: since }] of inOrder(clusters)) {
    if (!isNamed(resource)) continue
    const key = serverKey(resource)
    if (resource.kind === 'VirtualMCPServer') publishers.set(key, (publishers.get(key) ?? new Set()).add(cluster))
    const placed = instances.get(key)
    if (isServer(resource) && placed !== undefined) {
      // Of two kinds of one name in one cluster the first has it.
      if (!placed.some((one) => one.cluster === cluster))
        placed.push({ cluster, server: resource, catalog, since, resources: views.get(cluster) ?? own })
      continue
    }
    if (taken.has(key)) continue
    taken.set(key, resource)
    resources.set(resourceKey(resource.kind, resource.metadata.namespace, resource.metadata.name), resource)
    homes.set(resource, cluster)
    if (isServer(resource))
      instances.set(key, [{ cluster, server: resource, catalog, since, resources: views.get(cluster) ?? own }])
  }
  const surroundings = new Map<string, Resources>()
  const around = (resource: Resource): Resources => {
    const cluster = homes.get(resource)
    if (cluster === undefined) return resources
    const known = surroundings.get(cluster) ?? beside(views.get(cluster) ?? own, resources, own)
    surroundings.set(cluster, known)
    return known
  }
  const reaches = (virtual: VirtualResource, cluster: string): boolean =>
    !homes.has(virtual) || publishers.get(serverKey(virtual))?.has(cluster) === true
  for (const placed of instances.values()) placed.sort((a, b) => (a.cluster < b.cluster ? -1 : 1))
  const concerns = (virtual: VirtualResource, server: ServerResource): boolean =>
    !homes.has(virtual) || (instances.get(serverKey(server)) ?? []).some(({ cluster }) => reaches(virtual, cluster))
  return { resources, instances: (server) => instances.get(server) ?? [], reaches, concerns, around }
}

/** Whether a resource has a place in the one space of names: `<namespace>/<name>`. */
function isNamed(resource: Resource): resource is ServerResource | VirtualResource {
  return resource.kind === 'VirtualMCPServer' || isServer(resource)
}

/** What of the edge has the name of something of the cluster takes its place, but takes no policy away and no server's configuration. */
function viewOf(cluster: string, published: readonly Published[], own: Resources): Resources {
  const view = new Map<string, Resource>(own)
  for (const { resource } of published) {
    const { kind, metadata } = resource
    const key = resourceKey(kind, metadata.namespace, metadata.name)
    if (kind === 'MCPToolConfig' || !own.has(key)) view.set(key, resource)
    else if (kind === 'ToolPolicy') {
      const name = `${metadata.name}@${cluster}`
      view.set(resourceKey(kind, metadata.namespace, name), { ...resource, metadata: { ...metadata, name } })
    }
  }
  return view
}

/** With the servers that clusters published, and none of the edge's: whom those may be used by is the edge's to say. */
function beside(view: Resources, resources: Resources, own: Resources): Resources {
  const others = [...view].filter(([, one]) => !isServer(one))
  return new Map([...others, ...[...resources].filter(([key]) => !own.has(key))])
}

/** What was published first comes first; at the same time, by cluster and kind. */
function inOrder(clusters: ReadonlyMap<string, readonly Published[]>): [string, Published][] {
  const rank = ([cluster, { resource }]: [string, Published]) => `${cluster} ${resource.kind}`
  return [...clusters]
    .flatMap(([cluster, published]) => published.map((one): [string, Published] => [cluster, one]))
    .sort((a, b) => a[1].registeredAt - b[1].registeredAt || (rank(a) < rank(b) ? -1 : 1))
}
