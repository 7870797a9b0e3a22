// Who may speak for callers here, and who may read the catalog: the signers that this server's own configuration lists, each with
// its keys and its uses, for this server alone. What does not verify is refused; a verdict is kept as long as its assertion lasts.

import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose'
import { Fault } from '../../protocol/fault.ts'
import { Lru } from '../lru.ts'
import type { Clock } from '../ports.ts'
import type { Principal } from '../principal.ts'
import { ALGORITHM, described, LIFE_SECONDS, SKEW_SECONDS, TYPE } from './assertion.ts'

const CACHED = 10_000
const MAX_ASSERTION = 16_384

/** What an assertion is good for: `call` speaks for a caller, `catalog` reads the catalog of a server. */
export type AssertionUse = 'call' | 'catalog'

export interface TrustedSigner {
  readonly issuer: string
  /** What its assertions are believed for; nothing else of it is, however well it is signed. */
  readonly uses: readonly AssertionUse[]
  readonly jwks: JSONWebKeySet
}

interface Trusted {
  readonly keys: ReturnType<typeof createLocalJWKSet>
  readonly uses: ReadonlySet<AssertionUse>
}

interface Verdict {
  readonly principal: Principal | undefined
  readonly signer: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

export class AssertionVerifier {
  readonly #audience: string
  readonly #signers: ReadonlyMap<string, Trusted>
  readonly #now: Clock
  readonly #verdicts = new Lru<string, Verdict>(CACHED)

  /** `audience` is the identity of this server: `<cluster>/<namespace>/<kind>/<name>`. */
  constructor(audience: string, signers: readonly TrustedSigner[], now: Clock) {
    this.#audience = audience
    this.#signers = new Map(
      signers.map(({ issuer, jwks, uses }) => [issuer, { keys: createLocalJWKSet(jwks), uses: new Set(uses) }]),
    )
    this.#now = now
  }

  /** The caller whom a signer asserts that may speak for callers. Throws `Fault` `unauthenticated`. */
  async caller(token: string): Promise<Principal> {
    const { principal, signer } = await this.#verdict(token)
    if (principal === undefined) throw refused('names no caller')
    this.#demand(signer, 'call')
    return principal
  }

  /** The signer that reads this server's catalog with it, and may. Throws `Fault` `unauthenticated`. */
  async reader(token: string): Promise<string> {
    const { principal, signer } = await this.#verdict(token)
    if (principal !== undefined) throw refused('is for calls')
    this.#demand(signer, 'catalog')
    return signer
  }

  #demand(signer: string, use: AssertionUse): void {
    if (this.#signers.get(signer)?.uses.has(use) !== true) throw refused('is for what its signer is not trusted with')
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
      const trusted = signer === undefined ? undefined : this.#signers.get(signer)
      if (signer === undefined || trusted === undefined) throw refused('comes from a signer that is not trusted here')
      const { payload } = await jwtVerify(token, trusted.keys, {
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
