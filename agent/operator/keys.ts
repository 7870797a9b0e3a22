// Keys of proxies: made here, sent once into a Secret that the operator cannot read back, and forgotten. What everybody may know of
// them (public parts, and names of Secrets) stands in a ConfigMap beside.

import { createHash, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { PUBLIC_KEYS } from '../jwks.ts'
import type { KubeObject } from '../kube/object.ts'
import type { KeyDraft } from './kind.ts'
import { MANAGED_BY, MANAGER, names } from './label.ts'

export interface MadeKey {
  readonly secret: KubeObject
  /** The ConfigMap, with this key and those that it named before. */
  readonly configMap: KubeObject
}

/** A fresh key for a resource. `known` is the ConfigMap's data as it is. */
export async function makeKey(
  { purpose }: KeyDraft,
  owner: { readonly namespace: string; readonly name: string },
  known: Readonly<Record<string, string>> = {},
): Promise<MadeKey> {
  const { file, value, thumbprint, jwk } = await fresh(purpose)
  const { namespace, name } = owner
  const secretName = `${name}-${purpose}-${thumbprint}`
  const labels = { [MANAGED_BY]: MANAGER, 'waggle.dev/key': purpose, 'toolhive-name': name }
  const data: Record<string, string> = {
    ...known,
    'secrets.json': JSON.stringify({ ...object(known['secrets.json']), [purpose]: secretName }),
  }
  // The newest first; older ones still verify what was signed before.
  if (jwk !== undefined) data[PUBLIC_KEYS] = JSON.stringify({ keys: [jwk, ...jwks(known[PUBLIC_KEYS])].slice(0, 2) })
  return {
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: secretName, namespace, labels },
      type: 'Opaque',
      immutable: true,
      stringData: { [file]: value },
    },
    configMap: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: names.keys(name), namespace, labels: { [MANAGED_BY]: MANAGER, 'toolhive-name': name } },
      data,
    },
  }
}

interface Fresh {
  readonly file: string
  readonly value: string
  readonly thumbprint: string
  readonly jwk: JWK | undefined
}

async function fresh(purpose: KeyDraft['purpose']): Promise<Fresh> {
  if (purpose === 'sealing') {
    const key = randomBytes(32)
    const thumbprint = createHash('sha256').update(key).digest('hex').slice(0, 10)
    return { file: 'sealing', value: `${thumbprint}:${key.toString('base64url')}`, thumbprint, jwk: undefined }
  }
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const open = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(open)
  const thumbprint = createHash('sha256').update(kid).digest('hex').slice(0, 10)
  const marks = { kid, alg: 'ES256', use: 'sig' }
  const secret = { ...(await exportJWK(privateKey)), ...marks }
  return { file: 'signing.jwk', value: JSON.stringify(secret), thumbprint, jwk: { ...open, ...marks } }
}

function jwks(text: string | undefined): unknown[] {
  const { keys } = object(text) as { readonly keys?: unknown }
  return Array.isArray(keys) ? keys : []
}

/** An edit by hand that is no JSON counts as nothing. */
function object(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
