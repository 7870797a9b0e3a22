// What the admin API asks of the Worker that hosts it. The API decides and stores; the host knows keys, tokens and logs.

import type { Clock, Store } from '../../gateway/ports.ts'
import type { Principal } from '../../gateway/principal.ts'
import type { KeyRing } from '../../gateway/seal.ts'
import type { Reason } from '../../protocol/fault.ts'
import type { HubStatus } from '../hub/status.ts'
import type { StoredResources, StoredResource } from '../documents/resources.ts'

export type AdminAction =
  | 'resource.apply'
  | 'resource.list'
  | 'resource.get'
  | 'resource.delete'
  | 'secret.set'
  | 'secret.list'
  | 'secret.delete'
  | 'secret.reseal'
  | 'revocation.list'
  | 'revocation.add'
  | 'revocation.delete'
  | 'cluster.set'
  | 'cluster.list'
  | 'cluster.get'
  | 'cluster.delete'
  | 'cluster.token'
  | 'cluster.revoke'
  | 'cluster.drain'
  | 'status.read'
  | 'metrics.read'
  | 'audit.read'
  | 'unknown'

/** One call of the API, for the audit trail. Holds names, never the value of a secret. */
export interface AdminEvent {
  /** Absent when the caller was not recognised. */
  readonly principal?: Principal
  readonly action: AdminAction
  /** What it was about: `Kind/namespace/name`, `namespace/name`, or the path. */
  readonly target: string
  readonly outcome: 'success' | 'failure' | 'denied' | 'error'
  readonly reason?: Reason
  readonly detail?: string
  readonly status: number
  /** Duration of the call. */
  readonly milliseconds: number
  /** For source address, user agent and trace headers. Its body has been read. */
  readonly request: Request
}

/** `servers`: those that the edge lists; undefined while nothing is registered. */
export interface ClusterStatus extends HubStatus {
  readonly servers: number | undefined
}

export interface Hubs {
  /** Tells a cluster's hub that its entry is another now, or gone. Throws when it cannot be told. */
  changed(cluster: string): Promise<void>
  /** Asks a cluster's uplinks to open other links and to let go of those they have. Throws when they cannot be told. */
  drain(cluster: string): Promise<void>
  /** How the links of a cluster are. Throws when its hub does not say. */
  status(cluster: string): Promise<ClusterStatus>
}

export interface AdminHost {
  readonly store: Store
  /** As clients and uplinks reach the edge, without a trailing slash. */
  readonly publicUrl: string
  /** The first seals secrets, all open them. */
  readonly vaultKeys: KeyRing
  readonly now: Clock
  /** A uid for a new resource. */
  random(): string
  /** The caller, if its token has the admin API's audience and scope. Throws `Fault` 401 or 403 with `WWW-Authenticate`. */
  authorize(request: Request): Promise<Principal>
  /** Called exactly once for every call, refused ones included. Must not throw. */
  audit(event: AdminEvent): void
  /** Called after every stored change, so that this isolate reloads at once; others notice by `Store.peek`. Must not throw. */
  changed(): Promise<void>
  /** The `status` of one of `resources`, for its readers. */
  status(resource: StoredResource, resources: StoredResources): Promise<object>
  /** The hubs of joined clusters. */
  readonly hubs: Hubs
  /** The newest audit events, at most `limit`, newest last. */
  events(limit: number): readonly unknown[] | Promise<readonly unknown[]>
}
