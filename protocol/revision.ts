// The MCP revisions we speak and the names each era uses on the wire. Modern = 2026-07-28 (stateless), legacy = the
// four revisions with sessions before it.

export type Era = 'legacy' | 'modern'

export const MODERN_REVISION = '2026-07-28'
export const LEGACY_REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
export const LATEST_LEGACY = LEGACY_REVISIONS[0]

/** The first revision whose clients know events that have an id and no data (SEP-1699). */
export const PRIMES_SINCE = '2025-11-25'

export const isLegacyRevision = (revision: string): boolean =>
  (LEGACY_REVISIONS as readonly string[]).includes(revision)

/** Keys of `params._meta` and `result._meta` that belong to the hop, not to the caller (MCP 2026-07-28, basic/_meta). */
export const META = {
  prefix: 'io.modelcontextprotocol/',
  version: 'io.modelcontextprotocol/protocolVersion',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  client: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  server: 'io.modelcontextprotocol/serverInfo',
  subscription: 'io.modelcontextprotocol/subscriptionId',
} as const

/** Which member of `params` the `Mcp-Name` header mirrors (SEP-2243), by method. */
export function nameMember(method: string): 'name' | 'uri' | 'taskId' | undefined {
  switch (method) {
    case 'tools/call':
    case 'prompts/get':
      return 'name'
    case 'resources/read':
      return 'uri'
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return 'taskId'
    default:
      return undefined
  }
}

/** Own name and version, as clients and servers see them. */
export const IMPLEMENTATION = { name: 'waggle', title: 'Waggle', version: '0.1.0' } as const
