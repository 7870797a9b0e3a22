// How clusters and the links to them are: for people who ask `waggle status`, and for Prometheus. Asking wakes the hub of each cluster.

import { IMPLEMENTATION } from '../../protocol/revision.ts'
import { type Cluster, clusterCodec } from '../documents/clusters.ts'
import { readDocument } from '../documents/document.ts'
import { type Call, queryOf, type Reply } from './call.ts'
import { missing, sorted } from './clusters.ts'
import type { AdminHost, ClusterStatus } from './host.ts'
import { exposition } from './metrics.ts'

const MAX_ASKED = 500
const ASKED_AT_ONCE = 16

interface Asked {
  readonly cluster: Cluster
  /** Undefined: its hub does not answer, or was not asked. */
  readonly hub: ClusterStatus | undefined
}

/** `GET /status[?cluster=]` → `{version, clusters: [{id, method, revokedAt?, hub?, error?}], left}`; `hub` as edge/hub tells it. */
export async function readStatus(call: Call): Promise<Reply> {
  const { cluster: only } = queryOf(call, ['cluster'])
  const { asked, left } = await ask(call.host, only)
  if (only !== undefined && asked.length === 0) return missing(only.slice(0, 63))
  const clusters = asked.map(({ cluster: { id, method, revokedAt }, hub }) => ({
    id,
    method,
    ...(revokedAt !== undefined && { revokedAt: new Date(revokedAt).toISOString() }),
    ...(hub !== undefined ? { hub } : revokedAt === undefined && { error: 'its hub does not answer' }),
  }))
  return { kind: 'done', body: { version: IMPLEMENTATION.version, clusters, left } }
}

/** `GET /metrics` → numbers of all clusters that are not revoked, for Prometheus. */
export async function readMetrics(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { asked } = await ask(call.host)
  const statuses = asked.flatMap(({ cluster: { id, revokedAt }, hub }) =>
    revokedAt === undefined ? [[id, hub] as const] : [],
  )
  return { kind: 'text', body: exposition(IMPLEMENTATION.version, new Map(statuses), call.host.now()) }
}

async function ask({ store, hubs }: AdminHost, only?: string): Promise<{ asked: Asked[]; left: number }> {
  const { value } = await readDocument(store, clusterCodec)
  const chosen = sorted(value).filter(({ id }) => only === undefined || id === only)
  const asked: Asked[] = []
  const one = async (cluster: Cluster): Promise<Asked> => {
    // Asking would bring the hub of a cluster to life that never comes back.
    if (cluster.revokedAt !== undefined) return { cluster, hub: undefined }
    return { cluster, hub: await hubs.status(cluster.id).catch(() => undefined) }
  }
  for (let from = 0; from < Math.min(chosen.length, MAX_ASKED); from += ASKED_AT_ONCE)
    asked.push(...(await Promise.all(chosen.slice(from, from + ASKED_AT_ONCE).map(one))))
  return { asked, left: chosen.length - asked.length }
}
