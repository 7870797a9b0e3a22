// What an edge takes of a snapshot, decided purely: first by keys alone, then again when the bodies are there. Nothing a cluster sends
// is believed because it sent it; what limits others is never dropped alone, for that would open what it limits.

import {
  itemKey,
  MAX_ITEMS,
  SNAPSHOT_KINDS,
  type Snapshot,
  type SnapshotItem,
  type SnapshotKind,
} from '../../protocol/snapshot.ts'
import type { Dropped } from '../../protocol/link.ts'
import { fingerprint } from '../../gateway/catalog/hash.ts'
import { serverKey } from '../../plan/members.ts'
import { allowed, type Cluster } from '../documents/clusters.ts'
import { excess } from './weight.ts'
import { ownerOf, type Claim, type Registered, type RegisteredItem, type Registry } from '../documents/registry.ts'

/** Characters of all manifests of a cluster together: its document must fit into the store. */
export const MAX_MANIFESTS = 4 * 1024 * 1024
/** Characters of all its catalogs together: isolates hold those of all clusters. */
export const MAX_CATALOGS = 16 * 1024 * 1024
/** How many dropped items an uplink is told of, so that the frame stays short. */
const MAX_DROPPED = 1000
const MAX_MESSAGE = 250
/** Bytes of that; see MAX_EDGE_HEADER. */
const MAX_TOLD = 480 * 1024

const NAMESPACE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/u
const DIGEST = /^[0-9a-f]{64}$/u
/** What limits others, then what names servers, then servers: of too many items the last are left out. */
const ORDER: readonly SnapshotKind[] = [
  'ToolPolicy',
  'MCPToolConfig',
  'MCPGroup',
  'VirtualMCPServer',
  'MCPRemoteProxy',
  'MCPServer',
]
const NAMED: ReadonlySet<string> = new Set<SnapshotKind>(['VirtualMCPServer', 'MCPRemoteProxy', 'MCPServer'])

/** Reads the text of a snapshot. A string says what is wrong with it; what is wrong with single items is dropped with them. */
export function readSnapshot(text: string): { items: SnapshotItem[]; dropped: Dropped[] } | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'the snapshot is not JSON'
  }
  const { format, items: given } = (value ?? {}) as Partial<Snapshot>
  if (format !== 1) return 'the snapshot has a format that this edge does not know'
  if (!Array.isArray(given)) return 'the snapshot has no list of items'
  const items = new Map<string, SnapshotItem>()
  const dropped: Dropped[] = []
  for (const one of given as unknown[]) {
    const item = readItem(one)
    if (typeof item === 'string') return `the snapshot has an item that ${item}`
    const key = itemKey(item)
    if (!SNAPSHOT_KINDS.includes(item.kind)) dropped.push({ key, reason: 'invalid', message: 'is of an unknown kind' })
    else if (items.has(key)) return 'the snapshot has an item twice'
    else items.set(key, item)
  }
  return { items: [...items.values()], dropped }
}

function readItem(one: unknown): SnapshotItem | string {
  const { kind, namespace, name, uid, digest } = (one ?? {}) as Partial<Record<keyof SnapshotItem, unknown>>
  if (typeof kind !== 'string' || kind.length > 64) return 'names no kind'
  if (typeof namespace !== 'string' || !NAMESPACE.test(namespace)) return 'names no namespace'
  if (typeof name !== 'string' || !NAME.test(name)) return 'has no name'
  if (typeof uid !== 'string' || uid === '' || uid.length > 128) return 'has no uid'
  if (typeof digest !== 'string' || !DIGEST.test(digest)) return 'has no digest'
  return { kind: kind as SnapshotKind, namespace, name, uid, digest }
}

/** Why a body is of no use. */
export interface Refused {
  readonly reason: Dropped['reason']
  readonly message: string
  /** What a policy that cannot be read says that it is about; where it does not say, that may be everything of its namespace. */
  readonly target?: { readonly kind: string; readonly name: string } | undefined
}

/** What a policy limits that is not there. */
interface Closed {
  readonly namespace: string
  readonly target: Refused['target']
}

