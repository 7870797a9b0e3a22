// The keys of a proxy: what seals its sessions, and what signs its assertions. Both are files of a Secret that the operator
// made and cannot read; a proxy that was given none seals with a key of its own life, and asserts nobody.

import { importJWK, type CryptoKey, type JWK } from 'jose'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SigningKey } from '../../gateway/auth/assertion-signer.ts'
import { keyRing, type KeyRing } from '../../gateway/seal.ts'

export interface Keys {
  readonly sealing: KeyRing
  readonly signing: SigningKey | undefined
}

/** Throws an Error that names the file whose content is no key. */
export async function readKeys(folder: string): Promise<Keys> {
  const [sealing, signing] = await Promise.all([text(join(folder, 'sealing')), text(join(folder, 'signing.jwk'))])
  return {
    sealing: sealing === undefined ? ownRing() : keyRing(sealing.trim(), join(folder, 'sealing')),
    signing: signing === undefined ? undefined : await signingKey(signing, join(folder, 'signing.jwk')),
  }
}

async function signingKey(content: string, path: string): Promise<SigningKey> {
  try {
    const jwk = JSON.parse(content) as JWK
    const key = await importJWK(jwk, 'ES256')
    if (typeof jwk.kid !== 'string' || jwk.crv !== 'P-256' || jwk.d === undefined) throw new Error('not a signing key')
    return { kid: jwk.kid, key: key as CryptoKey }
  } catch {
    throw new Error(`${path} must hold a private JWK for ES256 with a "kid"`)
  }
}

function ownRing(): KeyRing {
  return [{ kid: 'own', key: crypto.getRandomValues(new Uint8Array(32)) }]
}

async function text(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
