// The one fault of a store that cannot be reached, for both adapters.
// Its detail never holds a key, a value or a credential: client libraries put whole commands into their messages.

import { Fault } from '../../protocol/fault.ts'

/** `detail`: what happened, for the audit trail, cut to 200 characters. Faults pass through as they are. */
export function unavailable(detail: string): Fault {
  return new Fault('store_unavailable', 'storage cannot be reached: try again in a few seconds', {
    data: { retryAfterSeconds: 2 },
    detail: detail.slice(0, 200),
  })
}
