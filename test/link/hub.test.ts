// The hub of a cluster on real workerd, with an uplink that the test plays.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Identity } from '../../agent/uplink/identity.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, virtual } from '../peers/manifests.ts'
import { exchange } from '../peers/wire.ts'
import { join, ScriptedUplink } from './scripted-uplink.ts'

const catalog = (...tools: string[]) =>
  JSON.stringify({
    tools: tools.map((name) => ({ name, description: name, inputSchema: { type: 'object' } })),
    prompts: [],
    resources: [],
    resourceTemplates: [],
    era: 'modern',
    revision: '2026-07-28',
    capabilities: { tools: {} },
    ttlMs: 60000,
  })

const server = (name: string) => manifest('MCPServer', name, { image: 'example.com/x:1', transport: 'streamable-http' })

describe('a hub', () => {
  let edge: TestEdge
  let identity: Identity
  let uplink: ScriptedUplink

  before(async () => {
    edge = await startEdge({ resources: [virtual('tools', ['echo'])] })
    identity = await join(edge, 'alpha')
    uplink = await ScriptedUplink.connect(edge, 'alpha', identity)
  })
  after(async () => {
    uplink?.close()
    await edge?.close()
  })

  test('lists what an uplink publishes, and carries a call to it', async () => {
    const epoch = await uplink.leads()
    const { dropped } = await uplink.publish(epoch, 1, [{ manifest: server('echo'), catalog: catalog('say') }])
    assert.deepEqual(dropped, [])
    const endpoint = edge.endpoint('tools')
    await edge.lists(endpoint, ['say'])
    const from = uplink.received.length
    const asking = exchange(endpoint, {
      method: 'tools/call',
      token: await edge.token(endpoint),
      params: { name: 'say', arguments: { text: 'hello' } },
    })
    const arrived = await uplink.arrived(from)
    assert.deepEqual(arrived.target, { kind: 'MCPServer', namespace: 'test', name: 'echo' })
    const message = JSON.parse(arrived.body) as { id: unknown; params: { arguments: unknown } }
    assert.deepEqual(message.params.arguments, { text: 'hello' })
    uplink.reply(arrived.call, { jsonrpc: '2.0', id: message.id, result: { content: [], resultType: 'complete' } })
    const { answer } = await asking
    assert.deepEqual(answer?.result?.['content'], [])
    await sleep(1)
  })
})
