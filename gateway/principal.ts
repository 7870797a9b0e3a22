// The verified caller. Issuer and subject together are the identity, everywhere; a bare subject is never a key (trust.md).

export interface Principal {
  /** `issuer`, a space, `subject`: the one key for caches, sessions, limits and audit. */
  readonly id: string
  readonly issuer: string
  readonly subject: string
  readonly clientId: string | undefined
  readonly scopes: ReadonlySet<string>
  readonly groups: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  /** Seconds since the epoch after which the credential is void. */
  readonly expires: number
  /** Identity of the virtual server that vouches for this caller; undefined for callers who came themselves. */
  readonly via?: string | undefined
}

/** The caller of an endpoint whose owner declared it anonymous. */
export const anonymous: Principal = {
  id: 'anonymous anonymous',
  issuer: 'anonymous',
  subject: 'anonymous',
  clientId: undefined,
  scopes: new Set(),
  groups: [],
  claims: {},
  expires: Number.POSITIVE_INFINITY,
}
