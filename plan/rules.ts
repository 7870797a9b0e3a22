// The rules of ToolPolicies, and for which servers they hold: a policy names its target, and may say where the target must be.

import type { Rule } from '../gateway/policy.ts'
import type { ServerResource, VirtualResource } from './members.ts'
import type { Resource, Resources } from './resources.ts'

/** Where a server is that rules are about. */
interface Place {
  readonly cluster: string
  readonly namespace: string
}

/**
 * The rules about the tools of a member: those of its server, and those of the virtual server that depend on where the server is.
 * The virtual server's other rules are the endpoint's.
 */
export function memberRules(
  server: ServerResource,
  virtual: VirtualResource | undefined,
  resources: Resources,
  cluster: string,
): Rule[] {
  const place = { cluster, namespace: server.metadata.namespace }
  const placements =
    virtual === undefined ? [] : rulesFor(virtual, resources, place).filter((rule) => rule.place !== undefined)
  return [...rulesFor(server, resources, place), ...placements]
}

/**
 * The rules of every ToolPolicy on this target, for servers at `place`. `origin` tells apart policies of one name in several
 * `resources`: one must not be an alternative to the other.
 */
export function rulesFor(
  target: { readonly kind: string; readonly metadata: { readonly namespace: string; readonly name: string } },
  resources: Resources,
  place: Place,
  origin = '',
): Rule[] {
  const { kind } = target
  const { namespace, name } = target.metadata
  const found: Rule[] = []
  for (const policy of policiesOf(resources).get(`${kind}/${namespace}/${name}`) ?? []) {
    for (const { tools, groups, claims, scopes, clusters, namespaces, trustHints } of policy.spec.rules) {
      const elsewhere = clusters?.includes(place.cluster) === false || namespaces?.includes(place.namespace) === false
      const isPlacement = clusters !== undefined || namespaces !== undefined
      found.push({
        tools,
        // Whoever reads this and knows no placements must not take it for less.
        ...(elsewhere ? { groups: [] } : groups !== undefined && { groups }),
        ...(claims !== undefined && { claims }),
        ...(scopes !== undefined && { scopes }),
        ...(isPlacement && { place: { policy: `${origin}${namespace}/${policy.metadata.name}`, here: !elsewhere } }),
        ...(trustHints !== undefined && { trustHints }),
      })
    }
  }
  return found
}

type Policy = Extract<Resource, { kind: 'ToolPolicy' }>
const policyIndexes = new WeakMap<Resources, ReadonlyMap<string, readonly Policy[]>>()

function policiesOf(resources: Resources): ReadonlyMap<string, readonly Policy[]> {
  const known = policyIndexes.get(resources)
  if (known !== undefined) return known
  const index = new Map<string, Policy[]>()
  for (const resource of resources.values()) {
    if (resource.kind !== 'ToolPolicy') continue
    const { kind, name } = resource.spec.targetRef
    const key = `${kind}/${resource.metadata.namespace}/${name}`
    index.set(key, [...(index.get(key) ?? []), resource])
  }
  policyIndexes.set(resources, index)
  return index
}
