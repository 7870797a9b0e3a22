// Who may enter an endpoint: OAuth 2.1 resource server (RFC 6750, RFC 8707, RFC 9728). A token is verified once and its
// verdict kept until it expires; a change of configuration makes a new guard and with it an empty cache.

import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose'
import { Fault } from '../../protocol/fault.ts'
import { fingerprint } from '../catalog/hash.ts'
import { Lru } from '../lru.ts'
import type { Clock } from '../ports.ts'
import { anonymous, type Principal } from '../principal.ts'
import type { AssertionVerifier } from './assertion-verifier.ts'
import type { Credentials } from './credentials.ts'
import type { Issuer, IssuerKeys } from './issuer.ts'

export interface GuardSettings {
  /** Undefined: the resource says in so many words that anonymous callers may enter. */
  readonly issuers: readonly IssuerKeys[] | undefined
  readonly audience: string
  readonly scopes: readonly string[]
  /** Canonical URL of the endpoint (RFC 8707 resource). */
  readonly resource: string
  readonly metadataUrl: string
  /** Who may speak for callers; absent: nobody. */
  readonly assertions?: AssertionVerifier
}

/** Whether a credential was withdrawn before its time. */
export type Revoked = (principal: { issuer: string; subject: string; tokenId: string | undefined }) => boolean

interface Verdict {
  readonly principal: Principal
  readonly tokenId: string | undefined
  readonly until: number
}

const CACHED = 10_000
const MAX_TOKEN = 16_384
/** Opaque tokens are asked about again after this, so that withdrawing one takes effect. */
const INTROSPECTION_MS = 4_000

export class Guard {
  readonly settings: GuardSettings
  readonly #now: Clock
  readonly #verdicts = new Lru<string, Verdict>(CACHED)
  readonly #refused = new Lru<string, { fault: Fault; until: number }>(1000)

  constructor(settings: GuardSettings, now: Clock) {
    this.settings = settings
    this.#now = now
  }

  /**
   * The caller behind a request's credentials. Throws `Fault` `unauthenticated` or `insufficient_scope` with the challenge. An
   * assertion that does not verify is refused, whatever else the request shows.
   */
  async enter({ authorization, assertion }: Credentials, revoked: Revoked): Promise<Principal> {
    if (assertion !== undefined) return this.#asserted(assertion, revoked)
    if (this.settings.issuers === undefined) return anonymous
    const token = this.#bearer(authorization)
    const now = this.#now()
    let verdict = this.#verdicts.get(token)
    if (verdict === undefined || verdict.until <= now) {
      verdict = await this.#verify(token, now)
      this.#verdicts.set(token, verdict)
    }
    return this.#admit(verdict.principal, verdict.tokenId, revoked)
  }

