// What a cluster offers → the text of a snapshot and the bodies that belong to it. Pure and deterministic: the same offers make the
// same text, in whatever order they come, so that an edge which has it all is sent a few kilobytes.

import { hash } from 'node:crypto'
import {
  itemKey,
  MAX_BODY,
  MAX_ITEMS,
  MAX_SNAPSHOT,
  SNAPSHOT_KINDS,
  type Snapshot,
  type SnapshotItem,
} from '../../protocol/snapshot.ts'
import type { Dropped } from '../../protocol/link.ts'
import { trim, type Published } from '../../plan/trim.ts'

/** One resource that the edge may know. Never changed: what is different is another offer. */
export interface Offer {
  readonly resource: Published
  readonly uid: string
  /** The text that the server's proxy publishes, which is JSON; undefined while it is not known, and for what has none. */
  readonly catalog: string | undefined
}

export interface MadeSnapshot {
  readonly text: string
  /** By `itemKey`. */
  readonly items: readonly SnapshotItem[]
  /** By digest. */
  readonly bodies: ReadonlyMap<string, Body>
  /** What is too large to be sent, or too much. */
  readonly dropped: readonly Dropped[]
}

/** The text of a body, in two parts: catalogs are large, and there is no need to have them twice. */
export interface Body {
  readonly resource: string
  readonly catalog: string | undefined
}

/** What limits others comes first: of too many items it is no policy that is left out. */
const ORDER: readonly string[] = SNAPSHOT_KINDS.toReversed()

export function makeSnapshot(offers: Iterable<Offer>): MadeSnapshot {
  const made = [...offers].map(itemOf).sort((a, b) => rank(a.item) - rank(b.item) || (a.key < b.key ? -1 : 1))
  const dropped: Dropped[] = []
  const bodies = new Map<string, Body>()
  const items: SnapshotItem[] = []
  let size = 64
  for (const { key, item, body, bytes, itemBytes } of made) {
    if (bytes > MAX_BODY) {
      dropped.push({ key, reason: 'too_large', message: `has a catalog of more than ${MAX_BODY} bytes` })
    } else if (items.length >= MAX_ITEMS || size + itemBytes > MAX_SNAPSHOT) {
      dropped.push({
        key,
        reason: 'too_many',
        message: `is one of more than ${items.length} resources of this cluster`,
      })
    } else {
      size += itemBytes
      items.push(item)
      bodies.set(item.digest, body)
    }
  }
  const snapshot: Snapshot = { format: 1, items }
  return { text: JSON.stringify(snapshot), items, bodies, dropped }
}

/** The body as it goes on the wire: the JSON of a `SnapshotBody`. */
export function bodyText({ resource, catalog }: Body): string {
  return catalog === undefined ? `{"resource":${resource}}` : `{"resource":${resource},"catalog":${catalog}}`
}

interface Item {
  readonly key: string
  readonly item: SnapshotItem
  readonly body: Body
  /** Of the body, and of the item in the snapshot. */
  readonly bytes: number
  readonly itemBytes: number
}

/** Hashing every catalog of a large cluster anew for each change would keep a processor busy. */
const known = new WeakMap<Offer, Item>()

function itemOf(offer: Offer): Item {
  const before = known.get(offer)
  if (before !== undefined) return before
  const { resource, uid, catalog } = offer
  const { kind, metadata } = resource
  const body: Body = { resource: JSON.stringify(trim(resource, uid)), catalog }
  const text = bodyText(body)
  const { namespace, name } = metadata
  const item: SnapshotItem = { kind, namespace, name, uid, digest: hash('sha256', text) }
  const made: Item = {
    key: itemKey(item),
    item,
    body,
    bytes: Buffer.byteLength(text),
    itemBytes: Buffer.byteLength(JSON.stringify(item)) + 1,
  }
  known.set(offer, made)
  return made
}

function rank({ kind }: SnapshotItem): number {
  return ORDER.indexOf(kind)
}
