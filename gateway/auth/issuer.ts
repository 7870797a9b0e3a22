// An OIDC issuer as the gateway trusts it, and its verification keys: discovered, cached in memory and in the store, fetched
// again when a token names an unknown key, but never more often than the cooldown allows, however many such tokens come.

import {
  createLocalJWKSet,
  errors,
  type CryptoKey,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import { Fault } from '../../protocol/fault.ts'
import { guardEgress, isApiServer } from '../backend/egress.ts'
import type { Fetch } from '../backend/upstream.ts'
import { readBounded } from '../bounded.ts'
import type { Clock, Store } from '../ports.ts'
import { sha256 } from '../sha256.ts'

export interface Issuer {
  readonly issuer: string
  /** Overrides discovery. */
  readonly jwksUrl: string | undefined
  /** RFC 7662, for tokens that are not JWTs. */
  readonly introspection:
    | { readonly url: string; readonly clientId: string; readonly secret: () => Promise<string> }
    | undefined
  readonly algorithms: readonly string[]
  readonly clockSkewSeconds: number
  readonly groupsClaim: string
  /** Plain http is refused unless allowed here. */
  readonly allowHttp: boolean
  readonly allowPrivate: boolean
  /** Its keys may be at the API server of the host's own cluster, which nothing else may call. */
  readonly clusterAuth?: boolean
  /** Only these subjects, one that ends with a colon for all that begin so; undefined: all. */
  readonly subjects?: readonly string[] | undefined
}

export const DEFAULT_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

const COOLDOWN_MS = 10_000
/** How soon an issuer that never answered is asked again. */
const RETRY_MS = 2_000
const POLL_MS = 25
const MAX_AGE_MS = 600_000
const MAX_STALE_MS = 3_600_000
const FETCH_MS = 5_000
const MAX_BODY = 1024 * 1024
/** Tokens that an issuer is asked about at once, by one isolate. */
const MAX_ASKING = 16

export interface IssuerHost {
  readonly store: Store
  readonly fetch: Fetch
  readonly allowLoopback: boolean
  readonly now: Clock
}

interface Cached {
  readonly jwks: JSONWebKeySet
  readonly at: number
}

type Resolver = ReturnType<typeof createLocalJWKSet>

export class IssuerKeys {
  readonly issuer: Issuer
  readonly #host: IssuerHost
  #cached: Cached | undefined
  #resolve: Resolver | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #asking: number[] = []
  #fetching = false

  constructor(issuer: Issuer, host: IssuerHost) {
    this.issuer = issuer
    this.#host = host
  }

  /** The key for a token. Throws jose's error for a key that does not exist, `Fault` `overloaded` when none can be had. */
  async key(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const now = this.#host.now()
    if (this.#resolve === undefined || this.#cached === undefined || now - this.#cached.at > MAX_AGE_MS)
      await this.#refresh(now)
    try {
      return await this.#resolver()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      if (now - this.#triedAt < COOLDOWN_MS) throw error
      await this.#refresh(now)
      return this.#resolver()(header, token)
    }
  }

  /** What the issuer says about a token (RFC 7662). Throws `Fault` `overloaded` when it cannot be asked now. */
  async introspect(token: string): Promise<Record<string, unknown>> {
    const { introspection, issuer } = this.issuer
    if (introspection === undefined) throw unreachable(issuer, 'offers no introspection')
    // Anybody can invent tokens: only so many of them may be at the issuer at once. Times, not a counter: a request that
    // is cut off never gets to count down.
    const now = this.#host.now()
    this.#asking = this.#asking.filter((at) => now - at < FETCH_MS)
    if (this.#asking.length >= MAX_ASKING) throw unreachable(issuer, 'too many tokens to ask about')
    this.#asking.push(now)
    const credentials = `${encodeURIComponent(introspection.clientId)}:${encodeURIComponent(await introspection.secret())}`
    try {
      return await this.#fetchJson(introspection.url, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(credentials)}`,
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      })
    } finally {
      const at = this.#asking.indexOf(now)
      if (at >= 0) this.#asking.splice(at, 1)
    }
  }

  /** A JSON document of this issuer, within bounds. Throws `Fault` `overloaded` when it cannot be had. */
  async #fetchJson(url: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
    const { allowHttp, allowPrivate, issuer, clusterAuth = false } = this.issuer
    const { allowLoopback } = this.#host
    const target = new URL(url)
    if (target.protocol !== 'https:' && !allowHttp) throw unreachable(issuer, 'https is required')
    if (!clusterAuth || !isApiServer(target))
      guardEgress(target, `issuer ${issuer}`, { allowPrivate: allowPrivate || allowLoopback, allowLoopback })
    try {
      const response = await this.#host.fetch(url, {
        ...init,
        redirect: 'manual',
        signal: AbortSignal.timeout(FETCH_MS),
      })
      if (response.status !== 200 || response.body === null) {
        await response.body?.cancel()
        throw unreachable(issuer, `HTTP ${response.status}`)
      }
      const text = await readBounded(response.body, MAX_BODY)
      const body: unknown = text === undefined ? undefined : JSON.parse(text)
      if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
      throw unreachable(issuer, 'not a JSON object')
    } catch (error) {
      throw error instanceof Fault ? error : unreachable(issuer, error instanceof Error ? error.message : 'failed')
    }
  }

  #resolver(): Resolver {
    if (this.#resolve === undefined) throw unreachable(this.issuer.issuer, 'no keys yet')
    return this.#resolve
  }

  /**
   * New keys, at most once per cooldown. Requests that come meanwhile wait for the one that asks; they look for its result
   * instead of sharing its promise, which would never settle if that request were cut off.
   */
  async #refresh(now: number): Promise<void> {
    if (now - this.#triedAt < (this.#cached === undefined ? RETRY_MS : COOLDOWN_MS)) {
      for (let waited = 0; this.#fetching && waited < FETCH_MS; waited += POLL_MS) await pause(POLL_MS)
      if (this.#resolve === undefined) throw unreachable(this.issuer.issuer, 'no keys yet')
      return
    }
    this.#triedAt = now
    this.#fetching = true
    try {
      await this.#load(now)
    } finally {
      this.#fetching = false
    }
  }

  /** From the store when another isolate was there lately, else from the issuer. Old keys serve on while neither answers. */
  async #load(now: number): Promise<void> {
    const { store } = this.#host
    const key = await this.#storeKey()
    const stored = await store.get(key).then(
      (entry) => (entry === null ? undefined : (JSON.parse(entry.value) as Cached)),
      () => undefined,
    )
    const isNews = stored !== undefined && stored.at > (this.#cached?.at ?? 0)
    if (isNews && now - stored.at < (this.#cached === undefined ? MAX_AGE_MS : COOLDOWN_MS)) {
      this.#use(stored)
      return
    }
    try {
      const jwks = await this.#fetchJson(this.issuer.jwksUrl ?? (await this.#discover()))
      if (!Array.isArray(jwks['keys'])) throw unreachable(this.issuer.issuer, 'no "keys" in the JWKS')
      const fresh: Cached = { jwks: jwks as unknown as JSONWebKeySet, at: now }
      this.#use(fresh)
      await store.set(key, JSON.stringify(fresh), { ttlSeconds: MAX_STALE_MS / 1000 }).catch(() => undefined)
    } catch (error) {
      const last = isNews ? stored : this.#cached
      if (last === undefined || now - last.at >= MAX_STALE_MS) throw error
      this.#use(last)
    }
  }

  /** Everything that decides where the keys come from, so that no configuration can supply another's. */
  async #storeKey(): Promise<string> {
    const { issuer, jwksUrl, allowHttp, allowPrivate } = this.issuer
    const text = JSON.stringify([issuer, jwksUrl ?? null, allowHttp, allowPrivate])
    return `jwks/${await sha256(text)}`
  }

  #use(cached: Cached): void {
    this.#cached = cached
    this.#resolve = createLocalJWKSet(cached.jwks)
  }

  /** `jwks_uri` by OpenID Connect Discovery, else by RFC 8414; the document must name this issuer (RFC 8414 §3.3). */
  async #discover(): Promise<string> {
    const { issuer } = this.issuer
    const url = new URL(issuer)
    const path = url.pathname.replace(/\/$/u, '')
    const places = [
      `${url.origin}${path}/.well-known/openid-configuration`,
      `${url.origin}/.well-known/oauth-authorization-server${path}`,
    ]
    let failure: unknown
    for (const place of places) {
      try {
        const document = await this.#fetchJson(place)
        if (document['issuer'] !== issuer) throw unreachable(issuer, 'its discovery document names another issuer')
        const jwks = document['jwks_uri']
        if (typeof jwks === 'string' && URL.canParse(jwks)) return jwks
        throw unreachable(issuer, 'no "jwks_uri" in its discovery document')
      } catch (error) {
        failure ??= error
      }
    }
    throw failure
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

function unreachable(issuer: string, detail: string): Fault {
  return new Fault('overloaded', 'The identity provider cannot be reached; try again.', {
    data: { retryAfterSeconds: 5 },
    detail: `issuer ${issuer}: ${detail.slice(0, 200)}`,
    headers: { 'retry-after': '5' },
  })
}
