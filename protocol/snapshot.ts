// What an uplink publishes: every resource of its cluster that the edge may know of, with the catalogs of its servers. A snapshot lists
// keys and digests and is replaced whole; the bodies travel only where the edge has not got them. Nothing in it is secret, and
// nothing in it says which cluster it is of: that follows from the credential of the link.

/** Kinds that a snapshot holds; other resources stay in their cluster. */
export const SNAPSHOT_KINDS = [
  'MCPServer',
  'MCPRemoteProxy',
  'VirtualMCPServer',
  'ToolPolicy',
  'MCPToolConfig',
  'MCPGroup',
] as const
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number]

export const MAX_ITEMS = 5_000
/** Largest text of a snapshot, and of one body, in bytes. */
export const MAX_SNAPSHOT = 4 * 1024 * 1024
export const MAX_BODY = 24 * 1024 * 1024

export interface SnapshotItem {
  readonly kind: SnapshotKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** SHA-256 of the body's text (gateway/sha256.ts). */
  readonly digest: string
}

export interface Snapshot {
  readonly format: 1
  readonly items: readonly SnapshotItem[]
}

/** The text of a body is the JSON of this, `resource` first. */
export interface SnapshotBody {
  /** The manifest, reduced to what the edge plans with. */
  readonly resource: unknown
  /** What the server's proxy publishes (gateway/catalog/published.ts), as it stands there; absent while it is not known,
   *  which says nothing: the edge goes on with the one it has of this uid. */
  readonly catalog?: unknown
}

export function itemKey({ kind, namespace, name }: Pick<SnapshotItem, 'kind' | 'namespace' | 'name'>): string {
  return `${kind}/${namespace}/${name}`
}

/** 64 hexadecimal digits: SHA-256 of the text's bytes in UTF-8. */
export async function bodyDigest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
