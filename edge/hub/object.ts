// One joined cluster at the edge: the links that its uplinks opened, the calls on them, and what they register.

import { DurableObject } from 'cloudflare:workers'
import type { LinkFault } from '../../protocol/link.ts'
import type { Env } from '../env.ts'
import { FAULT_HEADER, FAULT_STATUS } from './fetch.ts'

export class HubObject extends DurableObject<Env> {
  override async fetch(_request: Request): Promise<Response> {
    const fault: LinkFault = { reason: 'unreachable', message: 'nobody is connected', unsent: true }
    return Response.json(fault, { status: FAULT_STATUS, headers: { [FAULT_HEADER]: '1' } })
  }
}
