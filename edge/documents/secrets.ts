// The secrets that resources refer to, as one document of sealed values.
// Invariant: a value goes in through `setSecret` and comes out through `openSecret` only; listings have names and keys.

import type { Store } from '../../gateway/ports.ts'
import type { KeyRing } from '../../gateway/seal.ts'
import { Fault } from '../../protocol/fault.ts'
import { changeDocument, readDocument } from './document.ts'
import type { Codec } from './document.ts'
import { open, seal, sealedBy, sealingKey } from './vault.ts'

export const maxSecrets = 1000
export const maxSecretKeys = 64
/** Bytes of UTF-8. */
export const maxSecretValue = 64 * 1024

/** Key → sealed value. */
export type SealedSecret = ReadonlyMap<string, string>

/** `namespace/name` → secret. */
export type Secrets = ReadonlyMap<string, SealedSecret>

/** What may be told about a secret. */
export interface SecretSummary {
  readonly namespace: string
  readonly name: string
  readonly keys: readonly string[]
}

export const secretCodec: Codec<Secrets> = {
  key: 'secrets',
  empty: new Map(),
  parse(json) {
    const stored = json as { format: number; items: [string, [string, string][]][] }
    if (stored.format !== 1) throw new Error(`unknown format ${String(stored.format)}`)
    return new Map(stored.items.map(([id, data]) => [id, new Map(data)]))
  },
  print: (secrets) => ({ format: 1, items: [...secrets].map(([id, data]) => [id, [...data]]) }),
}

/** All secrets, sealed, and the store's version of the document. */
export async function readSecrets(store: Store): Promise<{ secrets: Secrets; version: string | null }> {
  const { value, version } = await readDocument(store, secretCodec)
  return { secrets: value, version }
}

/**
 * The value of one key of one secret; undefined when there is none. Throws `Fault` internal when it cannot be opened:
 * its vault key is gone, or it was altered or moved.
 */
export async function openSecret(
  secrets: Secrets,
  keys: KeyRing,
  namespace: string,
  name: string,
  key: string,
): Promise<string | undefined> {
  const sealed = secrets.get(`${namespace}/${name}`)?.get(key)
  return sealed === undefined ? undefined : open(keys, { namespace, name, key }, sealed)
}

/** Names and keys, in order. */
export function summarize(secrets: Secrets): SecretSummary[] {
  return [...secrets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, data]) => summary(id, data))
}

/**
 * Seals `data` and sets those keys, leaving others; what an older vault key sealed in this secret is sealed anew.
 * Throws `Fault` too_large when a bound is exceeded.
 */
export async function setSecret(
  store: Store,
  keys: KeyRing,
  { namespace, name, data }: { namespace: string; name: string; data: ReadonlyMap<string, string> },
): Promise<SecretSummary> {
  const id = `${namespace}/${name}`
  const sealed = new Map<string, string>()
  for (const [key, value] of data) sealed.set(key, await seal(keys, { namespace, name, key }, value))
  return changeDocument(store, secretCodec, async (current) => {
    const old = current.get(id) ?? new Map<string, string>()
    const { data: renewed } = await renew(keys, id, new Map([...old].filter(([key]) => !sealed.has(key))))
    const merged = new Map([...renewed, ...sealed].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (merged.size > maxSecretKeys)
      throw new Fault('too_large', `The secret ${id} would have ${merged.size} keys; ${maxSecretKeys} are allowed.`)
    const next = new Map(current).set(id, merged)
    if (next.size > maxSecrets)
      throw new Fault('too_large', `There are ${maxSecrets} secrets already. Delete some that are not needed.`)
    return { next, result: summary(id, merged) }
  })
}

/** False when there was none. */
export function deleteSecret(store: Store, namespace: string, name: string): Promise<boolean> {
  return changeDocument(store, secretCodec, (current) => {
    const next = new Map(current)
    return next.delete(`${namespace}/${name}`) ? { next, result: true } : { result: false }
  })
}

export interface Resealed {
  /** Values sealed anew with the first key. */
  readonly resealed: number
  /** Values that the first key had sealed already. */
  readonly current: number
  /** `namespace/name/key` of values that no key opens; they stay as they are. */
  readonly unreadable: readonly string[]
}

/** Seals everything with the first vault key, after which the others can be retired. */
export function resealSecrets(store: Store, keys: KeyRing): Promise<Resealed> {
  return changeDocument(store, secretCodec, async (secrets) => {
    const next = new Map<string, SealedSecret>()
    const result = { resealed: 0, current: 0, unreadable: [] as string[] }
    for (const [id, data] of secrets) {
      const renewed = await renew(keys, id, data)
      next.set(id, renewed.data)
      result.resealed += renewed.resealed
      result.current += renewed.current
      result.unreadable.push(...renewed.unreadable)
    }
    return result.resealed > 0 ? { next, result } : { result }
  })
}

async function renew(keys: KeyRing, id: string, data: SealedSecret): Promise<Resealed & { data: SealedSecret }> {
  const { namespace, name } = split(id)
  const { kid } = sealingKey(keys)
  const next = new Map<string, string>()
  const unreadable: string[] = []
  let resealed = 0
  for (const [key, sealed] of data) {
    const place = { namespace, name, key }
    next.set(key, sealed)
    if (sealedBy(sealed) === kid) continue
    try {
      next.set(key, await seal(keys, place, await open(keys, place, sealed)))
      resealed++
    } catch {
      unreadable.push(`${id}/${key}`)
    }
  }
  return { data: next, resealed, current: data.size - resealed - unreadable.length, unreadable }
}

function summary(id: string, data: SealedSecret): SecretSummary {
  return { ...split(id), keys: [...data.keys()] }
}

function split(id: string): { namespace: string; name: string } {
  const slash = id.indexOf('/')
  return { namespace: id.slice(0, slash), name: id.slice(slash + 1) }
}
