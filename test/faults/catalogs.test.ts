// A backend that fails while its catalog is read is missing from the lists, and nothing else is.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { faults, startHostile } from '../peers/hostile.ts'
import type { FaultName, Hostile } from '../peers/hostile.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { peakMiB, residentMiB } from './memory.ts'

describe('backends that fail while they are listed', () => {
  let edge: TestEdge
  let good: Recorder
  const hostile: Hostile[] = []
  const slug = (fault: FaultName): string => `bad-${faults.indexOf(fault)}`

  before(async () => {
    good = await startRecorder({
      tools: [
        '{"name":"fine","inputSchema":{"type":"object"}}',
        '{"name":"no schema"}',
        '{"name":7,"inputSchema":{"type":"object"}}',
        '{"name":"null-schema","inputSchema":null}',
        '"not even an object"',
        '{"name":"also-fine","inputSchema":{"type":"object"}}',
      ],
    })
    edge = await startEdge({ resources: [entry('good', good.url)] })
  })
  after(async () => {
    await edge?.close()
    await Promise.all([good, ...hostile].map((backend) => backend?.close()))
  })

  test('every fault at once: the good backend is listed soon, memory stays bounded, the edge answers', async () => {
    for (const fault of faults) {
      const backend = await startHostile({ era: 'modern', decoy: good.url })
      backend.misbehave(fault)
      hostile.push(backend)
    }
    const memory = await residentMiB(edge.pid)
    const endpoint = edge.endpoint('all')
    let longest = 0
    const peak = await peakMiB(edge.pid, async () => {
      await edge.apply([
        ...faults.map((fault, index) => entry(slug(fault), hostile[index]?.url ?? '')),
        virtual('all', ['good', ...faults.map(slug)]),
      ])
      await edge.lists(endpoint, ['fine'])
      // Long enough for every refresh to meet its fault and its deadline.
      for (let turn = 0; turn < 40; turn += 1) {
        const begun = Date.now()
        const listed = await exchange(endpoint, { method: 'tools/list', token: await edge.token(endpoint) })
        longest = Math.max(longest, Date.now() - begun)
        assert.ok(toolNames(listed).includes('fine'))
        await sleep(500)
      }
    })
    console.log(`the longest list took ${longest} ms`)
    assert.ok(longest < 6_000, `a list took ${longest} ms`)
    assert.ok(peak - memory < 150, `memory grew by ${Math.round(peak - memory)} MiB`)
  })

  test('a malformed tool is dropped alone', async () => {
    await edge.apply([virtual('some', ['good'])])
    const listed = await edge.lists(edge.endpoint('some'), ['fine', 'also-fine'])
    assert.deepEqual(listed.toSorted(), ['also-fine', 'fine'])
  })

  test('a backend that lists without end is bounded, and its status says so', async () => {
    for (const fault of ['a million tools', 'endless cursors'] as const) {
      const backend = hostile[faults.indexOf(fault)]
      assert.ok(backend)
      assert.ok(backend.written() < 40e6, `${fault}: ${backend.written()} bytes were read`)
      const response = await edge.admin('GET', `/admin/v1/resources/MCPServerEntry/test/${slug(fault)}`)
      const { status } = (await response.json()) as { status: Record<string, unknown> }
      assert.ok(JSON.stringify(status).length > 2)
    }
  })
})
