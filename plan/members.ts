// Which servers a virtual server aggregates: those it names, else those that joined its group.
// Invariant: a server of another namespace is a member only while its owner's annotation consents (a
// namespace decides about itself only).

import { commaList } from '../crds/annotation.ts'
import { resolve, serverKinds } from './references.ts'
import type { Resource, Resources } from './resources.ts'

export type ServerResource = Extract<Resource, { kind: 'MCPServer' | 'MCPRemoteProxy' | 'MCPServerEntry' }>
export type VirtualResource = Extract<Resource, { kind: 'VirtualMCPServer' }>

export interface Members {
  /** In the order in which they are named; of a group by key. */
  readonly servers: readonly ServerResource[]
  /** `namespace/name` of servers that are named and do not exist. */
  readonly missing: readonly string[]
  /** Servers that are named but whose owner has not consented. */
  readonly denied: readonly ServerResource[]
}

/** Namespaces whose virtual servers may use a server besides those of its own. */
export const consentAnnotation = 'waggle.dev/allow-virtual-servers-from'

/** The members of a virtual server. `spec.backends` wins over `spec.groupRef`. */
export function members(virtual: VirtualResource, resources: Resources): Members {
  const { namespace } = virtual.metadata
  const { backends, groupRef } = virtual.spec
  if (backends === undefined && groupRef !== undefined)
    return { servers: groupMembers(namespace, groupRef.name, resources), missing: [], denied: [] }
  const servers: ServerResource[] = []
  const missing: string[] = []
  const denied: ServerResource[] = []
  const seen = new Set<string>()
  for (const backend of backends ?? []) {
    const place = { namespace: backend.namespace ?? namespace, name: backend.name }
    const key = `${place.namespace}/${place.name}`
    // `{name}` and `{name, namespace: <own>}` are the same server.
    if (seen.has(key)) continue
    seen.add(key)
    const server = resolve({ path: '', kinds: serverKinds, ...place }, resources)
    if (server === undefined || !isServer(server)) missing.push(key)
    else if (consents(server, namespace)) servers.push(server)
    else denied.push(server)
  }
  return { servers, missing, denied }
}

/** The servers of a namespace whose `groupRef` names a group. */
export function groupMembers(namespace: string, group: string, resources: Resources): readonly ServerResource[] {
  return groupIndex(resources).get(`${namespace}/${group}`) ?? []
}

/** `namespace/name`, the key of a server everywhere outside the resources. */
export function serverKey({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`
}

/** Whether the virtual servers of a namespace may use this server. */
export function consents(server: ServerResource, namespace: string): boolean {
  return (
    server.metadata.namespace === namespace ||
    commaList(server.metadata.annotations?.[consentAnnotation]).includes(namespace)
  )
}

export function isServer(resource: Resource): resource is ServerResource {
  return (serverKinds as readonly string[]).includes(resource.kind)
}

// Resources are never changed in place, so what is derived from them lives as long as they do.
const indexes = new WeakMap<Resources, ReadonlyMap<string, readonly ServerResource[]>>()

function groupIndex(resources: Resources): ReadonlyMap<string, readonly ServerResource[]> {
  const known = indexes.get(resources)
  if (known !== undefined) return known
  const index = new Map<string, ServerResource[]>()
  for (const resource of resources.values()) {
    if (!isServer(resource) || resource.spec.groupRef === undefined) continue
    const key = `${resource.metadata.namespace}/${resource.spec.groupRef.name}`
    const group = index.get(key)
    if (group === undefined) index.set(key, [resource])
    else group.push(resource)
  }
  for (const group of index.values()) group.sort((a, b) => (serverKey(a) < serverKey(b) ? -1 : 1))
  indexes.set(resources, index)
  return index
}
