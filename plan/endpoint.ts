// Resources → what the edge must do: endpoints with their guards, members and rules, and servers with their addresses.
// Pure and fail-closed: a reference that leads nowhere takes away, it never gives.

import { DEFAULT_AGGREGATION, type Aggregation } from '../gateway/catalog/merge.ts'
import type { Rule } from '../gateway/policy.ts'
import { guardOf, isShut, NOBODY, type GuardPlan } from './guard.ts'
import { planMember, type MemberPlan } from './member.ts'
import { isServer, members, serverKey, type ServerResource, type VirtualResource } from './members.ts'
import type { Resources } from './resources.ts'
import { rulesFor } from './rules.ts'
import { lendCredentials, planServer, type ServerDraft, type ServerPlan } from './server.ts'
import type { Site } from './site.ts'

export interface EndpointPlan {
  /** `<namespace>/<name>` */
  readonly key: string
  readonly guard: GuardPlan
  readonly members: readonly MemberPlan[]
  readonly aggregation: Aggregation
  readonly rules: readonly Rule[]
}

export interface Plan {
  readonly endpoints: ReadonlyMap<string, EndpointPlan>
  readonly servers: ReadonlyMap<string, ServerPlan>
}

/** All endpoints and servers of an edge; `resources` are its own. */
export function plan(resources: Resources, site: Site): Plan {
  const endpoints = new Map<string, EndpointPlan>()
  const servers = new Map<string, ServerDraft>()
  const { fleets } = site
  const all = [...(fleets?.resources ?? resources).values()]
  for (const resource of all) {
    if (!isServer(resource)) continue
    const key = serverKey(resource)
    if (fleets === undefined || fleets.instances(key).length === 0)
      servers.set(key, planServer(resource, resources, site))
    if (resource.kind !== 'MCPServerEntry') endpoints.set(key, planProxy(resource, resources, site))
  }
  for (const resource of all) {
    if (resource.kind !== 'VirtualMCPServer') continue
    endpoints.set(serverKey(resource), planVirtual(resource, fleets?.around(resource) ?? resources, site))
  }
  return { endpoints, servers: lendCredentials(endpoints.values(), servers) }
}

/** The endpoint of one server. */
export function planProxy(
  proxy: Exclude<ServerResource, { kind: 'MCPServerEntry' }>,
  resources: Resources,
  site: Site,
): EndpointPlan {
  const { spec } = proxy
  const door = spec.authServerRef === undefined ? site : { ...site, open: false }
  const member = planMember(proxy, resources, site)
  return {
    key: serverKey(proxy),
    guard: isShut(proxy) ? NOBODY : guardOf(spec.oidcConfigRef, proxy, resources, door),
    members: [member],
    aggregation: { ...DEFAULT_AGGREGATION, prefixFormat: '' },
    rules: [],
  }
}

/** The endpoint of a virtual server. */
export function planVirtual(virtual: VirtualResource, resources: Resources, site: Site): EndpointPlan {
  const { spec } = virtual
  const { incomingAuth } = spec
  const { incomingAuth: written, aggregation } = spec.config
  const anonymous = incomingAuth?.type === 'anonymous'
  const closed = spec.authServerConfig !== undefined || (incomingAuth === undefined && written !== undefined)
  const door = closed ? { ...site, open: false } : site
  const { conflictResolution, conflictResolutionConfig, excludeAllTools, defaultToolVisibility } = aggregation
  return {
    key: serverKey(virtual),
    guard: isShut(virtual)
      ? NOBODY
      : anonymous
        ? { ...NOBODY, issuers: undefined }
        : guardOf(incomingAuth?.oidcConfigRef, virtual, resources, door),
    members: members(virtual, resources)
      .servers.filter((server) => site.fleets?.concerns(virtual, server) !== false)
      .map((server) => planMember(server, resources, site, virtual)),
    aggregation: {
      strategy: conflictResolution,
      prefixFormat: conflictResolutionConfig.prefixFormat,
      priorityOrder: conflictResolutionConfig.priorityOrder ?? [],
      excludeAllTools: excludeAllTools ?? false,
      defaultToolVisibility: defaultToolVisibility ?? 'allow',
    },
    rules: rulesFor(virtual, resources, { cluster: site.cluster, ...virtual.metadata }).filter(
      (rule) => rule.place === undefined,
    ),
  }
}
