// What one cluster may make every isolate of the edge plan. Manifests of a few bytes can multiply (a virtual server has all servers of its
// group, a policy looks at every tool), and all endpoints wait for the one plan.

import { isServer } from '../../plan/members.ts'
import type { RegisteredItem } from '../documents/registry.ts'

/** Virtual servers of one cluster, members of all of them together, and names of tools in all of its policies. */
export const MAX_VIRTUAL = 500
export const MAX_MEMBERS = 10_000
export const MAX_NAMES = 8_192

export interface Excess {
  readonly item: RegisteredItem
  readonly message: string
}

/** The items that are too many, in their order: the first ones stay. */
export function excess(items: readonly RegisteredItem[]): Excess[] {
  const groups = new Map<string, number>()
  for (const { resource } of items) {
    if (!isServer(resource) || resource.spec.groupRef === undefined) continue
    const group = `${resource.metadata.namespace}/${resource.spec.groupRef.name}`
    groups.set(group, (groups.get(group) ?? 0) + 1)
  }
  let virtual = 0
  let members = 0
  let names = 0
  return items.flatMap((item): Excess[] => {
    const { resource } = item
    if (resource.kind === 'ToolPolicy') {
      names += resource.spec.rules.reduce((sum, { tools }) => sum + tools.length, 0)
      return names > MAX_NAMES
        ? [{ item, message: `is one of policies with more than ${MAX_NAMES} names of tools` }]
        : []
    }
    if (resource.kind !== 'VirtualMCPServer') return []
    const { backends, groupRef } = resource.spec
    const group = groupRef === undefined ? undefined : `${resource.metadata.namespace}/${groupRef.name}`
    const own = backends?.length ?? groups.get(group ?? '') ?? 0
    if (virtual >= MAX_VIRTUAL || members + own > MAX_MEMBERS)
      return [
        { item, message: `is one of more than ${MAX_VIRTUAL} virtual servers, or ${MAX_MEMBERS} members of them` },
      ]
    virtual += 1
    members += own
    return []
  })
}