export interface Judged {
  /** As they are registered already. */
  readonly known: readonly RegisteredItem[]
  /** Whose bodies are needed. */
  readonly wanted: readonly SnapshotItem[]
  readonly dropped: readonly Dropped[]
  readonly closed: readonly Closed[]
}

/** By keys and digests alone. `refused`: bodies that were looked at before, by digest. */
export function decideSnapshot(
  cluster: Cluster,
  items: readonly SnapshotItem[],
  registered: Registered,
  refused: { get(digest: string): Refused | undefined },
): Judged {
  const before = new Map(registered.items.map((item) => [itemKey(item), item]))
  const known: RegisteredItem[] = []
  const wanted: SnapshotItem[] = []
  const dropped: Dropped[] = []
  const closed: Closed[] = []
  const ordered = [...items].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
  for (const item of ordered) {
    const { kind, namespace, name, uid, digest } = item
    const key = itemKey(item)
    const drop = (reason: Dropped['reason'], message: string) => dropped.push({ key, reason, message })
    const old = before.get(key)
    const no = refused.get(digest)
    if (!allowed(cluster, kind, namespace, name))
      drop('not_allowed', 'is not among what the edge lets this cluster publish')
    else if (namespace === 'admin' && NAMED.has(kind))
      drop('not_allowed', 'namespace "admin" is the path of the edge\'s admin API')
    else if (known.length + wanted.length >= MAX_ITEMS) {
      drop('too_many', `is one of more than ${MAX_ITEMS} resources of this cluster`)
      if (kind === 'ToolPolicy') closed.push({ namespace, target: undefined })
    } else if (no !== undefined) {
      drop(no.reason, no.message)
      if (kind === 'ToolPolicy') closed.push({ namespace, target: no.target })
    } else if (old?.digest === digest && old.uid === uid) known.push(old)
    else wanted.push(item)
  }
  return { known, wanted, dropped, closed }
}

/** A body that was read, or what is wrong with it; `catalog` is its digest, undefined: it came without one; `size` are its characters. */
export type ReadBody =
  | ({ readonly ok: true } & Pick<RegisteredItem, 'resource' | 'catalog' | 'size'>)
  | ({ readonly ok: false } & Refused)

export interface Around {
  /** The index, of all clusters. */
  readonly registry: Registry
  /** Keys `namespace/name` of the edge's own servers and virtual servers. */
  readonly taken: ReadonlySet<string>
  readonly now: number
}

export interface Settled {
  readonly items: readonly RegisteredItem[]
  readonly dropped: readonly Dropped[]
}

/** What is registered now that the bodies are there; `bodies` by digest. An item whose body did not come stays as it was. */
export function settle(
  cluster: string,
  judged: Judged,
  registered: Registered,
  bodies: ReadonlyMap<string, ReadBody>,
  around: Around,
): Settled {
  const before = new Map(registered.items.map((item) => [itemKey(item), item]))
  const dropped = [...judged.dropped]
  let items: RegisteredItem[] = [...judged.known]
  const closed = [...judged.closed]
  for (const item of judged.wanted) {
    const old = before.get(itemKey(item))
    const body = bodyOf(item, bodies)
    if (body === undefined) {
      if (old !== undefined) items.push(old)
      continue
    }
    if (!body.ok) {
      dropped.push({ key: itemKey(item), reason: body.reason, message: body.message })
      if (item.kind === 'ToolPolicy') closed.push({ namespace: item.namespace, target: body.target })
      continue
    }
    // An uplink that has not heard of a server yet does not take its tools away.
    const { catalog, size } = body.catalog === undefined && old?.uid === item.uid ? old : body
    const registeredAt = old?.registeredAt ?? around.now
    items.push({ ...item, registeredAt, resource: body.resource, catalog, ...(size !== undefined && { size }) })
  }
  const heavy = excess(items.sort(byKey))
  for (const { item, message } of heavy) {
    dropped.push({ key: itemKey(item), reason: 'too_many', message })
    if (item.kind === 'ToolPolicy') closed.push({ namespace: item.namespace, target: undefined })
  }
  const left = new Set(heavy.map(({ item }) => item))
  items = items.filter((item) => !left.has(item))
  const isClosed = ({ kind, namespace, name }: RegisteredItem) =>
    NAMED.has(kind) &&
    closed.some(
      (one) =>
        one.namespace === namespace &&
        (one.target === undefined || (one.target.kind === kind && one.target.name === name)),
    )
  for (const item of items.filter(isClosed))
    dropped.push({ key: itemKey(item), reason: 'invalid', message: 'has a ToolPolicy that cannot be read' })
  items = fitting(
    items.filter((item) => !isClosed(item)),
    dropped,
  )
  return { items, dropped: [...dropped, ...outranked(cluster, items, around)] }
}

