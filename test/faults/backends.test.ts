// A backend that fails takes nothing else with it: the caller gets a typed error within the deadline, every list and every
// other backend stays as it was, and memory stays bounded.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { faults, startHostile } from '../peers/hostile.ts'
import type { FaultName, Hostile } from '../peers/hostile.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'
import { peakMiB, residentMiB } from './memory.ts'

const deadlineMs = 4_000
/** A machine that does other things meanwhile may take three times as long. */
const slackMs = 8_000
/** Less than the deadline: whoever waits for the backend that fails takes longer. */
const soonMs = 3_500

// What the caller is told. These are wrong only while listing, or are no failure at all for the caller.
const harmlessToACall = new Set<FaultName>([
  'a million tools',
  'endless cursors',
  'the same cursor again',
  'session lost',
])

for (const era of ['modern', 'legacy'] as const)
  describe(`${era} backends that fail`, () => {
    let edge: TestEdge
    let good: Recorder
    let decoy: Recorder
    let endpoint: string
    const hostile = new Map<FaultName, Hostile>()
    const slug = (fault: FaultName): string => `bad-${faults.indexOf(fault)}`

    before(async () => {
      good = await startRecorder({ tools: ['{"name":"fine","inputSchema":{"type":"object"}}'] })
      decoy = await startRecorder()
      // One backend per fault, so that no breaker of one test answers for another.
      for (const fault of faults) {
        const backend = await startHostile({
          era: fault === 'session lost' ? 'legacy' : era,
          tools: [`{"name":"${slug(fault)}","inputSchema":{"type":"object"}}`],
          decoy: decoy.url,
        })
        hostile.set(fault, backend)
      }
      edge = await startEdge({
        resources: [
          entry('good', good.url),
          ...faults.map((fault) => entry(slug(fault), hostile.get(fault)?.url ?? '')),
          virtual('all', ['good', ...faults.map(slug)], {}, { 'waggle.dev/call-timeout': `${deadlineMs}ms` }),
        ],
      })
      endpoint = edge.endpoint('all')
      await edge.lists(endpoint, ['fine', ...faults.map(slug)])
    })
    after(async () => {
      await edge?.close()
      await Promise.all([good, decoy, ...hostile.values()].map((backend) => backend?.close()))
    })

    // The caller speaks the era of the backend: the other cells differ in translation only.
    async function call(name: string): Promise<Exchange> {
      const token = await edge.token(endpoint)
      const session = era === 'legacy' ? await openSession(endpoint, token) : undefined
      return exchange(endpoint, { method: 'tools/call', params: { name, arguments: {} }, token, era, session })
    }

    async function list(): Promise<Exchange> {
      return exchange(endpoint, { method: 'tools/list', token: await edge.token(endpoint) })
    }

    for (const fault of faults) {
      if (harmlessToACall.has(fault)) continue
      test(`${fault}: the call fails with a typed error in time, everything else goes on`, async () => {
        const backend = hostile.get(fault)
        assert.ok(backend)
        const listed = toolNames(await list())
        backend.misbehave(fault)
        const memory = await residentMiB(edge.pid)
        const started = Date.now()
        let response: Exchange | undefined
        let others: { took: number; list: Exchange; fine: Exchange } | undefined
        const peak = await peakMiB(edge.pid, async () => {
          const pending = call(slug(fault))
          const begun = Date.now()
          const [seen, fine] = await Promise.all([list(), call('fine')])
          others = { took: Date.now() - begun, list: seen, fine }
          response = await pending
        })
        const took = Date.now() - started
        assert.ok(response && others)

        assert.ok(took < deadlineMs + slackMs, `the answer took ${took} ms`)
        assert.equal(response.status, 200, response.body)
        const { error } = response.answer ?? {}
        assert.ok(error, response.body.slice(0, 500))
        assert.ok(error.code >= 1500 && error.code < 1600, `code ${error.code}: ${error.message}`)
        assert.equal(error.data?.['server'], `test/${slug(fault)}`)
        assert.doesNotMatch(response.body, /169\.254|127\.0\.0\.1|<h1>|Please sign in/)

        assert.deepEqual(toolNames(others.list), listed)
        assert.equal(others.fine.answer?.error, undefined)
        assert.ok(others.took < soonMs, `others waited ${others.took} ms`)
        assert.ok(peak - memory < 100, `memory grew by ${Math.round(peak - memory)} MiB`)
        assert.ok(backend.written() < 40e6, `${backend.written()} bytes were read`)
        assert.equal(decoy.received.length, 0, 'a redirect was followed')
      })
    }

    test('a lost session is opened again without the caller noticing', async () => {
      const backend = hostile.get('session lost')
      assert.ok(backend)
      assert.equal((await call(slug('session lost'))).answer?.error, undefined)
      backend.forgetSessions()
      const again = await call(slug('session lost'))
      assert.equal(again.answer?.error, undefined, again.body)
      assert.ok(again.answer?.result)
    })

    test('a limit of the backend is passed on with when to come back', async () => {
      const response = await call(slug('status 429'))
      assert.equal(response.answer?.error?.data?.['retryAfterSeconds'], 7, response.body)
    })

    test('a backend that keeps failing is left alone for a while, and serves again by itself once it recovers', async () => {
      const backend = hostile.get('status 500')
      assert.ok(backend)
      backend.misbehave('status 500')
      const before = backend.calls('tools/call').length
      let last: Exchange | undefined
      for (let turn = 0; turn < 20; turn += 1) last = await call(slug('status 500'))
      const tried = backend.calls('tools/call').length - before
      assert.ok(tried < 10, `${tried} of 20 calls reached a backend that fails`)
      const wait = last?.answer?.error?.data?.['retryAfterSeconds']
      assert.ok(typeof wait === 'number' && wait > 0 && wait <= 60, last?.body)

      backend.behave()
      const deadline = Date.now() + 120_000
      for (;;) {
        const response = await call(slug('status 500'))
        if (response.answer?.result !== undefined) break
        assert.ok(Date.now() < deadline, `never recovered: ${response.body}`)
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
    })

    test('errors that a tool reports never count against its backend', async () => {
      good.on('tools/call', () => '{"content":[{"type":"text","text":"no"}],"isError":true}')
      for (let turn = 0; turn < 30; turn += 1) {
        const response = await call('fine')
        assert.equal(response.answer?.result?.['isError'], true, response.body)
      }
    })
  })
