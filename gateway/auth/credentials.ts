// What a request shows of its caller. Plain data: a stream holds it for as long as it lasts, to ask again whether it is good.

import { ASSERTION_HEADER } from './assertion.ts'

export interface Credentials {
  /** The `Authorization` header. */
  readonly authorization: string | null
  /** Who speaks for the caller, if anybody does; then the other does not count. */
  readonly assertion?: string
}

export function credentialsOf(headers: Headers): Credentials {
  const authorization = headers.get('authorization')
  const assertion = headers.get(ASSERTION_HEADER)
  return assertion === null ? { authorization } : { authorization, assertion }
}
