// Clusters that may join, how each proves who it is, and what it may publish. The changes are pure: from one entry to the next.
// Invariants: no entry holds a secret (a join token is kept as its hash, once redeemed as the key that redeemed it); a revoked
// entry stays revoked: only deleting it and adding it anew, under another uid, admits the cluster again.

import type { JWK } from 'jose'
import { glob } from '../../gateway/policy.ts'
import type { Codec } from './document.ts'

export const MAX_CLUSTERS = 2_000
/** How long a replaced key is good for besides its successor, in milliseconds. */
export const OVERLAP_MS = 24 * 3600_000
/** How long the answer to a join may be asked for again by the key that joined, in milliseconds. */
export const AGAIN_MS = 600_000
export const MAX_TOKEN_SECONDS = 3600
const MAX_TOKENS = 8
const MAX_KEYS = 4

export type JoinMethod = 'kubernetes-oidc' | 'join-token'

/** `*` in a list stands for everything. */
export interface Allowance {
  readonly namespaces: readonly string[]
  readonly kinds: readonly string[]
  /** Globs over `<namespace>/<name>`. */
  readonly virtualServers: readonly string[]
}

/** A public key that is an identity of the cluster. Times in milliseconds since the epoch. */
export interface ClusterKey {
  /** RFC 7638. */
  readonly thumbprint: string
  readonly jwk: JWK
  readonly since: number
  /** Its successor is in use. */
  readonly until?: number
  /** Announced by another key and not used yet. */
  readonly isNext?: boolean
}

export interface JoinToken {
  /** SHA-256, hexadecimal. */
  readonly hash: string
  readonly expires: number
  readonly redeemed?: { readonly thumbprint: string; readonly at: number }
}

export interface Cluster {
  readonly id: string
  readonly uid: string
  readonly createdAt: number
  readonly method: JoinMethod
  /** Whose ServiceAccount tokens are believed. */
  readonly issuer?: string
  /** Its keys; absent: discovered at the issuer. */
  readonly jwks?: { readonly keys: readonly JWK[] }
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly subject: string
  readonly keys: readonly ClusterKey[]
  readonly tokens: readonly JoinToken[]
  readonly allow: Allowance
  readonly revokedAt?: number
}

/** Id → entry. */
export type Clusters = ReadonlyMap<string, Cluster>

export const clusterCodec: Codec<Clusters> = {
  key: 'clusters',
  empty: new Map(),
  parse(json) {
    const stored = json as { format: number; items: Cluster[] }
    if (stored.format !== 1) throw new Error(`unknown format ${String(stored.format)}`)
    return new Map(stored.items.map((item) => [item.id, item]))
  },
  print: (clusters) => ({ format: 1, items: [...clusters.values()] }),
}

/** Kinds that `allow.kinds` speaks of. The others add nothing by themselves, and a policy that were left out would open its target. */
const ASKED: ReadonlySet<string> = new Set(['MCPServer', 'MCPRemoteProxy', 'VirtualMCPServer'])

/** Whether the cluster may publish such a resource. */
export function allowed({ allow }: Cluster, kind: string, namespace: string, name: string): boolean {
  const lists = (list: readonly string[], word: string) => list.includes('*') || list.includes(word)
  if (!lists(allow.namespaces, namespace)) return false
  if (ASKED.has(kind) && !lists(allow.kinds, kind)) return false
  return kind !== 'VirtualMCPServer' || allow.virtualServers.some((one) => glob(one)(`${namespace}/${name}`))
}

/** The key with this thumbprint, if it is an identity of the cluster at `now`. */
export function keyOf({ keys }: Cluster, thumbprint: string, now: number): ClusterKey | undefined {
  return keys.find((key) => key.thumbprint === thumbprint && (key.until ?? Number.POSITIVE_INFINITY) > now)
}

/** With one more join token; those that are of no use any more are dropped. Undefined: too many wait to be redeemed. */
export function withToken(cluster: Cluster, hash: string, expires: number, now: number): Cluster | undefined {
  const tokens = live(cluster.tokens, now)
  if (tokens.length >= MAX_TOKENS) return undefined
  return { ...cluster, tokens: [...tokens, { hash, expires }] }
}

export type Redemption =
  | { readonly kind: 'redeemed'; readonly next: Cluster }
  | { readonly kind: 'again' }
  | { readonly kind: 'refused'; readonly detail: string }

/** A join token for a key. The first key wins and is the only identity from then on; the same key may come again for a while. */
export function redeem(cluster: Cluster, hash: string, key: Omit<ClusterKey, 'since'>, now: number): Redemption {
  const token = cluster.tokens.find((one) => one.hash === hash)
  if (token === undefined) return { kind: 'refused', detail: 'unknown join token' }
  const { redeemed } = token
  if (redeemed !== undefined) {
    if (redeemed.thumbprint !== key.thumbprint)
      return { kind: 'refused', detail: 'join token was redeemed with another key' }
    if (now - redeemed.at > AGAIN_MS || keyOf(cluster, key.thumbprint, now) === undefined)
      return { kind: 'refused', detail: 'join token was redeemed before' }
    return { kind: 'again' }
  }
  if (token.expires <= now) return { kind: 'refused', detail: 'join token has expired' }
  const { thumbprint } = key
  const tokens = live(cluster.tokens, now).map((one) =>
    one.hash === hash ? { ...one, redeemed: { thumbprint, at: now } } : one,
  )
  return { kind: 'redeemed', next: { ...cluster, tokens, keys: [{ ...key, since: now }] } }
}

/** With the key that shall succeed the others; it replaces one that was announced and never used. */
export function withNext(cluster: Cluster, key: Omit<ClusterKey, 'since'>, now: number): Cluster {
  if (keyOf(cluster, key.thumbprint, now) !== undefined) return cluster
  const kept = cluster.keys.filter((one) => one.isNext !== true && (one.until ?? now + 1) > now)
  return { ...cluster, keys: [...kept.slice(1 - MAX_KEYS), { ...key, since: now, isNext: true }] }
}

/** After the first use of a key that was announced: its predecessors end after the overlap. Undefined: nothing changes. */
export function succeeded(cluster: Cluster, thumbprint: string, now: number): Cluster | undefined {
  if (!cluster.keys.some((key) => key.thumbprint === thumbprint && key.isNext === true)) return undefined
  const keys = cluster.keys.map((key) => {
    if (key.thumbprint !== thumbprint)
      return { ...key, until: Math.min(key.until ?? Number.POSITIVE_INFINITY, now + OVERLAP_MS) }
    const { isNext: _, ...used } = key
    return { ...used, since: now }
  })
  return { ...cluster, keys }
}

/** Never admitted again. */
export function revoked(cluster: Cluster, now: number): Cluster {
  return { ...cluster, keys: [], tokens: [], revokedAt: cluster.revokedAt ?? now }
}

function live(tokens: readonly JoinToken[], now: number): JoinToken[] {
  return tokens.filter(({ expires, redeemed }) =>
    redeemed === undefined ? expires > now : now - redeemed.at <= AGAIN_MS,
  )
}
