// A `LinkFault` between the hub and the isolates: a response that no server's own can be taken for.

import type { LinkFault } from '../../protocol/link.ts'

/** Status of a response that carries a `LinkFault`, and the header that tells it from a server's own. */
export const FAULT_STATUS = 599
export const FAULT_HEADER = 'waggle-link-fault'

export function faulty(fault: LinkFault): Response {
  return Response.json(fault, { status: FAULT_STATUS, headers: { [FAULT_HEADER]: '1' } })
}
