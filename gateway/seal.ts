// What we hand to a client and must get back unread and unchanged: session ids, cursors, request state, ids of tasks, of a
// server's questions and of events, and what uplinks join with.
// Compact JWE, `dir` + A256GCM, key by `kid`; the purpose is authenticated, so a cursor can never pass for a session.

import { CompactEncrypt, compactDecrypt } from 'jose'

export type Purpose =
  | 'session'
  | 'cursor'
  | 'state'
  | 'task'
  | 'backend-session'
  | 'request'
  | 'event'
  | 'link-nonce'
  | 'link-session'

/** Keys by id; the first seals, all open, so that keys rotate without ending sessions. */
export type KeyRing = readonly { readonly kid: string; readonly key: Uint8Array }[]

/** Reads `kid:base64url(32 bytes),…`. Throws an Error that names the setting when it is malformed. */
export function keyRing(setting: string, name: string): KeyRing {
  const ring = setting.split(',').map((part) => {
    const [kid = '', encoded = ''] = part.trim().split(':')
    const key = bytes(encoded)
    if (kid === '' || key?.length !== 32) throw new Error(`${name} must be kid:base64url(32 bytes), comma-separated`)
    return { kid, key }
  })
  return ring
}

/** Undefined for what is not base64url. */
function bytes(encoded: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(encoded.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** Longest sealed text that is looked at: what servers put into it may be long, all else is ours and short. */
const LIMIT = 16_384
const LONG_LIMIT = 4 * 1024 * 1024
const LONG: ReadonlySet<Purpose> = new Set<Purpose>(['state', 'backend-session'])

export class Sealer {
  readonly #ring: KeyRing

  constructor(ring: KeyRing) {
    this.#ring = ring
  }

  async seal(purpose: Purpose, payload: unknown): Promise<string> {
    const current = this.#ring[0]
    if (current === undefined) throw new Error('no sealing key')
    return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: current.kid, typ: purpose })
      .encrypt(current.key)
  }

  /** The payload, or undefined for anything that we did not seal for this purpose. */
  async open(purpose: Purpose, sealed: string): Promise<unknown> {
    if (sealed.length > (LONG.has(purpose) ? LONG_LIMIT : LIMIT)) return undefined
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(
        sealed,
        (header) => {
          const found = this.#ring.find((entry) => entry.kid === header.kid)
          if (found === undefined) throw new Error('unknown key')
          return found.key
        },
        { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
      )
      return protectedHeader.typ === purpose ? JSON.parse(new TextDecoder().decode(plaintext)) : undefined
    } catch {
      return undefined
    }
  }
}
