// What tests take for granted.

import type { ClusterStatus } from './host.ts'

/** A cluster that publishes nothing yet and has no link. */
export function clusterStatus(cluster: string, over: Partial<ClusterStatus> = {}): ClusterStatus {
  return {
    cluster,
    wakes: 1,
    state: 'unregistered',
    since: undefined,
    version: undefined,
    epoch: 0,
    lostAt: undefined,
    refused: undefined,
    calls: 0,
    tally: { calls: 0, faults: {} },
    servers: undefined,
    connections: [],
    ...over,
  }
}
