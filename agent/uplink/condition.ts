// What the edge knows of a resource, as the condition `EdgeRegistered`. Pure: from what the edge said last to what shall stand in the
// status; undefined where there is nothing new to say.

import type { Dropped } from '../../protocol/link.ts'
import { itemKey } from '../../protocol/snapshot.ts'
import type { NewCondition } from '../kube/condition.ts'
import type { Seen } from './offers.ts'
import type { Report } from './publisher.ts'

export const EDGE_REGISTERED = 'EdgeRegistered'

const reasons: Readonly<Record<Dropped['reason'], string>> = {
  not_allowed: 'NotAllowed',
  invalid: 'Invalid',
  too_many: 'TooMany',
  too_large: 'TooLarge',
  shadowed: 'Shadowed',
  conflict: 'Conflict',
}

export interface Standing {
  /** Why the edge is not told of it. */
  readonly withheld: string | undefined
  /** The edge's last word; undefined while there is none of this leader's time. */
  readonly report: Report | undefined
  /** The edge has not been reached for so long that it cannot be known to list anything. */
  readonly isAway: boolean
}

/** The condition that a resource shall have. */
export function conditionOf(seen: Seen, { withheld, report, isAway }: Standing): NewCondition | undefined {
  const frame = { type: EDGE_REGISTERED, observedGeneration: seen.generation }
  if (withheld !== undefined)
    return { ...frame, status: 'False', reason: 'NotPublished', message: `The edge is not told of it: ${withheld}.` }
  if (isAway)
    return {
      ...frame,
      status: 'Unknown',
      reason: 'NotConnected',
      message:
        'The edge cannot be reached. It goes on with what it knows for a while; inside of the cluster everything works.',
    }
  const key = itemKey(seen)
  const dropped = report?.dropped.get(key)
  if (dropped !== undefined)
    return {
      ...frame,
      status: 'False',
      reason: reasons[dropped.reason],
      message: `The edge does not list it: ${dropped.message}`,
    }
  const isListed = report?.uids.get(key) === seen.uid
  return isListed ? { ...frame, status: 'True', reason: 'Registered', message: 'The edge knows it.' } : undefined
}
