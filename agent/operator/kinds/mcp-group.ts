// MCPGroup: a name that servers join. Its status lists them, so that one sees who is in it before a virtual server is.

import type { MCPGroup } from '../../../crds/mcp-group.ts'

import { groupMembers } from '../../../plan/members.ts'
import type { Resource } from '../../../plan/resources.ts'
import type { Planner, World } from '../kind.ts'
import { plan, yes } from './condition.ts'

export const GROUP_FINALIZER = 'toolhive.stacklok.dev/mcpgroup-finalizer'

/** What the lists of the status hold. */
const MOST_LISTED = 1024

export const group: Planner<MCPGroup> = {
  kind: 'MCPGroup',
  plan({ resource, deleting }, world) {
    const { namespace, name } = resource.metadata
    const members = membersOf(namespace, name, world)
    const named = (kind: Resource['kind']): string[] =>
      members.filter((member) => member.kind === kind).map((member) => member.metadata.name)
    const servers = named('MCPServer')
    const remoteProxies = named('MCPRemoteProxy')
    const entries = named('MCPServerEntry')
    const message = `${members.length === 0 ? 'no server has' : members.length === 1 ? '1 server has' : `${members.length} servers have`} joined`
    return plan({
      conditions: [yes('MCPServersChecked', 'ListMCPServersSucceeded', message), yes('Ready', 'Ready', message)],
      status: {
        phase: 'Ready',
        servers: servers.slice(0, MOST_LISTED),
        serverCount: servers.length,
        remoteProxies: remoteProxies.slice(0, MOST_LISTED),
        remoteProxyCount: remoteProxies.length,
        entries: entries.slice(0, MOST_LISTED),
        entryCount: entries.length,
      },
      // Members notice by themselves that their group is gone, so nothing has to be cleaned up before.
      finalizers: deleting ? [] : [GROUP_FINALIZER],
    })
  },
}

function membersOf(namespace: string, name: string, world: World): readonly Resource[] {
  return groupMembers(namespace, name, world.resources)
}
