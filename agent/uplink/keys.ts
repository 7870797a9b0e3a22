// The key that all replicas of an uplink share: made by whichever comes first, kept in one Secret, and made known to the cluster's proxies
// by a ConfigMap with its public part. Both exist before, empty, so that the right to change these two is all that it takes.

import type { KubeClient } from '../kube/client.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { isConflict } from '../kube/error.ts'
import { TYPES, type KubeObject } from '../kube/object.ts'
import { Identity } from './identity.ts'

export const IDENTITY_KEY = 'identity.jwk'
/** When it became the key. */
export const SINCE_KEY = 'identity.since'
export const SIGNING_KEYS = 'signing.json'
/** Public keys that are told; older ones verify nothing any more by then. */
const MAX_KEYS = 8
const AGAIN_MS = 1_000

export interface KeyPlaces {
  readonly namespace: string
  readonly secret: string
  readonly keysConfigMap: string
}

/** The identity, known to the cluster's proxies. Tries until it has it, or the signal aborts. */
export async function keepIdentity(
  client: KubeClient,
  places: KeyPlaces,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<Identity> {
  for (;;) {
    try {
      const identity = await readIdentity(client, places, signal)
      await publishKey(client, places, identity, signal)
      return identity
    } catch (error) {
      signal.throwIfAborted()
      // Another replica was first.
      if (!isConflict(error)) failed(error)
      await sleep(systemClock, AGAIN_MS, signal)
      signal.throwIfAborted()
    }
  }
}

async function readIdentity(client: KubeClient, places: KeyPlaces, signal: AbortSignal): Promise<Identity> {
  const secret = await readSecret(client, places, signal)
  const kept = await identityOf(secret, IDENTITY_KEY, places)
  if (kept !== undefined) return kept
  const made = await Identity.generate()
  const data = {
    ...secret.data,
    [IDENTITY_KEY]: base64(privateText(made)),
    [SINCE_KEY]: base64(new Date().toISOString()),
  }
  await client.replace({ ...secret, data }, TYPES.Secret, { signal })
  return made
}

export async function readSecret(
  client: KubeClient,
  { namespace, secret: name }: KeyPlaces,
  signal: AbortSignal,
): Promise<KubeObject> {
  return client.get({ type: TYPES.Secret, namespace, name }, { signal })
}

/**
 * The key under this name; undefined where there is none. Throws for what is no key: it is not replaced, since somebody may have put it
 * there, and the edge may know it.
 */
export async function identityOf(
  secret: KubeObject,
  name: string,
  { namespace, secret: of }: KeyPlaces,
): Promise<Identity | undefined> {
  const kept = secret.data?.[name]
  if (kept === undefined || kept === '') return undefined
  return Identity.import(parsed(Buffer.from(kept, 'base64').toString(), `Secret ${namespace}/${of}, ${name}`))
}

/** What is kept of a key. */
export function privateText(identity: Identity): string {
  return JSON.stringify(identity.export())
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** Adds the public part, the newest first. */
export async function publishKey(
  client: KubeClient,
  { namespace, keysConfigMap: name }: KeyPlaces,
  { publicJwk, thumbprint }: Identity,
  signal: AbortSignal,
): Promise<void> {
  const configMap: KubeObject = await client.get({ type: TYPES.ConfigMap, namespace, name }, { signal })
  const known = keysOf(configMap.data?.[SIGNING_KEYS])
  if (known.some((key) => key.kid === thumbprint)) return
  const keys = [{ ...publicJwk, kid: thumbprint, alg: 'ES256', use: 'sig' }, ...known].slice(0, MAX_KEYS)
  const data = { ...configMap.data, [SIGNING_KEYS]: JSON.stringify({ keys }) }
  await client.replace({ ...configMap, data }, TYPES.ConfigMap, { signal })
}

/** What somebody else wrote there counts for nothing. */
function keysOf(text: string | undefined): readonly { readonly kid?: unknown }[] {
  try {
    const { keys } = JSON.parse(text ?? '{}') as { keys?: unknown }
    return Array.isArray(keys)
      ? keys.filter((key): key is { kid?: unknown } => typeof key === 'object' && key !== null)
      : []
  } catch {
    return []
  }
}

function parsed(text: string, where: string): object {
  try {
    return JSON.parse(text) as object
  } catch {
    throw new Error(`${where}: is not the JSON of a key; delete it to have a new one made`)
  }
}
