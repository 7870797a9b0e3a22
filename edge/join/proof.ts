// Proof of possession: a signature over one request by the key that it names. What it proves is only that whoever sent the request
// holds that key and made the proof for it, just now.

import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, errors, importJWK, type JWK } from 'jose'
import * as z from 'zod'
import { Namespace } from '../../crds/name.ts'
import { PROOF_SECONDS, PROOF_TYPE } from '../../protocol/join.ts'
import { Refusal } from './refusal.ts'

const MAX_PROOF = 4096

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/u)
/** A public P-256 key and nothing else: no private part, no use, no certificate. */
const PublicKey = z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: coordinate, y: coordinate })

const Header = z.strictObject({ alg: z.literal('ES256'), typ: z.literal(PROOF_TYPE), jwk: PublicKey })

const Claims = z.object({
  jti: z.string().min(16).max(64),
  iat: z.int(),
  htm: z.string(),
  htu: z.string(),
  nonce: z.string(),
  cluster: Namespace,
  ath: z.string().optional(),
  dig: z.string().optional(),
})

/** A signature that holds, whatever it says. */
export interface Signed {
  readonly claims: z.infer<typeof Claims>
  readonly jwk: JWK
  /** RFC 7638. */
  readonly thumbprint: string
}

/** The request as it arrived. */
export interface Shown {
  readonly method: string
  /** As the uplink must have called it. */
  readonly url: string
  readonly token: string | undefined
  readonly body: Uint8Array | undefined
}

/** Who signed, and what. Throws `Refusal` invalid_proof. */
export async function openProof(proof: string): Promise<Signed> {
  if (proof.length > MAX_PROOF) throw new Refusal('invalid_proof', 'proof is too long')
  try {
    const { jwk } = Header.parse(decodeProtectedHeader(proof))
    const { payload } = await compactVerify(proof, await importJWK(jwk, 'ES256'), { algorithms: ['ES256'] })
    const claims = Claims.parse(JSON.parse(new TextDecoder().decode(payload)))
    return { claims, jwk, thumbprint: await calculateJwkThumbprint(jwk) }
  } catch (error) {
    throw new Refusal('invalid_proof', `proof does not verify: ${codeOf(error)}`)
  }
}

/** That it was signed for this request, and just now. Throws `Refusal` invalid_proof or clock_skew. `now` in milliseconds. */
export async function checkProof({ claims }: Signed, shown: Shown, now: number): Promise<void> {
  const refuse = (what: string) => new Refusal('invalid_proof', `proof is for another ${what}`)
  if (claims.htm !== shown.method) throw refuse('method')
  if (claims.htu !== shown.url) {
    const message = 'The proof was made for another URL. Set edge.url to the address that the edge knows as its own.'
    throw new Refusal('invalid_proof', 'proof is for another URL', { message })
  }
  if (claims.ath !== (shown.token === undefined ? undefined : await digest(encode(shown.token)))) throw refuse('token')
  if (claims.dig !== (shown.body === undefined ? undefined : await digest(shown.body))) throw refuse('body')
  const off = Math.round(claims.iat - now / 1000)
  if (Math.abs(off) > PROOF_SECONDS) throw new Refusal('clock_skew', `proof is ${off} s off`)
}

/** A public key that may become an identity. Throws `Refusal` invalid_request. */
export async function publicKey(input: unknown): Promise<{ jwk: JWK; thumbprint: string }> {
  const parsed = PublicKey.safeParse(input)
  if (!parsed.success) throw new Refusal('invalid_request', 'next key is not a public P-256 key')
  try {
    await importJWK(parsed.data, 'ES256')
  } catch {
    throw new Refusal('invalid_request', 'next key is not on its curve')
  }
  return { jwk: parsed.data, thumbprint: await calculateJwkThumbprint(parsed.data) }
}

/** What is wrong in one word: the library's own messages may quote what a stranger sent. */
export function codeOf(error: unknown): string {
  if (error instanceof errors.JOSEError) return error.code
  return error instanceof z.ZodError ? 'a field is missing or of another form' : 'malformed'
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** base64url(SHA-256). */
async function digest(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)))
  return btoa(String.fromCharCode(...hash))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/u, '')
}
