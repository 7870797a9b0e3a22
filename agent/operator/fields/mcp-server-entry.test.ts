import { test } from 'node:test'
import { serverEntry } from '../kinds/mcp-server-entry.ts'
import { virtualServer } from '../kinds/virtual-mcp-server.ts'
import { assertComplete, assertEffects, type Effect, type Stage } from './effect.ts'
import { remoteEffects } from './remote-effects.ts'
import { certificate, configs, objects } from './stage.ts'

/** An entry has no objects of its own: it shows in the run config of the virtual servers that call it. */
const stage: Stage = {
  kind: 'MCPServerEntry',
  name: 'docs',
  spec: { remoteUrl: 'https://mcp.example.com/mcp', transport: 'streamable-http' },
  others: [...configs, { kind: 'VirtualMCPServer', name: 'all', spec: { backends: [{ name: 'docs' }] } }],
  objects,
}

const called: readonly Effect[] = [
  ...remoteEffects,
  { fields: ['transport'], spec: { transport: 'sse' }, shows: { 'run config servers[0].transport': 'sse' } },
  {
    fields: ['caBundleRef.configMapRef.name', 'caBundleRef.configMapRef.key'],
    spec: { caBundleRef: { configMapRef: { name: 'ca', key: 'ca.crt' } } },
    shows: { 'run config servers[0].ca': certificate },
  },
]

const reported: readonly Effect[] = [
  {
    fields: ['groupRef'],
    spec: { groupRef: { name: 'fleet' } },
    shows: { 'condition GroupRefValidated': 'True GroupRefIsValid' },
  },
]

test('every field of an MCPServerEntry shows in the run config of a virtual server, or in its status', () => {
  assertEffects(virtualServer, stage, called)
  assertEffects(serverEntry, stage, reported)
  assertComplete('MCPServerEntry', [...called, ...reported], 'agent/operator/fields/mcp-server-entry.test.ts')
})
