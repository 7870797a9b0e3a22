// The way in for uplinks: what an isolate verifies before a hub hears of it. Every step throws a `Refusal`; what has passed all of
// them is known to come from the cluster that it names, signed by a key that the cluster vouches for.

import * as z from 'zod'
import { Namespace } from '../../crds/name.ts'
import type { Clock, Store } from '../../gateway/ports.ts'
import { sha256 } from '../../gateway/sha256.ts'
import type { JoinReply, NonceReply, SessionReply } from '../../protocol/join.ts'
import {
  type Cluster,
  clusterCodec,
  type Clusters,
  keyOf,
  redeem,
  type Redemption,
  succeeded,
  withNext,
} from '../documents/clusters.ts'
import { changeDocument } from '../documents/document.ts'
import { KNOCK_HEADER, type Knock } from './admission.ts'
import type { ClusterBook } from './book.ts'
import type { Nonces } from './nonce.ts'
import { checkProof, openProof, publicKey, type Signed } from './proof.ts'
import { Refusal, refusalOf } from './refusal.ts'
import type { ServiceAccounts } from './service-account.ts'
import type { LinkSessions } from './session.ts'

/** How old an isolate's copy of the entries may be; the hub looks again. */
const KNOWN_MS = 2_000

export interface GateHost {
  readonly store: Store
  readonly clusters: ClusterBook
  readonly nonces: Nonces
  readonly sessions: LinkSessions
  readonly accounts: ServiceAccounts
  readonly now: Clock
  /** A request to the hub of a cluster. */
  hub(cluster: string, path: string, init: RequestInit): Promise<Response>
}

/** A request of an uplink, read within bounds. */
export interface Asked {
  readonly method: string
  /** The edge's public URL and the path. */
  readonly url: string
  readonly proof: string | undefined
  readonly bearer: string | undefined
  readonly body: Uint8Array | undefined
}

/** Filled in while a request is judged, for the audit trail. */
export interface Trace {
  cluster?: string
  replica?: string
  thumbprint?: string
  subject?: { readonly issuer: string; readonly subject: string }
  detail?: string
}

interface Proven extends Pick<Signed, 'jwk' | 'thumbprint'> {
  readonly cluster: string
  readonly jti: string
}

const replica = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/u)
const NonceBody = z.strictObject({ cluster: Namespace })
const JoinBody = z.strictObject({ cluster: Namespace, token: z.string().min(32).max(128) })
const SessionBody = z.strictObject({
  cluster: Namespace,
  replica,
  connection: z.string().min(1).max(64).optional(),
  nextKey: z.unknown().optional(),
})

export class Gate {
  readonly #host: GateHost

  constructor(host: GateHost) {
    this.#host = host
  }

