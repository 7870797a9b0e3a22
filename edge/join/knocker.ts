// For tests: a cluster's side of joining, made by hand so that every part of a request can be wrong, and a gate with a hub behind it
// whose admission is the real one.

import {
  base64url,
  calculateJwkThumbprint,
  CompactSign,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  SignJWT,
} from 'jose'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { Sealer } from '../../gateway/seal.ts'
import { JOIN, PROOF_HEADER, PROOF_TYPE } from '../../protocol/join.ts'
import { type Cluster, clusterCodec } from '../documents/clusters.ts'
import { changeDocument } from '../documents/document.ts'
import { Admission, KNOCK_HEADER, type Knock, type Sql } from './admission.ts'
import { ClusterBook } from './book.ts'
import { Nonces } from './nonce.ts'
import { type Attempt, joinRoutes, type LinkHost } from './routes.ts'
import { ServiceAccounts } from './service-account.ts'
import { LinkSessions } from './session.ts'

export const EDGE = 'https://mcp.example.com'

export interface Pair {
  readonly key: CryptoKey
  readonly jwk: JWK
  readonly thumbprint: string
}

export async function pair(): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const { kty = '', crv = '', x = '', y = '' } = await exportJWK(publicKey)
  const jwk = { kty, crv, x, y }
  return { key: privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) }
}

async function digest(text: string): Promise<string> {
  return base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))))
}

export function entry(id: string, over: Partial<Cluster> = {}): Cluster {
  return {
    id,
    uid: `uid-of-${id}`,
    createdAt: 0,
    method: 'join-token',
    subject: 'system:serviceaccount:waggle-system:waggle-agent-uplink',
    keys: [],
    tokens: [],
    allow: { namespaces: ['*'], kinds: ['*'], virtualServers: ['*'] },
    ...over,
  }
}

export interface Wrong {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  /** Signs instead of the key that the header names. */
  readonly signer?: Pair
  readonly bearer?: string
}

/** `sql`: an empty database for a hub. */
export function stage(entries: readonly Cluster[], sql: () => Sql) {
  const clock = { now: Date.UTC(2026, 10, 1) }
  const now = (): number => clock.now
  const store = new MemoryStore(now)
  const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32).fill(7) }])
  const attempts: Attempt[] = []
  const hubs = new Map<string, Admission>()
  const asked: { path: string; knock: Knock }[] = []
  const put = (cluster: Cluster): Promise<void> =>
    changeDocument(store, clusterCodec, (all) => ({ next: new Map(all).set(cluster.id, cluster), result: undefined }))
  const host: LinkHost = {
    publicUrl: EDGE,
    store,
    clusters: new ClusterBook(store, now),
    nonces: new Nonces(sealer, now),
    sessions: new LinkSessions(sealer, now),
    accounts: new ServiceAccounts(
      { store, fetch: async () => new Response(null, { status: 404 }), allowLoopback: false, now },
      EDGE,
    ),
    now,
    audit: (attempt) => void attempts.push(attempt),
    hub: async (cluster, path, init) => {
      const request = new Request(`http://hub${path}`, {
        method: 'POST',
        headers: init.headers as Record<string, string>,
      })
      asked.push({ path, knock: JSON.parse(request.headers.get(KNOCK_HEADER) ?? '') as Knock })
      const admission = hubs.get(cluster) ?? new Admission({ sql: sql(), clusters: new ClusterBook(store, now), now })
      hubs.set(cluster, admission)
      const entered = await admission.enter(request)
      return entered instanceof Response ? entered : new Response(null, { status: 204 })
    },
  }
  const ready = Promise.all(entries.map(put))

  const request = async (path: string, init: RequestInit) => {
    await ready
    const response = await joinRoutes(new Request(`${EDGE}${path}`, init), host)
    const text = await response.text()
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, string> & { error?: { reason: string } }
    return { status: response.status, body, reason: body.error?.reason, headers: response.headers }
  }
  const nonce = async (cluster: string): Promise<string> =>
    (await request(JOIN.nonce, { method: 'POST', body: JSON.stringify({ cluster }) })).body['nonce'] ?? ''

  /** Headers and body of a request with a right proof, except where it shall be wrong. */
  const signed = async (who: Pair, cluster: string, path: string, content: object | undefined, wrong: Wrong = {}) => {
    const { bearer } = wrong
    const body = content === undefined ? undefined : JSON.stringify(content)
    const method = content === undefined ? 'GET' : 'POST'
    const claims = {
      jti: crypto.randomUUID(),
      iat: Math.floor(clock.now / 1000),
      htm: method,
      htu: `${EDGE}${path}`,
      nonce: await nonce(cluster),
      cluster,
      ...(bearer !== undefined && { ath: await digest(bearer) }),
      ...(body !== undefined && { dig: await digest(body) }),
      ...wrong.claims,
    }
    const proof = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', typ: PROOF_TYPE, jwk: who.jwk, ...wrong.header })
      .sign((wrong.signer ?? who).key)
    const headers = {
      [PROOF_HEADER]: proof,
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(method === 'GET' && { upgrade: 'websocket' }),
    }
    return { method, headers, ...(body !== undefined && { body }) }
  }
  const send = async (who: Pair, cluster: string, path: string, content?: object, wrong?: Wrong) =>
    request(path, await signed(who, cluster, path, content, wrong))

  return {
    clock,
    store,
    attempts,
    asked,
    host,
    put,
    request,
    nonce,
    signed,
    join: (who: Pair, cluster: string, token: string, wrong?: Wrong) =>
      send(who, cluster, JOIN.join, { cluster, token }, wrong),
    session: (who: Pair, cluster: string, more: object = {}, wrong?: Wrong) =>
      send(who, cluster, JOIN.session, { cluster, replica: 'pod-1', ...more }, wrong),
    connect: (who: Pair, cluster: string, bearer: string, wrong?: Wrong) =>
      send(who, cluster, JOIN.connect, undefined, { bearer, ...wrong }),
    clusters: async () => (await store.get('clusters'))?.value ?? '',
  }
}

/** An API server that signs tokens for ServiceAccounts. */
export async function apiServer(issuer = 'https://kubernetes.default.svc.cluster.local') {
  const { key, jwk } = await pair()
  const kid = crypto.randomUUID()
  return {
    issuer,
    jwks: { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] },
    token: (cluster: string, now: number, claims: object = {}): Promise<string> =>
      new SignJWT({
        iss: issuer,
        aud: [`${EDGE}/clusters/${cluster}`],
        sub: 'system:serviceaccount:waggle-system:waggle-agent-uplink',
        jti: crypto.randomUUID(),
        iat: Math.floor(now / 1000),
        exp: Math.floor(now / 1000) + 600,
        'kubernetes.io': { namespace: 'waggle-system', pod: { name: 'uplink', uid: 'pod-1' } },
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid })
        .sign(key),
  }
}