  async #asserted(assertion: string, revoked: Revoked): Promise<Principal> {
    const { assertions, issuers } = this.settings
    if (assertions === undefined) throw new Fault('unauthenticated', 'Assertions are not accepted here.')
    const principal = await assertions.caller(assertion)
    // Nobody can vouch for a stranger where strangers may not enter.
    if (issuers !== undefined && principal.issuer === anonymous.issuer) throw this.refuse('The caller is anonymous.')
    return this.#admit(principal, undefined, revoked)
  }

  #admit(principal: Principal, tokenId: string | undefined, revoked: Revoked): Principal {
    const { issuer, subject, scopes, expires } = principal
    if (expires * 1000 <= this.#now() && principal.via !== undefined) throw this.refuse('The token has expired.')
    if (revoked({ issuer, subject, tokenId })) throw this.refuse('The token has been revoked.')
    if (!this.settings.scopes.every((scope) => scopes.has(scope))) throw this.stepUp(this.settings.scopes)
    return principal
  }

  /** 401 with the challenge of RFC 6750 §3 and RFC 9728 §5.1. */
  refuse(description: string | undefined): Fault {
    const error = description === undefined ? '' : `error="invalid_token", error_description="${description}", `
    return new Fault('unauthenticated', description ?? 'A bearer token is required.', {
      headers: {
        'www-authenticate': `Bearer ${error}${this.#scopeParameter(this.settings.scopes)}${this.#metadata()}`,
      },
    })
  }

  /** 403 that names every scope the operation needs, those of the endpoint included. */
  stepUp(scopes: readonly string[]): Fault {
    const needed = [...new Set([...this.settings.scopes, ...scopes])]
    const text = `This needs the scope${needed.length === 1 ? '' : 's'} ${needed.join(' ')}.`
    return new Fault('insufficient_scope', text, {
      data: { scopes: needed },
      headers: {
        'www-authenticate': `Bearer error="insufficient_scope", error_description="${text}", ${this.#scopeParameter(needed)}${this.#metadata()}`,
      },
    })
  }

  /** The protected resource metadata (RFC 9728 §2). */
  metadata(name: string, scopes: readonly string[]): Record<string, unknown> {
    const supported = [...new Set([...this.settings.scopes, ...scopes])]
    return {
      resource: this.settings.resource,
      authorization_servers: (this.settings.issuers ?? []).map(({ issuer }) => issuer.issuer),
      ...(supported.length > 0 && { scopes_supported: supported }),
      bearer_methods_supported: ['header'],
      resource_name: name,
    }
  }

  #bearer(authorization: string | null): string {
    const match = authorization === null ? null : /^bearer +([A-Za-z0-9._~+/-]+=*)$/iu.exec(authorization)
    const token = match?.[1]
    if (token === undefined || token.length > MAX_TOKEN) {
      throw this.refuse(authorization === null ? undefined : 'The Authorization header carries no usable bearer token.')
    }
    return token
  }

  async #verify(token: string, now: number): Promise<Verdict> {
    const key = fingerprint(token)
    const known = this.#refused.get(key)
    if (known !== undefined && known.until > now) throw known.fault
    try {
      return token.split('.').length === 3 ? await this.#verifyJwt(token, now) : await this.#introspect(token, now)
    } catch (error) {
      if (error instanceof Fault && error.reason !== 'unauthenticated') throw error
      const fault = error instanceof Fault ? error : this.refuse(explain(error))
      // A token does not become valid by asking again, except one that names a key we may not have seen yet.
      const waits = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWTClaimValidationFailed
      if (!waits) this.#refused.set(key, { fault, until: now + INTROSPECTION_MS })
      throw fault
    }
  }

  async #verifyJwt(token: string, now: number): Promise<Verdict> {
    const claimed = decodeJwt(token).iss
    const keys = this.settings.issuers?.find(({ issuer }) => issuer.issuer === claimed)
    if (keys === undefined) throw this.refuse('The token comes from an issuer that is not trusted here.')
    const { issuer } = keys
    const { payload, protectedHeader } = await jwtVerify(token, (header, jws) => keys.key(header, jws), {
      issuer: issuer.issuer,
      audience: this.settings.audience,
      algorithms: [...issuer.algorithms],
      clockTolerance: issuer.clockSkewSeconds,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(now),
    })
    // RFC 9068 §4 and RFC 8725 §3.11: tokens of other uses carry a type of their own.
    const type = (protectedHeader.typ ?? 'jwt').toLowerCase().replace(/^application\//u, '')
    if (type !== 'jwt' && type !== 'at+jwt') throw this.refuse('This is not an access token.')
    if (!admits(issuer, payload.sub ?? '')) throw this.refuse('This subject may not enter here.')
    return verdict(payload, issuer.issuer, issuer.groupsClaim, ((payload.exp ?? 0) + issuer.clockSkewSeconds) * 1000)
  }

  /**
   * RFC 7662. Whose an opaque token is cannot be seen, and showing it to one issuer after another would give it away: it is
   * asked about only where a single issuer is trusted.
   */
  async #introspect(token: string, now: number): Promise<Verdict> {
    const [keys, ...others] = this.settings.issuers ?? []
    if (keys?.issuer.introspection === undefined || others.length > 0)
      throw this.refuse('Only JWT access tokens are accepted here.')
    const answer = await keys.introspect(token)
    if (answer['active'] !== true) throw this.refuse('The token is not valid here.')
    const { issuer, groupsClaim } = keys.issuer
    const payload = answer as JWTPayload
    const type = String(payload['token_type'] ?? 'bearer').toLowerCase()
    if (!['bearer', 'dpop', 'access_token'].includes(type)) throw this.refuse('This is not an access token.')
    if (typeof payload.sub !== 'string') throw this.refuse('The token names no subject.')
    if (!admits(keys.issuer, payload.sub)) throw this.refuse('This subject may not enter here.')
    if (payload.iss !== undefined && payload.iss !== issuer) throw this.refuse('The token comes from another issuer.')
    const audiences = payload.aud === undefined ? [] : [payload.aud].flat()
    if (!audiences.includes(this.settings.audience)) throw this.refuse('The token is meant for another audience.')
    const expires = typeof payload.exp === 'number' ? payload.exp * 1000 : Number.POSITIVE_INFINITY
    if (expires <= now) throw this.refuse('The token has expired.')
    return verdict(payload, issuer, groupsClaim, Math.min(expires, now + INTROSPECTION_MS))
  }

  #scopeParameter(scopes: readonly string[]): string {
    return scopes.length === 0 ? '' : `scope="${scopes.join(' ')}", `
  }

  #metadata(): string {
    return `resource_metadata="${this.settings.metadataUrl}"`
  }
}

function admits({ subjects }: Issuer, subject: string): boolean {
  return subjects?.some((one) => (one.endsWith(':') ? subject.startsWith(one) : subject === one)) !== false
}

function verdict(payload: JWTPayload, issuer: string, groupsClaim: string, until: number): Verdict {
  const subject = payload.sub ?? ''
  const scope = payload['scope'] ?? payload['scp']
  const scopes = Array.isArray(scope) ? scope.map(String) : typeof scope === 'string' ? scope.split(' ') : []
  const groups = Object.hasOwn(payload, groupsClaim) ? payload[groupsClaim] : undefined
  const clientId = payload['client_id'] ?? payload['azp']
  return {
    tokenId: typeof payload.jti === 'string' ? payload.jti : undefined,
    until,
    principal: {
      id: `${issuer} ${subject}`,
      issuer,
      subject,
      clientId: typeof clientId === 'string' ? clientId : undefined,
      scopes: new Set(scopes.filter((one) => one !== '')),
      groups: Array.isArray(groups) ? groups.map(String) : typeof groups === 'string' ? [groups] : [],
      claims: payload,
      expires: payload.exp ?? Number.POSITIVE_INFINITY,
    },
  }
}

/** What is wrong with a token, in words that help its owner and tell an attacker nothing new. */
function explain(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.'
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return 'The token is meant for another audience.'
    if (error.claim === 'nbf') return 'The token is not valid yet.'
    return `The claim ${error.claim} does not hold.`
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'The signature algorithm is not accepted here.'
  return 'The token is not valid.'
}
