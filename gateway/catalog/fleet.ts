// A fleet server: the same `<namespace>/<name>` in several clusters, each of which is an instance of it.

import type { Rule } from '../policy.ts'
import type { ServerCatalog } from './server.ts'

/** `addressable`: callers name a cluster. `interchangeable`: any will do. `prefixed`: one copy per cluster. */
export type FleetMode = 'addressable' | 'interchangeable' | 'prefixed'

export interface Fleet {
  readonly mode: FleetMode
  readonly instances: readonly Instance[]
}

/** The server in one cluster. */
export interface Instance {
  /** `<namespace>/<name>@<cluster>`: the key of its catalog, its targets and its health. */
  readonly server: string
  readonly cluster: string
  /** When the edge first saw it, in milliseconds: where instances differ, the oldest keeps the plain name. */
  readonly since: number
  /** Undefined while it has not been seen yet. */
  readonly catalog: ServerCatalog | undefined
  /** As `Member.rules`, resolved for this cluster. */
  readonly rules: readonly Rule[]
  /** The admin believes what it says about its tools (annotation `waggle.dev/trust-hints`); rules may say so per tool. */
  readonly trustHints: boolean
}

export type Health = 'online' | 'offline'

/** The key of the server that an instance belongs to; of a server in one place its own. */
export function fleetOf(key: string): string {
  const at = key.indexOf('@')
  return at < 0 ? key : key.slice(0, at)
}

/** The cluster in the key of an instance; undefined for a server of the edge itself. */
export function clusterOf(key: string): string | undefined {
  const at = key.indexOf('@')
  return at < 0 ? undefined : key.slice(at + 1)
}

export const instanceKey = (server: string, cluster: string): string => `${server}@${cluster}`
