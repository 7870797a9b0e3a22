// Clusters that may join, through the admin API: who they are, what they may publish, and how their links are.
// Invariant: a join token is told once, to whoever asked for it; no answer holds it or its hash again.

import { Fault } from '../../protocol/fault.ts'
import { sha256 } from '../../gateway/sha256.ts'
import { Namespace } from '../../crds/name.ts'
import {
  type Cluster,
  clusterCodec,
  type Clusters,
  MAX_CLUSTERS,
  MAX_TOKEN_SECONDS,
  revoked,
  withToken,
} from '../documents/clusters.ts'
import { EDGE } from '../../plan/site.ts'
import { changeDocument, readDocument } from '../documents/document.ts'
import { readJson } from './body.ts'
import { type Call, queryOf, type Reply } from './call.ts'
import { clusterSpec, tokenSpec } from './cluster-spec.ts'
import type { AdminHost } from './host.ts'

/** Ids that stand for something else. */
const RESERVED: readonly string[] = [EDGE, 'in-cluster']

/** `GET /clusters` → `{items}` */
export async function listClusters(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { value } = await readDocument(call.host.store, clusterCodec)
  return { kind: 'done', body: { items: sorted(value).map(shown) } }
}

/** `GET /clusters/:id` → the entry. */
export async function getCluster(call: Call): Promise<Reply> {
  queryOf(call, [])
  const id = idOf(call)
  const { value } = await readDocument(call.host.store, clusterCodec)
  const cluster = value.get(id)
  return cluster === undefined ? missing(id) : { kind: 'done', body: shown(cluster), target: id }
}

/**
 * `PUT /clusters/:id` `{method, issuer?, jwks?, subject?, allow?}` creates or changes → the entry with `action` and the
 * `edge` that its uplinks must name. A `subject` and lists
 * of `allow` that are left out stay as they are, so that new keys for a cluster never widen what it may publish.
 */
export async function putCluster(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { host } = call
  const id = idOf(call)
  if (RESERVED.includes(id)) throw new Fault('invalid_request', `The id "${id}" is reserved. Choose another.`)
  const input = await readJson(call.request)
  const done = await change(host, (clusters) => {
    const known = clusters.get(id)
    const parsed = clusterSpec(input, known)
    if (!parsed.ok) return { reply: invalid(id, parsed.problems) }
    const { spec } = parsed
    if (known === undefined && clusters.size >= MAX_CLUSTERS)
      throw new Fault('too_large', `There are ${MAX_CLUSTERS} clusters already. Delete some that are not needed.`)
    if (known?.revokedAt !== undefined) return conflict(id, 'is revoked. Delete it to add it anew')
    if (known !== undefined && known.method !== spec.method)
      return conflict(id, `joins by ${known.method}. Delete it to let it join in another way`)
    const made = { uid: host.random(), createdAt: host.now(), keys: [], tokens: [] }
    const { uid, createdAt, keys, tokens } = known ?? made
    const next: Cluster = { id, uid, createdAt, keys, tokens, ...spec }
    const action = known === undefined ? 'created' : isSame(known, next) ? 'unchanged' : 'configured'
    return {
      next,
      reply: {
        kind: 'done',
        body: { ...shown(next), edge: host.publicUrl, action },
        target: id,
        detail: `${action}, ${spec.method}`,
      },
    }
  })
  const isNews = done.kind === 'done' && 'action' in done.body && done.body.action === 'configured'
  return isNews ? told(host, id, done) : done
}

/** `DELETE /clusters/:id` → `{id, warnings}`; its links end and what it registered is forgotten. */
export async function deleteCluster(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { host } = call
  const id = idOf(call)
  const isKnown = await changeDocument<Clusters, boolean>(host.store, clusterCodec, (clusters) => {
    const next = new Map(clusters)
    return next.delete(id) ? { next, result: true } : { result: false }
  })
  if (!isKnown) return missing(id)
  await host.changed()
  return told(host, id, { kind: 'done', body: { id }, target: id })
}

/** `POST /clusters/:id/revoke` → the entry; its links end at once and it joins never again. */
export async function revokeCluster(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { host } = call
  const id = idOf(call)
  const done = await change(host, (clusters) => {
    const known = clusters.get(id)
    if (known === undefined) return { reply: missing(id) }
    const next = revoked(known, host.now())
    return { next, reply: { kind: 'done', body: shown(next), target: id } }
  })
  return done.kind === 'done' ? told(host, id, done) : done
}

