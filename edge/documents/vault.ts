// Secret values at rest: each sealed alone (JWE, RFC 7516: `dir` with A256GCM) under a key with an id.
// Invariant: a sealed value opens only under the namespace, name and key it was sealed for, so whoever can write
// the store can neither read a secret nor move it to a place that they control.

import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import type { KeyRing } from '../../gateway/seal.ts'
import { Fault } from '../../protocol/fault.ts'

const typ = 'secret'

/** Where a value lives. None of the three can contain a slash. */
export interface SecretPlace {
  readonly namespace: string
  readonly name: string
  readonly key: string
}

/** The key that seals. */
export function sealingKey(keys: KeyRing): KeyRing[number] {
  const [first] = keys
  if (first === undefined) throw new Fault('internal', 'No vault key is configured. Set VAULT_KEYS.')
  return first
}

/** Seals one value for one place with the first key. */
export async function seal(keys: KeyRing, place: SecretPlace, value: string): Promise<string> {
  const { kid, key } = sealingKey(keys)
  return new CompactEncrypt(new TextEncoder().encode(value))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid, typ, sub: path(place) })
    .encrypt(key)
}

/**
 * Opens a value sealed for this place. Throws `Fault` internal when its key is gone, when it was sealed for another
 * place, or when it was altered.
 */
export async function open(keys: KeyRing, place: SecretPlace, sealed: string): Promise<string> {
  try {
    const kid = sealedBy(sealed)
    const found = keys.find((entry) => entry.kid === kid)
    if (found === undefined) throw new Error('no such key')
    const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, found.key, options)
    // The protected header is the associated data of the encryption (RFC 7516 §5.1), so this cannot be forged.
    if (protectedHeader.typ !== typ || protectedHeader['sub'] !== path(place))
      throw new Error('sealed for another place')
    // Without ignoreBOM a value that begins with U+FEFF would lose it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext)
  } catch (cause) {
    const message = `The secret ${path(place)} cannot be opened with the current VAULT_KEYS. Set it again.`
    throw new Fault('internal', message, { cause })
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
