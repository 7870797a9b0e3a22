// The edge's own word about callers, towards the servers of clusters: the keys that sign it, from ASSERTION_KEYS, and their public
// parts, which the operators of clusters fetch from /.well-known/jwks.json. Nothing private of a key leaves this file but for signing.

import type { JSONWebKeySet, JWK } from 'jose'
import { AssertionSigner } from '../gateway/auth/assertion-signer.ts'
import type { Clock } from '../gateway/ports.ts'
import { EDGE } from '../plan/site.ts'

/** The part of the environment that is needed here. */
interface Setting {
  readonly ASSERTION_KEYS?: string
}

interface AssertionKey {
  readonly kid: string
  readonly x: string
  readonly y: string
  readonly d: string
}

/** Signs for callers with the first key. Undefined: the edge has none, and no server of a cluster can be called. Throws as `assertionKeys`. */
export function assertionSigner(env: Setting, now: Clock): AssertionSigner | undefined {
  const [first] = assertionKeys(env.ASSERTION_KEYS)
  if (first === undefined) return undefined
  return new AssertionSigner(EDGE, { kid: first.kid, key: { ...publicPart(first), d: first.d } }, now)
}

/** What everybody may know of all keys: a new one is here before it signs, an old one until nothing of it is believed any more. */
export function publicKeys(env: Setting): JSONWebKeySet {
  return { keys: assertionKeys(env.ASSERTION_KEYS).map(publicPart) }
}

/** Reads the setting: a JSON array of private JWKs. Throws an Error that names it, and nothing of it, when it is malformed. */
function assertionKeys(setting: string | undefined): readonly AssertionKey[] {
  if (setting === undefined || setting.trim() === '') return []
  const value = parse(setting)
  const keys = Array.isArray(value) ? value.filter(isAssertionKey) : []
  const isSound = Array.isArray(value) && keys.length > 0 && keys.length === value.length && keys.length <= 8
  if (!isSound || new Set(keys.map(({ kid }) => kid)).size !== keys.length)
    throw new Error(
      'ASSERTION_KEYS must be a JSON array of one to eight private JWKs: EC, P-256, each with a "kid" of its own',
    )
  return keys
}

function isAssertionKey(value: unknown): value is AssertionKey {
  if (typeof value !== 'object' || value === null) return false
  const jwk = value as Readonly<Record<string, unknown>>
  const isNumber = (part: unknown): boolean => typeof part === 'string' && /^[\w-]{43}$/u.test(part)
  const isCurve = jwk['kty'] === 'EC' && jwk['crv'] === 'P-256'
  return (
    isCurve &&
    typeof jwk['kid'] === 'string' &&
    jwk['kid'] !== '' &&
    ['x', 'y', 'd'].every((name) => isNumber(jwk[name]))
  )
}

function publicPart({ kid, x, y }: AssertionKey): JWK {
  return { kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }
}

function parse(setting: string): unknown {
  try {
    return JSON.parse(setting)
  } catch {
    return undefined
  }
}
