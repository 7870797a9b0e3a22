// A tiny OIDC issuer for tests, on loopback: discovery, JWKS, introspection, and any token a test wants, wrong ones too.
// It counts what is fetched from it, so that tests can bound what a verifier asks.

import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import type { CryptoKey, JWK, JWTPayload } from 'jose'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { listen } from './peers/listen.ts'

/** How a forged token is wrong; its claims are right. */
export type Forgery =
  | 'unsigned'
  | 'signed with the public key as a secret'
  | 'signed by another key'
  | 'signed by an unknown key id'

export interface Issuer {
  /** The issuer identifier: `http://127.0.0.1:<port>`, or the one asked for. */
  readonly url: string
  /** Where it listens: `http://127.0.0.1:<port>`. */
  readonly address: string
  readonly clientId: string
  readonly clientSecret: string
  readonly fetches: { discovery: number; jwks: number; introspection: number }
  /** A JWT access token for `audience`; `claims` override the defaults (sub `ada`, valid for ten minutes). */
  token(audience: string | string[], claims?: JWTPayload): Promise<string>
  forge(forgery: Forgery, audience: string, claims?: JWTPayload): Promise<string>
  /** An opaque token that only introspection understands. */
  opaque(audience: string, claims?: JWTPayload): string
  /** Makes an opaque token inactive. */
  revoke(token: string): void
  /** Signs with a new key from now on; the old one is published as well unless `dropOld`. */
  rotate(dropOld?: boolean): Promise<void>
  /** While true every endpoint answers 503. */
  away: boolean
  close(): Promise<void>
}

interface Key {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly jwk: JWK
}

async function makeKey(): Promise<Key> {
  const kid = randomUUID()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  return { kid, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } }
}

/** Starts an issuer with one ES256 key. `url`: its identifier, when it is reached through another server. */
export async function startIssuer(options: { url?: string } = {}): Promise<Issuer> {
  let current = await makeKey()
  let published = [current]
  const opaque = new Map<string, JWTPayload>()
  const fetches = { discovery: 0, jwks: 0, introspection: 0 }
  const clientId = 'waggle-edge'
  const clientSecret = randomUUID()

  function claimsFor(audience: string | string[], claims: JWTPayload): JWTPayload {
    const now = Math.floor(Date.now() / 1000)
    return {
      iss: issuer.url,
      sub: 'ada',
      aud: audience,
      client_id: 'test-client',
      jti: randomUUID(),
      iat: now,
      exp: now + 600,
      ...claims,
    }
  }

  function sign(key: Key, kid: string, payload: JWTPayload): Promise<string> {
    return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid }).sign(key.privateKey)
  }

  async function introspect(request: IncomingMessage): Promise<object> {
    fetches.introspection += 1
    const form = new URLSearchParams(await text(request))
    const claims = opaque.get(form.get('token') ?? '')
    const basic = `Basic ${btoa(`${clientId}:${clientSecret}`)}`
    const known = request.headers.authorization === basic || form.get('client_secret') === clientSecret
    return claims === undefined || !known ? { active: false } : { active: true, ...claims }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, value: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const path = request.url ?? ''
    if (path.startsWith('/.well-known/')) fetches.discovery += 1
    if (path === '/jwks') fetches.jwks += 1
    if (issuer.away) return send(503, { error: 'temporarily_unavailable' })
    if (path === '/.well-known/openid-configuration' || path === '/.well-known/oauth-authorization-server') {
      return send(200, {
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/jwks`,
        authorization_endpoint: `${issuer.url}/authorize`,
        token_endpoint: `${issuer.url}/token`,
        introspection_endpoint: `${issuer.url}/introspect`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        code_challenge_methods_supported: ['S256'],
      })
    }
    if (path === '/jwks') return send(200, { keys: published.map((key) => key.jwk) })
    if (path === '/introspect' && request.method === 'POST') return send(200, await introspect(request))
    return send(404, { error: 'not_found' })
  }

  const server = await listen((request, response) => {
    serve(request, response).catch((cause: unknown) => {
      response.destroy(cause instanceof Error ? cause : new Error(String(cause)))
    })
  })

  const issuer: Issuer = {
    url: options.url ?? server.url,
    address: server.url,
    clientId,
    clientSecret,
    fetches,
    away: false,
    token: (audience, claims = {}) => sign(current, current.kid, claimsFor(audience, claims)),
    forge: async (forgery, audience, claims = {}) => {
      const payload = claimsFor(audience, claims)
      switch (forgery) {
        case 'unsigned':
          return new UnsecuredJWT(payload).encode()
        case 'signed with the public key as a secret': {
          const secret = new TextEncoder().encode(await exportSPKI(current.publicKey))
          return new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: current.kid }).sign(secret)
        }
        case 'signed by another key':
          return sign(await makeKey(), current.kid, payload)
        case 'signed by an unknown key id':
          return sign(current, randomUUID(), payload)
      }
    },
    opaque: (audience, claims = {}) => {
      const token = `opaque-${randomUUID()}`
      opaque.set(token, claimsFor(audience, claims))
      return token
    },
    revoke: (token) => void opaque.delete(token),
    rotate: async (dropOld = false) => {
      current = await makeKey()
      published = dropOld ? [current] : [...published, current]
    },
    close: () => server.close(),
  }
  return issuer
}
