// One body of a snapshot: bytes that an uplink sent → a manifest that was checked and a catalog in which every item was judged again.

import { MCPGroup } from '../../crds/mcp-group.ts'
import { MCPRemoteProxy } from '../../crds/mcp-remote-proxy.ts'
import { MCPServer } from '../../crds/mcp-server.ts'
import { MCPToolConfig } from '../../crds/mcp-tool-config.ts'
import { read } from '../../crds/manifest.ts'
import { ToolPolicy } from '../../crds/tool-policy.ts'
import { VirtualMCPServer } from '../../crds/virtual-mcp-server.ts'
import { readPublished } from '../../gateway/catalog/published.ts'
import type { ServerCatalog } from '../../gateway/catalog/server.ts'
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
  const { resource } = reading
  const { namespace, name } = resource.metadata
  if (namespace !== item.namespace || name !== item.name) return invalid('is the manifest of another resource')
  try {
    const span = members(text).get('catalog')
    if (span === undefined) return { ok: true, resource, catalog: undefined }
    if (span.end - span.start <= MAX_CATALOG) return { ok: true, resource, catalog: readPublished(slice(text, span)) }
    return { ok: false, reason: 'too_large', message: `has a catalog of more than ${MAX_CATALOG} characters` }
  } catch (error) {
    return invalid(`has a catalog that cannot be read: ${error instanceof Error ? error.message : 'failed'}`)
  }
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
