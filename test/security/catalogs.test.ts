// A hostile server's catalog, and how it says that the catalog changed: whatever it sends, its neighbours are listed and
// kept fresh, and what everybody is told stays small.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { fingerprint } from '../../gateway/catalog/hash.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`
const deep = (levels: number): string => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)

describe('a hostile catalog', () => {
  let edge: TestEdge
  let good: Recorder
  let hostile: Recorder
  let talker: Recorder
  let neighbour: Recorder
  let near = ''

  before(async () => {
    good = await startRecorder({ tools: ['fine'].map(tool) })
    hostile = await startRecorder({ tools: [] })
    talker = await startRecorder({ tools: ['talk'].map(tool) })
    neighbour = await startRecorder({ tools: ['before'].map(tool) })
    talker.takeover = ({ message }, response) => {
      if (message?.method !== 'subscriptions/listen') return false
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const changed = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
      const timer = setInterval(() => response.write(changed), 50)
      response.on('close', () => clearInterval(timer))
      return true
    }
    hostile.tools = [
      tool('ok'),
      '{"name":"twice","description":"a","description":"b","inputSchema":{"type":"object"}}',
      '{"name":"one","name":"two","inputSchema":{"type":"object"}}',
      '{"name":"inner","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://a","resourceUri":"ui://b"}}}',
      `{"name":"deep","inputSchema":{"type":"object","properties":${deep(10_000)}}}`,
      `{"name":"meta","inputSchema":{"type":"object"},"_meta":{"ui":${deep(10_000)}}}`,
      `{"name":"__proto__","inputSchema":{"type":"object"}}`,
      `{"name":"constructor","inputSchema":{"type":"object","__proto__":{"x-mcp-header":"A"}}}`,
    ]
    hostile.on(
      'resources/list',
      () => '{"resources":[{"uri":"ui://a","name":"a"},{"uri":"ui://a","name":"b","name":"c"}]}',
    )
    good.on('resources/list', () => '{"resources":[{"uri":"ui://a","name":"a"}]}')
    const shard = (name: string): number => Number.parseInt(fingerprint(`test/${name}`).slice(0, 4), 16) % 4
    near =
      Array.from({ length: 64 }, (_, index) => `near${index}`).find((name) => shard(name) === shard('talker')) ?? ''
    edge = await startEdge({
      resources: [
        entry('good', good.url),
        entry('hostile', hostile.url),
        entry('talker', talker.url),
        entry(near, neighbour.url),
        virtual('both', ['good', 'hostile']),
        virtual('near', [near]),
      ],
    })
    await edge.lists(edge.endpoint('near'), ['before'])
  })

  after(async () => {
    await edge?.close()
    for (const peer of [good, hostile, talker, neighbour]) await peer?.close()
  })

  for (const era of ['modern', 'legacy'] as const) {
    test(`takes nothing from its neighbours: ${era} clients`, async () => {
      await edge.lists(edge.endpoint('both'), ['fine', 'ok'])
      const url = edge.endpoint('both')
      const token = await edge.token(url)
      const session = era === 'legacy' ? await openSession(url, token) : undefined
      for (const method of ['tools/list', 'resources/list']) {
        const listed = await exchange(url, { method, era, token, session })
        assert.equal(listed.status, 200, listed.body.slice(0, 300))
        assert.ok(listed.answer?.result, listed.body.slice(0, 300))
      }
      const called = await exchange(url, {
        method: 'tools/call',
        era,
        token,
        session,
        params: { name: 'fine', arguments: {} },
      })
      assert.ok(called.answer?.result, called.body.slice(0, 300))
    })
  }

  test('that never stops to say that it changed does not keep others from being looked at', async () => {
    const url = edge.endpoint('near')
    neighbour.tools = ['afterwards'].map(tool)
    const token = await edge.token(url)
    let names: string[] = []
    for (let turn = 0; turn < 120 && !names.includes('afterwards'); turn += 1) {
      await sleep(500)
      names = toolNames(await exchange(url, { method: 'tools/list', token }))
    }
    assert.deepEqual(names, ['afterwards'], 'the neighbour was not refreshed for a minute; its catalog lives 5 s')
  })

  test('that never stops to say that it changed is believed at a measured pace', async () => {
    const before = talker.calls('tools/list').length
    await sleep(10_000)
    const asked = talker.calls('tools/list').length - before
    assert.ok(asked <= 5, `${asked} complete listings in 10 s`)
  })
})

describe('what a server says about itself', () => {
  test('is bounded before it is told to everybody', async () => {
    const big = await startRecorder({ era: 'both' })
    const capabilities = `{"tools":{},"x-big":{"a":"${'x'.repeat(3_000_000)}"}}`
    big.on('server/discover', () => `{"supportedVersions":["2026-07-28"],"capabilities":${capabilities}}`)
    const edge = await startEdge({ resources: [entry('big', big.url), virtual('big', ['big'])] })
    try {
      const url = edge.endpoint('big')
      await edge.lists(url, ['echo'])
      const discovered = await exchange(url, { method: 'server/discover', token: await edge.token(url) })
      assert.ok(discovered.body.length < 300_000, `${discovered.body.length} characters for every client`)
    } finally {
      await edge.close()
      await big.close()
    }
  })
})
