// Who may speak for callers here: the signers that this server's own configuration lists, each with its keys, for this server
// alone. What does not verify is refused; a verdict is kept as long as its assertion lasts.

import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose'
import { Fault } from '../../protocol/fault.ts'
import { Lru } from '../lru.ts'
import type { Clock } from '../ports.ts'
import type { Principal } from '../principal.ts'
import { ALGORITHM, described, LIFE_SECONDS, SKEW_SECONDS, TYPE } from './assertion.ts'

const CACHED = 10_000
const MAX_ASSERTION = 16_384

export interface TrustedSigner {
  readonly issuer: string
  readonly jwks: JSONWebKeySet
}

interface Verdict {
  readonly principal: Principal | undefined
  readonly signer: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

export class AssertionVerifier {
  readonly #audience: string
  readonly #keys: ReadonlyMap<string, ReturnType<typeof createLocalJWKSet>>
  readonly #now: Clock
  readonly #verdicts = new Lru<string, Verdict>(CACHED)

  /** `audience` is the identity of this server: `<cluster>/<namespace>/<kind>/<name>`. */
  constructor(audience: string, signers: readonly TrustedSigner[], now: Clock) {
    this.#audience = audience
    this.#keys = new Map(signers.map(({ issuer, jwks }) => [issuer, createLocalJWKSet(jwks)]))
    this.#now = now
  }

  /** The caller whom a trusted signer asserts. Throws `Fault` `unauthenticated`. */
  async caller(token: string): Promise<Principal> {
    const { principal } = await this.#verdict(token)
    if (principal === undefined) throw refused('names no caller')
    return principal
  }

  /** The trusted signer that may read this server's catalog with it. Throws `Fault` `unauthenticated`. */
  async reader(token: string): Promise<string> {
    const { principal, signer } = await this.#verdict(token)
    if (principal !== undefined) throw refused('is for calls')
    return signer
  }

  async #verdict(token: string): Promise<Verdict> {
    const now = this.#now()
    const known = this.#verdicts.get(token)
    if (known !== undefined && known.until > now) return known
    if (token.length > MAX_ASSERTION) throw refused('is too long')
    const payload = await this.#verify(token, now)
    const principal = described(payload)
    if (principal === undefined && payload['use'] !== 'catalog') throw refused('does not say what it is for')
    const until = (payload.exp ?? 0) * 1000
    const verdict = { principal, signer: payload.iss ?? '', until }
    this.#verdicts.set(token, verdict)
    return verdict
  }

  async #verify(token: string, now: number): Promise<JWTPayload> {
    try {
      const signer = decodeJwt(token).iss
      const keys = signer === undefined ? undefined : this.#keys.get(signer)
      if (signer === undefined || keys === undefined) throw refused('comes from a signer that is not trusted here')
      const { payload } = await jwtVerify(token, keys, {
        issuer: signer,
        audience: this.#audience,
        typ: TYPE,
        algorithms: [ALGORITHM],
        requiredClaims: ['iat', 'exp', 'use'],
        clockTolerance: SKEW_SECONDS,
        maxTokenAge: LIFE_SECONDS,
        currentDate: new Date(now),
      })
      const isShort = (payload.exp ?? Number.POSITIVE_INFINITY) - (payload.iat ?? 0) <= LIFE_SECONDS
      // An audience list would be good at several servers.
      if (!isShort || payload.aud !== this.#audience) throw refused('is good for too much')
      return payload
    } catch (error) {
      throw error instanceof Fault ? error : refused('does not verify', error)
    }
  }
}

function refused(what: string, cause?: unknown): Fault {
  const detail = cause instanceof Error ? `${what}: ${cause.name}` : what
  return new Fault('unauthenticated', 'The assertion is not valid here.', { detail: `assertion ${detail}` })
}
