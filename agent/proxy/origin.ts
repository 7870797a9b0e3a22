// Which browser pages may talk to a proxy: none of foreign origins. A page that made its own name lead here (DNS rebinding) is
// told by the host name it asks for, where no token is asked for either.

import { isIP } from 'node:net'
import { Fault } from '../../protocol/fault.ts'

/** The refusal of a request that a foreign page caused; undefined for all others. `own` is the endpoint's URL. */
export function foreign(headers: Headers, own: string, isOpen: boolean): Fault | undefined {
  const origin = headers.get('origin')
  if (origin === null) return undefined
  const host = headers.get('host')?.toLowerCase() ?? ''
  const isSame = URL.canParse(origin) && new URL(origin).host === host
  if (isSame && (!isOpen || isOwn(host, new URL(own).hostname))) return undefined
  return new Fault('forbidden', 'This origin may not call this endpoint.', { detail: 'origin' })
}

function isOwn(host: string, own: string): boolean {
  const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : ''
  const address = name.replace(/^\[|\]$/gu, '')
  return name === own || name === 'localhost' || isIP(address) !== 0 || /^[^.]+$|\.svc(?:\.|$)/u.test(name)
}
