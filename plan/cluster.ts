// What one proxy of a cluster must do: its endpoint, and the servers behind it. A virtual server calls the proxies of its
// members as the caller, so that each applies its own policy and audits the real user; entries have no proxy and are called directly.

import { planProxy, planVirtual, type EndpointPlan } from './endpoint.ts'
import { members, type VirtualResource } from './members.ts'
import type { EndpointResource } from './address.ts'
import type { Resources } from './resources.ts'
import { lendCredentials, planMemberProxy, planServer, type ServerDraft, type ServerPlan } from './server.ts'
import type { Site } from './site.ts'

export interface ProxyPlan {
  readonly endpoint: EndpointPlan
  readonly servers: readonly ServerPlan[]
}

/** Pure and fail-closed, as every plan: a reference that leads nowhere takes away. `site.proxies` is expected to hold. */
export function planEndpoint(resource: EndpointResource, resources: Resources, site: Site): ProxyPlan {
  if (resource.kind === 'VirtualMCPServer') return virtual(resource, resources, site)
  return planned(planProxy(resource, resources, site), [planServer(resource, resources, site)])
}

function virtual(resource: VirtualResource, resources: Resources, site: Site): ProxyPlan {
  const servers = members(resource, resources).servers.map((server) =>
    server.kind === 'MCPServerEntry' ? planServer(server, resources, site) : planMemberProxy(server, site),
  )
  return planned(planVirtual(resource, resources, site), servers)
}

function planned(endpoint: EndpointPlan, drafts: readonly ServerDraft[]): ProxyPlan {
  const servers = lendCredentials([endpoint], new Map(drafts.map((draft) => [draft.key, draft])))
  return { endpoint, servers: [...servers.values()] }
}
