// What the admin API needs, from what the isolate has.

import { credentialsOf } from '../gateway/auth/credentials.ts'
import { toAuditEvent } from './admin-audit.ts'
import type { AdminHost } from './admin/host.ts'
import { readHealth } from './catalogs.ts'
import { serverKey, members } from '../plan/members.ts'
import type { StoredResource } from './documents/resources.ts'
import type { Env } from './env.ts'
import type { Resources } from '../plan/resources.ts'
import { status } from './documents/status.ts'
import type { EdgeHost } from './host.ts'
import { hubOf } from './hub/fetch.ts'
import type { HubStatus } from './hub/status.ts'
import { poke } from './refresh.ts'

const HUB_MS = 5_000

export function adminHost(edge: EdgeHost, defer: (work: Promise<unknown>) => void): AdminHost {
  const { store, state, env } = edge
  return {
    store,
    publicUrl: env.PUBLIC_URL,
    vaultKeys: edge.vaultKeys,
    now: Date.now,
    random: () => crypto.randomUUID(),
    authorize: async (request) => {
      await state.refresh(defer)
      return edge.adminGuard.enter(credentialsOf(request.headers), state.revoked)
    },
    audit: (event) => edge.trail.write(toAuditEvent(event, Date.now()), defer),
    changed: async () => {
      await state.reload().catch(() => undefined)
      defer(poke(env).catch(() => undefined))
    },
    status: async (resource, resources) => {
      const everywhere = new Map([...state.everywhere, ...resources])
      const servers = serversOf(resource, everywhere)
      const asked = await readHealth(store, servers).catch(() => new Map<string, never>())
      const linked = servers.flatMap((server) => {
        const health = state.linked(server)
        return health === undefined ? [] : [[server, health] as const]
      })
      const health = new Map([...asked, ...linked])
      return status(resource, everywhere, health, { publicUrl: env.PUBLIC_URL, secrets: state.secrets })
    },
    hubs: {
      changed: async (cluster) => void (await ask(env, cluster, '/changed', 'POST')),
      drain: async (cluster) => void (await ask(env, cluster, '/drain', 'POST')),
      status: async (cluster) => {
        const told = (await (await ask(env, cluster, '/status', 'GET')).json()) as HubStatus
        return { ...told, servers: told.state === 'unregistered' ? undefined : state.published(cluster) }
      },
    },
    events: (limit) => edge.trail.newest(limit),
  }
}

async function ask(env: Env, cluster: string, path: string, method: 'GET' | 'POST'): Promise<Response> {
  const response = await hubOf(env, cluster)(path, { method, signal: AbortSignal.timeout(HUB_MS) })
  if (response.ok) return response
  await response.body?.cancel()
  throw new Error(`the hub answers ${response.status}`)
}

function serversOf(resource: StoredResource, resources: Resources): string[] {
  if (resource.kind === 'VirtualMCPServer') return members(resource, resources).servers.map(serverKey)
  return resource.kind === 'MCPRemoteProxy' || resource.kind === 'MCPServerEntry' ? [serverKey(resource)] : []
}
