// Secret values at rest: each sealed alone (JWE, RFC 7516: `dir` with A256GCM) under a key with an id.
// Invariant: a sealed value opens only under the namespace, name and key it was sealed for, so whoever can write
// the store can neither read a secret nor move it to a place that they control.

import { base64url, CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import { Fault } from '../../protocol/fault.ts'

/** Key id → 32 bytes. The first seals, all open. */
export type VaultKeys = ReadonlyMap<string, Uint8Array>

/** Where a value lives. None of the three can contain a slash. */
export interface SecretPlace {
  readonly namespace: string
  readonly name: string
  readonly key: string
}

/** Reads `kid:base64url(32 bytes)`, comma-separated. Throws an Error that names the bad entry by position, never its bytes. */
export function parseVaultKeys(text: string): VaultKeys {
  const keys = new Map<string, Uint8Array>()
  for (const [index, entry] of text.split(',').entries()) {
    const at = `VAULT_KEYS entry ${index + 1}`
    const [kid, encoded, ...rest] = entry.trim().split(':')
    if (!kid || !encoded || rest.length > 0) throw new Error(`${at}: write it as kid:base64url(32 bytes)`)
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(kid)) throw new Error(`${at}: the kid may have 1-64 of A-Z a-z 0-9 . _ -`)
    if (keys.has(kid)) throw new Error(`${at}: the kid "${kid}" occurs twice`)
    const bytes = decode(encoded)
    if (bytes?.length !== 32) throw new Error(`${at}: the key must be 32 bytes in base64url`)
    keys.set(kid, bytes)
  }
  return keys
}

/** The id of the key that seals. */
export function sealingKeyId(keys: VaultKeys): string {
  const [kid] = keys.keys()
  if (kid === undefined) throw new Fault('internal', 'No vault key is configured. Set VAULT_KEYS.')
  return kid
}

/** Seals one value for one place with the first key. */
export async function seal(keys: VaultKeys, place: SecretPlace, value: string): Promise<string> {
  const kid = sealingKeyId(keys)
  return new CompactEncrypt(new TextEncoder().encode(value))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, sub: path(place) })
    .encrypt(keys.get(kid) ?? new Uint8Array())
}

/**
 * Opens a value sealed for this place. Throws `Fault` internal when its key is gone, when it was sealed for another
 * place, or when it was altered.
 */
export async function open(keys: VaultKeys, place: SecretPlace, sealed: string): Promise<string> {
  try {
    const key = keys.get(sealedBy(sealed) ?? '')
    if (key === undefined) throw new Error('no such key')
    const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, options)
    // The protected header is the associated data of the encryption (RFC 7516 §5.1), so this cannot be forged.
    if (protectedHeader['sub'] !== path(place)) throw new Error('sealed for another place')
    return new TextDecoder().decode(plaintext)
  } catch (cause) {
    throw new Fault(
      'internal',
      `The secret ${path(place)} cannot be opened with the current VAULT_KEYS. Set it again.`,
      {
        cause,
      },
    )
  }
}

/** The id of the key that sealed a value; undefined when it says none. */
export function sealedBy(sealed: string): string | undefined {
  try {
    return decodeProtectedHeader(sealed).kid
  } catch {
    return undefined
  }
}

function path({ namespace, name, key }: SecretPlace): string {
  return `${namespace}/${name}/${key}`
}

function decode(encoded: string): Uint8Array | undefined {
  try {
    return base64url.decode(encoded)
  } catch {
    return undefined
  }
}