  /** Tells nothing about the cluster, not even whether there is one. */
  async nonce(asked: Asked, trace: Trace): Promise<NonceReply> {
    const { cluster } = parsed(NonceBody, asked.body)
    trace.cluster = cluster
    return { nonce: await this.#host.nonces.make(cluster), serverTime: this.#host.now() }
  }

  async join(asked: Asked, trace: Trace): Promise<JoinReply> {
    const { now, store, clusters } = this.#host
    const proven = await this.#proven(asked, undefined, trace)
    const { cluster: id, thumbprint, jwk, jti } = proven
    const { token } = own(parsed(JoinBody, asked.body), proven)
    const entry = standing(await clusters.find(id, 0))
    if (entry.method !== 'join-token') throw new Refusal('not_admitted', 'cluster does not join by token')
    const hash = await sha256(token)
    const redemption = redeem(entry, hash, { thumbprint, jwk }, now())
    if (redemption.kind === 'refused') throw new Refusal('not_admitted', redemption.detail)
    await this.#knock({ at: 'join', cluster: id, uid: entry.uid, replica: '', thumbprint, jti, expires: now() })
    const done = await changeDocument<Clusters, Redemption>(store, clusterCodec, (current) => {
      const same = current.get(id)
      if (same === undefined || same.uid !== entry.uid || same.revokedAt !== undefined)
        return { result: { kind: 'refused', detail: 'cluster is not known any more' } }
      const result = redeem(same, hash, { thumbprint, jwk }, now())
      return result.kind === 'redeemed' ? { next: new Map(current).set(id, result.next), result } : { result }
    })
    if (done.kind === 'refused') throw new Refusal('not_admitted', done.detail)
    trace.detail = done.kind === 'again' ? 'answered again' : 'joined'
    return { cluster: id, thumbprint }
  }

  async session(asked: Asked, trace: Trace): Promise<SessionReply> {
    const { now, sessions } = this.#host
    const proven = await this.#proven(asked, asked.bearer, trace)
    const body = own(parsed(SessionBody, asked.body), proven)
    trace.replica = body.replica
    const entry = await this.#entry(proven)
    const { thumbprint, jti } = proven
    const token =
      entry.method === 'kubernetes-oidc' ? await this.#account(entry, asked, body.replica, trace) : undefined
    const next = body.nextKey === undefined ? undefined : await announced(entry, body.nextKey)
    const whose = { cluster: entry.id, uid: entry.uid, replica: body.replica, thumbprint }
    const { token: credential, expires } = await sessions.open(whose)
    const { connection } = body
    await this.#knock({
      at: 'session',
      ...whose,
      jti,
      expires,
      ...(token !== undefined && { token }),
      ...(connection !== undefined && { connection }),
    })
    await this.#rotate(entry, thumbprint, next, trace)
    return { token: credential, expires, serverTime: now() }
  }

  /** The hub's answer to the upgrade: 101 with the socket. */
  async connect(asked: Asked, protocols: string | undefined, trace: Trace): Promise<Response> {
    const { sessions } = this.#host
    const proven = await this.#proven(asked, asked.bearer, trace)
    const session = asked.bearer === undefined ? undefined : await sessions.read(asked.bearer)
    if (session === undefined) throw new Refusal('session_expired', 'no session of this edge, or it has ended')
    const { cluster: id, uid, replica, thumbprint, expires } = session
    trace.replica = replica
    if (id !== proven.cluster) throw new Refusal('not_admitted', 'session is of another cluster')
    if (thumbprint !== proven.thumbprint) throw new Refusal('not_admitted', 'session belongs to another key')
    const entry = await this.#entry(proven)
    if (entry.uid !== uid) throw new Refusal('not_admitted', 'session is of an entry that was deleted')
    const knock: Knock = { at: 'connect', cluster: id, uid, replica, thumbprint, jti: proven.jti, expires }
    return this.#knock(knock, {
      upgrade: 'websocket',
      ...(protocols !== undefined && { 'sec-websocket-protocol': protocols }),
    })
  }

  async #proven(asked: Asked, token: string | undefined, trace: Trace): Promise<Proven> {
    const { nonces, now } = this.#host
    if (asked.proof === undefined) throw new Refusal('invalid_proof', 'no proof')
    const { method, url, body } = asked
    const signed = await openProof(asked.proof)
    const { claims, jwk, thumbprint } = signed
    const { cluster, jti, nonce } = claims
    trace.cluster = cluster
    trace.thumbprint = thumbprint
    await checkProof(signed, { method, url, token, body }, now())
    if (!(await nonces.isLive(nonce, cluster))) throw new Refusal('stale_nonce', 'nonce is not live')
    return { cluster, jti, jwk, thumbprint }
  }

  /** The entry that vouches for the key, or for the ServiceAccounts of the cluster. An old copy may admit, never refuse. */
  async #entry({ cluster, thumbprint }: Proven): Promise<Cluster> {
    const { clusters, now } = this.#host
    const vouches = (entry: Cluster | undefined) =>
      entry !== undefined &&
      entry.revokedAt === undefined &&
      (entry.method === 'kubernetes-oidc' || keyOf(entry, thumbprint, now()) !== undefined)
    const known = await clusters.find(cluster, KNOWN_MS)
    const entry = standing(vouches(known) ? known : await clusters.find(cluster, 0))
    if (!vouches(entry)) throw new Refusal('not_admitted', 'key is not one of the cluster')
    return entry
  }

  async #account(entry: Cluster, asked: Asked, replica: string, trace: Trace): Promise<Knock['token']> {
    if (asked.bearer === undefined) throw new Refusal('not_admitted', 'no ServiceAccount token')
    const account = await this.#host.accounts.verify(entry, asked.bearer)
    trace.subject = { issuer: account.issuer, subject: account.subject }
    if (account.pod !== replica) {
      const message = 'The replica must be the uid of the pod that the token is bound to.'
      throw new Refusal('wrong_subject', 'token belongs to another pod', { message })
    }
    return { id: account.id, until: account.until }
  }

  async #rotate(
    entry: Cluster,
    thumbprint: string,
    next: Awaited<ReturnType<typeof publicKey>> | undefined,
    trace: Trace,
  ): Promise<void> {
    const { store, now } = this.#host
    const change = (cluster: Cluster): Cluster | undefined => {
      const used = succeeded(cluster, thumbprint, now())
      return next === undefined ? used : withNext(used ?? cluster, next, now())
    }
    const isNew = keyOf(entry, thumbprint, now())?.isNext === true
    if (next === undefined && !isNew) return
    trace.detail = next === undefined ? 'first use of a new key' : `announces the key ${next.thumbprint}`
    await changeDocument(store, clusterCodec, (current) => {
      const same = current.get(entry.id)
      const changed = same?.uid === entry.uid && same.revokedAt === undefined ? change(same) : undefined
      return changed === undefined || changed === same
        ? { result: undefined }
        : { next: new Map(current).set(entry.id, changed), result: undefined }
    })
  }

  async #knock(knock: Knock, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const response = await this.#host.hub(knock.cluster, `/${knock.at}`, {
      method: knock.at === 'connect' ? 'GET' : 'POST',
      headers: { ...headers, [KNOCK_HEADER]: JSON.stringify(knock) },
    })
    const refusal = await refusalOf(response)
    if (refusal !== undefined) throw refusal
    return response
  }
}

function parsed<S extends z.ZodType>(schema: S, body: Uint8Array | undefined): z.output<S> {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(body)))
  } catch (error) {
    const field = error instanceof z.ZodError ? error.issues[0]?.path.join('.') : undefined
    const message = `The body is not valid JSON of this request${field ? `: see "${field.slice(0, 32)}"` : ''}.`
    throw new Refusal('invalid_request', 'body', { message })
  }
}

/** The body names the cluster for those who read logs; what counts is the proof, and both must agree. */
function own<B extends { cluster: string }>(body: B, { cluster }: Proven): B {
  if (body.cluster !== cluster) throw new Refusal('invalid_request', 'body and proof name different clusters')
  return body
}

function standing(entry: Cluster | undefined): Cluster {
  if (entry === undefined) throw new Refusal('not_admitted', 'cluster is not known')
  if (entry.revokedAt !== undefined) throw new Refusal('not_admitted', 'cluster is revoked')
  return entry
}

function announced(entry: Cluster, input: unknown): ReturnType<typeof publicKey> {
  if (entry.method === 'join-token') return publicKey(input)
  const message = 'Only clusters that joined by a token announce keys.'
  throw new Refusal('invalid_request', 'next key', { message })
}