/** The body of an item; two items of one digest have the text of one of them at most. */
function bodyOf(
  { kind, namespace, name, digest }: SnapshotItem,
  bodies: ReadonlyMap<string, ReadBody>,
): ReadBody | undefined {
  const body = bodies.get(digest)
  if (body?.ok !== true) return body
  const { resource } = body
  const isIts = resource.kind === kind && resource.metadata.namespace === namespace && resource.metadata.name === name
  return isIts ? body : { ok: false, reason: 'invalid', message: 'is the manifest of another resource' }
}

function byKey(a: RegisteredItem, b: RegisteredItem): number {
  return ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || (itemKey(a) < itemKey(b) ? -1 : 1)
}

function fitting(items: readonly RegisteredItem[], dropped: Dropped[]): RegisteredItem[] {
  let manifests = 0
  let catalogs = 0
  return items.filter((item) => {
    manifests += JSON.stringify(item.resource).length
    const size = item.size ?? 0
    if (manifests <= MAX_MANIFESTS && catalogs + size <= MAX_CATALOGS) {
      catalogs += size
      return true
    }
    const what = manifests > MAX_MANIFESTS ? 'manifests' : 'catalogs'
    dropped.push({
      key: itemKey(item),
      reason: 'too_large',
      message: `does not fit beside this cluster's other ${what}`,
    })
    return false
  })
}

/** Items that are kept, but that something else of their name outranks; whoever plans judges it again. */
function outranked(cluster: string, items: readonly RegisteredItem[], { registry, taken }: Around): Dropped[] {
  const others = new Map([...registry].filter(([id]) => id !== cluster))
  return items.flatMap(({ kind, namespace, name, resource, registeredAt }): Dropped[] => {
    if (!NAMED.has(kind)) return []
    const key = itemKey({ kind, namespace, name })
    const named = serverKey(resource)
    if (taken.has(named)) return [{ key, reason: 'shadowed', message: `the edge has its own ${named}` }]
    if (kind !== 'VirtualMCPServer') return []
    const mine = claimOf(resource, registeredAt)
    const presence = { version: '', state: 'online', since: 0, virtual: { [named]: mine } } as const
    const owner = ownerOf(new Map([...others, [cluster, presence]]), named)
    if (owner === undefined || owner.cluster === cluster || owner.settings === mine.settings) return []
    return [{ key, reason: 'conflict', message: 'another cluster registered it first, with other settings' }]
  })
}

/** Its virtual servers, for the index. */
export function virtualOf(items: readonly RegisteredItem[]): Record<string, Claim> {
  return Object.fromEntries(
    items
      .filter(({ kind }) => kind === 'VirtualMCPServer')
      .map((item) => [serverKey(item.resource), claimOf(item.resource, item.registeredAt)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/** It decides only what is reported: a marking that collides changes nothing of who owns what. */
function claimOf({ metadata, spec }: RegisteredItem['resource'], at: number): Claim {
  return { at, settings: fingerprint(JSON.stringify([metadata.annotations ?? {}, spec])) }
}

/** The list as an uplink is told: as much of it as it can read in one frame. */
export function told(dropped: readonly Dropped[]): Dropped[] {
  const encoder = new TextEncoder()
  let bytes = 0
  return dropped
    .slice(0, MAX_DROPPED)
    .map((one) => ({ ...one, message: one.message.slice(0, MAX_MESSAGE) }))
    .filter((one) => (bytes += encoder.encode(JSON.stringify(one)).length + 1) <= MAX_TOLD)
}
