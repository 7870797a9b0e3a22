// Signs assertions with the key of one virtual server, edge or uplink. One per caller and server is kept and used again until it is about
// to end: a caller is an object that the guard makes once per token, so other rights never share one.

import { SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose'
import type { Clock } from '../ports.ts'
import type { Principal } from '../principal.ts'
import { ALGORITHM, describe, LIFE_SECONDS, TYPE, type Named } from './assertion.ts'

/** An assertion is replaced when it has less than this left, so that none ends on its way. */
const SPARE_SECONDS = 20

export interface SigningKey {
  readonly kid: string
  /** Private, ES256. */
  readonly key: CryptoKey | JWK
}

interface Signed {
  readonly token: Promise<string>
  /** Seconds since the epoch. */
  readonly expires: number
}

export class AssertionSigner {
  readonly #issuer: string
  readonly #key: SigningKey
  readonly #now: Clock
  readonly #callers = new WeakMap<Principal, Map<string, Signed>>()
  readonly #catalogs = new Map<string, Signed>()

  /** `issuer`: the identity of the virtual server, `<cluster>/<namespace>/<kind>/<name>`; `edge`; or `<cluster>/uplink`. */
  constructor(issuer: string, key: SigningKey, now: Clock) {
    this.#issuer = issuer
    this.#key = key
    this.#now = now
  }

  /** For calls of a caller to the server whose identity is `audience`. Never outlives the caller's own credential. */
  caller(principal: Principal, audience: string, named: Named): Promise<string> {
    const kept = this.#callers.get(principal) ?? new Map<string, Signed>()
    this.#callers.set(principal, kept)
    return this.#kept(kept, audience, () => describe(principal, named), principal.expires)
  }

  /** For the server's catalog, which the signer reads as itself. */
  catalog(audience: string): Promise<string> {
    return this.#kept(this.#catalogs, audience, () => ({ use: 'catalog' }), Number.POSITIVE_INFINITY)
  }

  #kept(kept: Map<string, Signed>, audience: string, claims: () => JWTPayload, until: number): Promise<string> {
    const now = Math.floor(this.#now() / 1000)
    const known = kept.get(audience)
    if (known !== undefined && known.expires - now >= SPARE_SECONDS) return known.token
    const expires = Math.min(now + LIFE_SECONDS, Math.max(now + 1, Math.floor(until)))
    const token = this.#sign(claims(), audience, now, expires)
    kept.set(audience, { token, expires })
    token.catch(() => kept.delete(audience))
    return token
  }

  #sign(claims: JWTPayload, audience: string, now: number, expires: number): Promise<string> {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: this.#key.kid })
      .setIssuer(this.#issuer)
      .setAudience(audience)
      .setIssuedAt(now)
      .setExpirationTime(expires)
      .sign(this.#key.key)
  }
}
