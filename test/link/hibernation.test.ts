// A cluster that nobody calls costs the edge nothing: its hub sleeps while its links are open, and is there for the first call.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HubStatus } from '../../edge/hub/status.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, virtual } from '../peers/manifests.ts'
import { exchange } from '../peers/wire.ts'
import { keyed, startCounter, type Counter } from './counter.ts'
import { startCluster, type Crew } from './crew.ts'

/** Nothing but pings, which the runtime answers by itself. */
const IDLE_MS = 61_000
/** Of pings every 10 s ± 20 %; who is silent for longer is suspect. */
const LONGEST_SILENCE_MS = 25_000

describe('a cluster that idles', () => {
  let edge: TestEdge
  let crew: Crew
  let counter: Counter
  const keys: string[] = []

  before(async () => {
    edge = await startEdge({ resources: [virtual('all', ['place'])] })
    counter = await startCounter({ tools: [keyed('here')], execute: (key) => void keys.push(key), workMs: 0 })
    const spec = { image: 'example.com/x:1', transport: 'streamable-http' }
    crew = await startCluster(edge, 'a', {
      servers: [{ manifest: manifest('MCPServer', 'place', spec), url: counter.url }],
    })
    await edge.lists(edge.endpoint('all'), ['here'])
  })
  after(async () => {
    await crew?.close()
    await counter?.close()
    await edge?.close()
  })

  async function status(): Promise<HubStatus> {
    const response = await edge.admin('GET', '/admin/v1/status?cluster=a')
    const { clusters } = (await response.json()) as { clusters: { hub: HubStatus }[] }
    assert.ok(clusters[0])
    return clusters[0].hub
  }

  async function call(key: string): Promise<void> {
    const url = edge.endpoint('all')
    const params = { name: 'here', arguments: { key } }
    const { answer, body } = await exchange(url, { method: 'tools/call', token: await edge.token(url), params })
    assert.ok(answer?.result !== undefined, body)
  }

  test('lets its hub sleep for a minute, stays registered, and answers the first call', async () => {
    await call('before')
    // The hub goes to sleep some seconds after the last that happened.
    await sleep(5_000)
    const asleep = await status()
    assert.equal(asleep.connections.length, 2)
    await sleep(IDLE_MS)
    const awake = await status()
    assert.equal(awake.wakes, asleep.wakes + 1, 'asking wakes it up, and nothing else did')
    assert.equal(awake.state, 'online')
    assert.deepEqual(
      awake.connections.map(({ connection }) => connection).sort(),
      asleep.connections.map(({ connection }) => connection).sort(),
    )
    for (const { lastSeen, isSuspect } of awake.connections) {
      const silence = Date.now() - lastSeen
      console.log(`an idle link was seen ${silence} ms ago`)
      assert.ok(silence < LONGEST_SILENCE_MS, 'the lease is fresh')
      assert.equal(isSuspect, false)
    }
    // Asleep once more.
    await sleep(20_000)
    await call('after')
    assert.deepEqual(keys, ['before', 'after'])
    assert.equal((await status()).wakes, awake.wakes + 1)
  })
})