/** `POST /clusters/:id/drain` → `{id}`; its uplinks open other links, and calls under way end where they are. */
export async function drainCluster(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { host } = call
  const id = idOf(call)
  const { value } = await readDocument(host.store, clusterCodec)
  if (value.get(id)?.revokedAt !== undefined || !value.has(id)) return missing(id)
  await host.hubs.drain(id).catch(() => {
    throw new Fault('overloaded', `The hub of ${id} does not answer. Try again.`, { data: { retryAfterSeconds: 2 } })
  })
  return { kind: 'done', body: { id }, target: id }
}

/** `POST /clusters/:id/token` `{seconds?}` → `{id, token, expires}`: the only time that the token is told. */
export async function mintToken(call: Call): Promise<Reply> {
  queryOf(call, [])
  const { host } = call
  const id = idOf(call)
  const parsed = tokenSpec(await readJson(call.request))
  if (!parsed.ok) return invalid(id, parsed.problems)
  const { seconds = MAX_TOKEN_SECONDS } = parsed.spec
  const token = randomToken()
  const hash = await sha256(token)
  return change(host, (clusters) => {
    const known = clusters.get(id)
    if (known === undefined) return { reply: missing(id) }
    if (known.revokedAt !== undefined) return conflict(id, 'is revoked. Delete it to add it anew')
    if (known.method !== 'join-token') return conflict(id, `joins by ${known.method} and needs no token`)
    const expires = host.now() + seconds * 1000
    const next = withToken(known, hash, expires, host.now())
    if (next === undefined) return conflict(id, 'has many tokens that wait to be redeemed. Let them expire')
    const body = { id, token, expires: new Date(expires).toISOString() }
    return { next, reply: { kind: 'done', body, target: id, detail: `for ${seconds} s` } }
  })
}

type Decision = { readonly next?: Cluster; readonly reply: Reply }

async function change(host: AdminHost, decide: (clusters: Clusters) => Decision): Promise<Reply> {
  const { reply, isWritten } = await changeDocument(host.store, clusterCodec, (clusters) => {
    const { next, reply } = decide(clusters)
    const isWritten = next !== undefined && !isSame(clusters.get(next.id), next)
    const result = { reply, isWritten }
    return isWritten ? { next: new Map(clusters).set(next.id, next), result } : { result }
  })
  if (isWritten) await host.changed()
  return reply
}

/** The change holds whether or not the hub hears of it now: it looks at the entry again whenever somebody knocks. */
async function told(host: AdminHost, id: string, reply: Extract<Reply, { kind: 'done' }>): Promise<Reply> {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (
      await host.hubs.changed(id).then(
        () => true,
        () => false,
      )
    )
      return reply
  }
  const message =
    'The change is stored, but the links of the cluster could not be told. Do it again to end them at once.'
  return { ...reply, body: { ...reply.body, warnings: [{ path: '', message }] }, detail: 'hub was not told' }
}

/** What an admin sees of an entry. */
function shown({ createdAt, jwks, keys, tokens, revokedAt, ...plain }: Cluster): object {
  return {
    ...plain,
    createdAt: time(createdAt),
    ...(jwks !== undefined && { keyIds: jwks.keys.map(({ kid }) => kid ?? '') }),
    keys: keys.map(({ thumbprint, since, until, isNext = false }) => ({
      thumbprint,
      since: time(since),
      ...(until !== undefined && { until: time(until) }),
      ...(isNext && { isNext }),
    })),
    tokens: tokens.map(({ expires, redeemed }) => ({ expires: time(expires), isRedeemed: redeemed !== undefined })),
    ...(revokedAt !== undefined && { revokedAt: time(revokedAt) }),
  }
}

function idOf(call: Call): string {
  const parsed = Namespace.safeParse(call.params['id'])
  if (parsed.success) return parsed.data
  throw new Fault('invalid_request', `The cluster in the path ${parsed.error.issues[0]?.message ?? 'is not valid'}.`)
}

export function missing(id: string): Extract<Reply, { kind: 'refused' }> {
  return { kind: 'refused', reason: 'not_found', message: `There is no cluster ${id}.`, target: id }
}

function conflict(id: string, what: string): Decision {
  return { reply: { kind: 'refused', reason: 'conflict', message: `The cluster ${id} ${what}.`, target: id } }
}

function invalid(id: string, problems: readonly { path: string; message: string }[]): Reply {
  const message = 'Nothing was changed: see problems.'
  return { kind: 'refused', reason: 'invalid_resource', message, problems, target: id }
}

function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/u, '')
}

const isSame = (a: Cluster | undefined, b: Cluster): boolean =>
  JSON.stringify(ordered(a)) === JSON.stringify(ordered(b))

function ordered(cluster: Cluster | undefined): unknown {
  return cluster === undefined ? undefined : Object.entries(cluster).sort(([a], [b]) => (a < b ? -1 : 1))
}

export function sorted(clusters: Clusters): Cluster[] {
  return [...clusters.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

const time = (ms: number): string => new Date(ms).toISOString()
