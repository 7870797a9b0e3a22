// What scripted uplinks publish, as short as it can be written.

import { manifest, type Manifest } from '../peers/manifests.ts'

/** The text that the proxy of a modern server with these tools publishes. */
export function catalogOf(...tools: readonly string[]): string {
  return JSON.stringify({
    tools: tools.map((name) => ({ name, description: name, inputSchema: { type: 'object' } })),
    prompts: [],
    resources: [],
    resourceTemplates: [],
    era: 'modern',
    revision: '2026-07-28',
    capabilities: { tools: {} },
    ttlMs: 60_000,
  })
}

export function serverOf(name: string, namespace = 'test'): Manifest {
  const { metadata, ...rest } = manifest('MCPServer', name, { image: 'example.com/x:1', transport: 'streamable-http' })
  return { ...rest, metadata: { ...metadata, namespace } }
}
