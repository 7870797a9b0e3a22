// The way of an isolate to a linked server: a `fetch` whose URL names the server, `http://link/<namespace>/<kind>/<name>`, and
// which the hub of its cluster carries over a link. What goes wrong on the way comes back as a Fault.

import type { Fetch } from '../../gateway/backend/upstream.ts'
import { Fault, type Reason } from '../../protocol/fault.ts'
import type { LinkFault } from '../../protocol/link.ts'
import type { Env } from '../env.ts'
import { FAULT_HEADER, FAULT_STATUS } from './fault.ts'

/** How long the answer may take to begin, in milliseconds. */
export const DEADLINE_HEADER = 'waggle-link-deadline'
/** The hub's own name, which it cannot know otherwise. */
export const CLUSTER_HEADER = 'waggle-cluster'

const DEFAULT_DEADLINE_MS = 60_000
const RETRY_SECONDS = 5

/** Calls the hub of a cluster. */
export function hubOf(env: Env, cluster: string): (path: string, init?: RequestInit) => Promise<Response> {
  const stub = env.HUB.get(env.HUB.idFromName(cluster))
  return (path, init = {}) => {
    const headers = new Headers(init.headers)
    headers.set(CLUSTER_HEADER, cluster)
    return stub.fetch(`http://hub${path}`, { ...init, headers })
  }
}

/** A network that reaches one cluster's servers. `server` names the server in faults. */
export function linkFetch(env: Env, cluster: string, server: string, deadlineMs = DEFAULT_DEADLINE_MS): Fetch {
  const hub = env.HUB
  const id = hub.idFromName(cluster)
  return async (url, init) => {
    const headers = {
      ...(init.headers as Readonly<Record<string, string>> | undefined),
      [CLUSTER_HEADER]: cluster,
      [DEADLINE_HEADER]: String(deadlineMs),
    }
    // A stub stays broken after an exception, so each call takes its own; that costs no round trip.
    const response = await hub.get(id).fetch(`http://hub/call${new URL(url).pathname}`, { ...init, headers })
    if (response.status !== FAULT_STATUS || response.headers.get(FAULT_HEADER) === null) return response
    const fault: LinkFault = await response.json()
    throw asFault(fault, server, cluster)
  }
}

function asFault({ reason, message, unsent }: LinkFault, server: string, cluster: string): Fault {
  const { kind, text, retryAfterSeconds } = meaning(reason)
  return new Fault(kind, `Server ${server} ${text}.`, {
    data: { server, cluster, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
    detail: `link: ${reason}: ${message.slice(0, 200)}`,
    unsent,
    onTheWay: unsent || reason === 'lost',
  })
}

function meaning(reason: LinkFault['reason']): { kind: Reason; text: string; retryAfterSeconds?: number } {
  switch (reason) {
    case 'unreachable':
      return {
        kind: 'backend_unavailable',
        text: 'cannot be reached: its cluster is not connected',
        retryAfterSeconds: RETRY_SECONDS,
      }
    case 'lost':
      return {
        kind: 'backend_unavailable',
        text: 'did not answer: the link to its cluster was lost',
        retryAfterSeconds: RETRY_SECONDS,
      }
    case 'unknown_target':
      return {
        kind: 'backend_unavailable',
        text: 'is not known in its cluster any more',
        retryAfterSeconds: RETRY_SECONDS,
      }
    case 'timeout':
      return { kind: 'backend_timeout', text: 'did not answer in time' }
    case 'overloaded':
      return { kind: 'backend_overloaded', text: 'has too many calls under way', retryAfterSeconds: 1 }
    case 'refused':
      return { kind: 'backend_refused', text: 'may not be called so over the link' }
    case 'cancelled':
      return { kind: 'cancelled', text: 'was called, and the call was cancelled' }
    case 'protocol':
      return { kind: 'backend_protocol', text: 'answered something that the link does not carry' }
  }
}
