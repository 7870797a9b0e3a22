// Credentials refused before their time: by subject or by token id (`jti`), always of one issuer.
// Invariant: asking whether a credential is revoked costs the same however long the list is.

import type { Store } from '../../gateway/ports.ts'
import { Fault } from '../../protocol/fault.ts'
import { changeDocument, readDocument } from './document.ts'
import type { Codec } from './document.ts'

export const maxRevocations = 10_000

/** Whom it hits: every field that is present must match. At least one of `subject` and `tokenId` is. */
export interface RevocationTarget {
  readonly issuer: string
  readonly subject?: string
  /** The `jti` claim. */
  readonly tokenId?: string
}

export interface Revocation extends RevocationTarget {
  /** Seconds since the epoch. */
  readonly until: number
}

/** Identity of a target → its revocation. */
export type Revocations = ReadonlyMap<string, Revocation>

export const revocationCodec: Codec<Revocations> = {
  key: 'revocations',
  empty: new Map(),
  parse(json) {
    const stored = json as { format: number; items: Revocation[] }
    if (stored.format !== 1) throw new Error(`unknown format ${String(stored.format)}`)
    return new Map(stored.items.map((item) => [identity(item), item]))
  },
  print: (revocations) => ({ format: 1, items: [...revocations.values()] }),
}

/** The list and the store's version of it. Entries may have expired; `revoked` ignores those. */
export async function readRevocations(store: Store): Promise<{ revocations: Revocations; version: string | null }> {
  const { value, version } = await readDocument(store, revocationCodec)
  return { revocations: value, version }
}

/** Is this credential refused at `now` (milliseconds since the epoch)? */
export function revoked(
  revocations: Revocations,
  credential: { readonly issuer: string; readonly subject: string; readonly tokenId?: string | undefined },
  now: number,
): boolean {
  if (revocations.size === 0) return false
  const { issuer, subject, tokenId } = credential
  const holds = (target: RevocationTarget): boolean => (revocations.get(identity(target))?.until ?? 0) * 1000 > now
  if (holds({ issuer, subject })) return true
  return tokenId !== undefined && (holds({ issuer, tokenId }) || holds({ issuer, subject, tokenId }))
}

/** Adds or replaces one revocation and drops the expired. Throws `Fault` too_large when the list is full. */
export function revoke(store: Store, revocation: Revocation, now: number): Promise<void> {
  return changeDocument(store, revocationCodec, (current) => {
    const next = new Map([...current].filter(([, { until }]) => until * 1000 > now))
    next.set(identity(revocation), revocation)
    if (next.size > maxRevocations)
      throw new Fault(
        'too_large',
        `${maxRevocations} revocations are in force already. Remove some that are not needed.`,
      )
    return { next, result: undefined }
  })
}

/** Takes a revocation back. False when there was none. */
export function restore(store: Store, target: RevocationTarget): Promise<boolean> {
  return changeDocument(store, revocationCodec, (current) => {
    const next = new Map(current)
    return next.delete(identity(target)) ? { next, result: true } : { result: false }
  })
}

function identity({ issuer, subject, tokenId }: RevocationTarget): string {
  return JSON.stringify([issuer, subject ?? null, tokenId ?? null])
}
