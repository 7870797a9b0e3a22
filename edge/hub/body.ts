// One body of a snapshot: bytes that an uplink sent → a manifest that was checked and a catalog in which every item was judged again.
// Invariant: what a manifest may decide at the edge is what `trim` leaves of it, whatever its uplink left: nothing about who logs in
// how, and no credential.

import { MCPGroup } from '../../crds/mcp-group.ts'
import { MCPRemoteProxy } from '../../crds/mcp-remote-proxy.ts'
import { MCPServer } from '../../crds/mcp-server.ts'
import { MCPToolConfig } from '../../crds/mcp-tool-config.ts'
import { read } from '../../crds/manifest.ts'
import { ToolPolicy } from '../../crds/tool-policy.ts'
import { VirtualMCPServer } from '../../crds/virtual-mcp-server.ts'
import { readPublished } from '../../gateway/catalog/published.ts'
import type { ServerCatalog } from '../../gateway/catalog/server.ts'
import { isShut } from '../../plan/guard.ts'
import { trim } from '../../plan/trim.ts'
import { members, slice } from '../../protocol/text.ts'
import { bodyDigest, type SnapshotItem } from '../../protocol/snapshot.ts'
import type { RegisteredItem } from '../documents/registry.ts'
import type { Refused } from './decide.ts'

/** As of servers that the edge asks itself: isolates hold it. In characters. */
const MAX_CATALOG = 8 * 1024 * 1024

const schemas = { MCPServer, MCPRemoteProxy, VirtualMCPServer, ToolPolicy, MCPToolConfig, MCPGroup }

export type Opened =
  | { readonly ok: true; readonly resource: RegisteredItem['resource']; readonly catalog: ServerCatalog | undefined }
  | ({ readonly ok: false } & Refused)

/** Never throws. */
export async function openBody(item: SnapshotItem, bytes: Uint8Array<ArrayBuffer>): Promise<Opened> {
  if ((await bodyDigest(bytes)) !== item.digest) return invalid('is not what its digest says')
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    value = JSON.parse(text)
  } catch {
    return invalid('is not JSON')
  }
  if (typeof value !== 'object' || value === null) return invalid('is not an object')
  const { resource: raw } = value as { resource?: unknown }
  const reading = read<RegisteredItem['resource']>(raw, { [item.kind]: schemas[item.kind] }, 'cluster')
  if (!reading.ok) {
    const [problem] = reading.problems
    return invalid(`${problem?.path ?? ''} ${problem?.message ?? 'is invalid'}`.trim(), targetOf(raw))
  }
  const { namespace, name } = reading.resource.metadata
  if (namespace !== item.namespace || name !== item.name) return invalid('is the manifest of another resource')
  const resource = known(reading.resource, item)
  if (resource === undefined) return invalid('says who may call in a way that the edge cannot hold to')
  try {
    const span = members(text).get('catalog')
    if (span === undefined) return { ok: true, resource, catalog: undefined }
    if (span.end - span.start <= MAX_CATALOG) return { ok: true, resource, catalog: readPublished(slice(text, span)) }
    return { ok: false, reason: 'too_large', message: `has a catalog of more than ${MAX_CATALOG} characters` }
  } catch (error) {
    return invalid(`has a catalog that cannot be read: ${error instanceof Error ? error.message : 'failed'}`)
  }
}

/** The part of a manifest that the edge plans with; undefined: leaving the rest out would open it. */
function known(resource: RegisteredItem['resource'], item: SnapshotItem): RegisteredItem['resource'] | undefined {
  const { kind } = resource
  if ((kind === 'MCPServer' || kind === 'MCPRemoteProxy' || kind === 'VirtualMCPServer') && isShut(resource))
    return undefined
  const trimmed = read<RegisteredItem['resource']>(trim(resource, item.uid), { [kind]: schemas[kind] }, 'cluster')
  return trimmed.ok ? trimmed.resource : undefined
}

function invalid(message: string, target?: Refused['target']): Opened {
  return { ok: false, reason: 'invalid', message, target }
}

/** What an unreadable policy says that it is about. */
function targetOf(raw: unknown): Refused['target'] {
  const { targetRef } = ((raw ?? {}) as { spec?: { targetRef?: unknown } }).spec ?? {}
  const { kind, name } = (targetRef ?? {}) as { kind?: unknown; name?: unknown }
  return typeof kind === 'string' && typeof name === 'string' ? { kind, name } : undefined
}
