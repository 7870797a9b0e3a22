// A manifest as the edge may know it: what it plans with, and nothing else. Fields are taken up one by one, so that a field nobody
// thought of stays in its cluster; no secret, no name of one, no environment and no address of the cluster is among them.

import type { SnapshotKind } from '../protocol/snapshot.ts'
import type { Resource } from './resources.ts'

/** A resource of a kind that a snapshot holds. */
export type Published = Extract<Resource, { kind: SnapshotKind }>

/** The fields to take: whole, or these of an object. */
type Fields = 'whole' | { readonly [field: string]: Fields }

const server = { groupRef: 'whole', toolConfigRef: 'whole', transport: 'whole' } as const

const kept: Readonly<Record<SnapshotKind, Fields>> = {
  MCPServer: { ...server, image: 'whole' },
  MCPRemoteProxy: { ...server, remoteUrl: 'whole' },
  VirtualMCPServer: {
    backends: 'whole',
    groupRef: 'whole',
    config: {
      aggregation: 'whole',
      operational: { timeouts: 'whole', failureHandling: { circuitBreaker: 'whole' } },
    },
  },
  ToolPolicy: 'whole',
  MCPToolConfig: 'whole',
  MCPGroup: {},
}

/** Of all annotations those that plans read, which are the same at every edge. */
const ANNOTATIONS = [
  'waggle.dev/allow-virtual-servers-from',
  'waggle.dev/call-timeout',
  'waggle.dev/federation',
  'waggle.dev/trust-hints',
]

/** The manifest, with its uid; a new object. What it was made of stands in the order of its names, so that equals print equally. */
export function trim(resource: Published, uid: string): Readonly<Record<string, unknown>> {
  const { apiVersion, kind, metadata } = resource
  const { name, namespace, annotations } = metadata
  const told = Object.entries(annotations ?? {}).filter(([key]) => ANNOTATIONS.includes(key))
  const spec = take(resource.spec, kept[kind])
  return sorted({
    apiVersion,
    kind,
    metadata: { name, namespace, uid, ...(told.length > 0 && { annotations: Object.fromEntries(told) }) },
    // Where a remote server is concerns its proxy alone, and paths and queries of such URLs are often all there is to know a secret by.
    spec: kind === 'MCPRemoteProxy' ? { ...spec, remoteUrl: new URL(resource.spec.remoteUrl).origin } : spec,
  })
}

type Tree = Readonly<Record<string, unknown>>

function take(value: unknown, fields: Fields): Tree {
  const tree = value as Tree
  if (fields === 'whole') return tree
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, inner]): [string, unknown][] => {
      const part = tree[field]
      if (part === undefined) return []
      return [[field, inner === 'whole' ? part : take(part, inner)]]
    }),
  )
}

function sorted(value: Tree): Tree
function sorted(value: unknown): unknown
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => sorted(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  )
}
