// The key that is an uplink's identity, and the proofs it makes: one for every request that it sends of its own accord.
// The private part leaves this object only by `export`, for the Secret that keeps it.

import { createHash, randomUUID } from 'node:crypto'
import {
  calculateJwkThumbprint,
  CompactSign,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'
import { type Proof, PROOF_TYPE } from '../../protocol/join.ts'

export interface ProofOf {
  readonly cluster: string
  readonly method: string
  /** http(s) or ws(s); query and fragment do not count. */
  readonly url: string
  readonly nonce: string
  /** Of the Authorization header. */
  readonly token?: string
  readonly body?: string
  /** By the edge's clock, in milliseconds. */
  readonly now: number
}

export class Identity {
  /** RFC 7638. */
  readonly thumbprint: string
  readonly publicJwk: JWK
  readonly #key: CryptoKey
  readonly #jwk: JWK

  private constructor(key: CryptoKey, jwk: JWK, publicJwk: JWK, thumbprint: string) {
    this.#key = key
    this.#jwk = jwk
    this.publicJwk = publicJwk
    this.thumbprint = thumbprint
  }

  static async generate(): Promise<Identity> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    return Identity.import(await exportJWK(privateKey))
  }

  /** From what `export` gave. Throws an Error that does not quote it. */
  static async import(jwk: JWK): Promise<Identity> {
    const { kty, crv, x, y, d } = jwk
    if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined || d === undefined)
      throw new Error('the identity key is not a private P-256 key in JWK form')
    const publicJwk = { kty, crv, x, y }
    const key = await importJWK({ ...publicJwk, d }, 'ES256').catch(() => undefined)
    if (key === undefined || key instanceof Uint8Array) throw new Error('the identity key cannot be used')
    return new Identity(key, { ...publicJwk, d }, publicJwk, await calculateJwkThumbprint(publicJwk))
  }

  /** The private key. */
  export(): JWK {
    return { ...this.#jwk }
  }

  /** The JWS for the header `waggle-proof`: good for one request. */
  proof({ cluster, method, url, nonce, token, body, now }: ProofOf): Promise<string> {
    const { protocol, host, pathname } = new URL(url)
    const claims: Proof = {
      jti: randomUUID(),
      iat: Math.floor(now / 1000),
      htm: method,
      htu: `${protocol.replace('ws', 'http')}//${host}${pathname}`,
      nonce,
      cluster,
      ...(token !== undefined && { ath: digest(token) }),
      ...(body !== undefined && { dig: digest(body) }),
    }
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', typ: PROOF_TYPE, jwk: this.publicJwk })
      .sign(this.#key)
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
