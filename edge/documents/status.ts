// The status of a resource, computed from the resources and from how its servers answered last: nothing of it is stored.
// Phases and condition types are ToolHive's, so that what reads them in a cluster reads them here.

import { condition, configProblem } from './condition.ts'
import type { Condition, SecretKeys } from './condition.ts'
import type { HealthMap } from './health.ts'
import { groupMembers, serverKey } from '../../plan/members.ts'
import { references, resolve } from '../../plan/references.ts'
import type { Resources } from '../../plan/resources.ts'
import type { StoredResource } from './resources.ts'
import { serverStatus } from './server-status.ts'
import { virtualStatus } from './virtual-status.ts'

export interface StatusContext {
  /** Where clients reach this edge, without a trailing slash. */
  readonly publicUrl: string
  /** Absent: nothing is said about secrets. */
  readonly secrets?: SecretKeys
}

/** What every kind has; more of ToolHive's fields by kind. */
interface StatusOfKind {
  readonly phase: string
  /** What is wrong, when something is. */
  readonly message?: string
  /** Where clients connect; only of kinds that are endpoints. */
  readonly url?: string
  readonly conditions: readonly Condition[]
  readonly [field: string]: unknown
}

export interface Status extends StatusOfKind {
  readonly observedGeneration: number
}

/** The status of a resource of the edge; `resources` are all that it may refer to. */
export function status(
  resource: StoredResource,
  resources: Resources,
  health: HealthMap,
  context: StatusContext,
): Status {
  return { observedGeneration: resource.metadata.generation, ...ofKind(resource, resources, health, context) }
}

function ofKind(
  resource: StoredResource,
  resources: Resources,
  health: HealthMap,
  { publicUrl, secrets }: StatusContext,
): StatusOfKind {
  switch (resource.kind) {
    case 'MCPRemoteProxy': {
      const url = `${publicUrl}/${serverKey(resource)}/mcp`
      return { ...serverStatus(resource, resources, health, secrets), url }
    }
    case 'MCPServerEntry':
      return serverStatus(resource, resources, health, secrets)
    case 'VirtualMCPServer':
      return {
        ...virtualStatus(resource, resources, health, secrets),
        url: `${publicUrl}/${serverKey(resource)}/mcp`,
      }
    case 'MCPGroup': {
      const joined = groupMembers(resource.metadata.namespace, resource.metadata.name, resources)
      const named = (kind: string) =>
        joined.filter((server) => server.kind === kind).map(({ metadata }) => metadata.name)
      const [remoteProxies, entries] = [named('MCPRemoteProxy'), named('MCPServerEntry')]
      return {
        phase: 'Ready',
        conditions: [condition('MCPServersChecked', 'True', 'MCPServersChecked', `${joined.length} servers joined`)],
        serverCount: 0,
        servers: [],
        remoteProxyCount: remoteProxies.length,
        remoteProxies,
        entryCount: entries.length,
        entries,
      }
    }
    case 'MCPOIDCConfig':
    case 'MCPToolConfig':
    case 'MCPExternalAuthConfig': {
      const problem = configProblem(resource, secrets)
      if (problem === undefined)
        return { phase: 'Valid', conditions: [condition('Valid', 'True', 'ConfigValid', 'the configuration is valid')] }
      const { reason, message } = problem
      return { phase: 'Failed', message, conditions: [condition('Valid', 'False', reason, message)] }
    }
    case 'ToolPolicy': {
      const [target] = references(resource)
      if (target !== undefined && resolve(target, resources) !== undefined)
        return { phase: 'Valid', conditions: [condition('Accepted', 'True', 'Accepted', 'the policy is in force')] }
      const { kind, name } = resource.spec.targetRef
      const message = `spec.targetRef: there is no ${kind} ${resource.metadata.namespace}/${name} at this edge yet`
      return { phase: 'Pending', message, conditions: [condition('Accepted', 'False', 'TargetNotFound', message)] }
    }
  }
}
