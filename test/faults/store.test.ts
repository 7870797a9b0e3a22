// When the store goes away, what is already known keeps serving, what must be written says so with when to come back, and
// everything recovers by itself. Two edges on one store agree on policy and revocation within five seconds.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import type { Issuer } from '../issuer.ts'
import { entry, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'
import { startRedis } from '../redis.ts'
import { startUpstash } from '../upstash.ts'

/** Five seconds, of which a machine that does other things meanwhile may make three times as much. */
const propagationMs = 3 * 5_000

describe('a store that several edges share', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let upstash: Awaited<ReturnType<typeof startUpstash>>
  let issuer: Issuer
  let backend: Recorder
  let one: TestEdge
  let two: TestEdge

  before(async () => {
    redis = await startRedis()
    upstash = await startUpstash(redis.port)
    issuer = await startIssuer()
    backend = await startRecorder({
      tools: ['echo', 'secret'].map((name) => `{"name":"${name}","inputSchema":{"type":"object"}}`),
    })
    const key = `k1:${randomBytes(32).toString('base64url')}`
    const options = { issuer, store: upstash, vars: { SEALING_KEYS: key, VAULT_KEYS: key } }
    one = await startEdge({ ...options, resources: [entry('backend', backend.url), virtual('shared', ['backend'])] })
    two = await startEdge(options)
    await one.lists(one.endpoint('shared'), ['echo', 'secret'])
    await two.lists(two.endpoint('shared'), ['echo', 'secret'])
  })
  after(async () => {
    await Promise.all([one?.close(), two?.close()])
    await Promise.all([issuer?.close(), backend?.close(), upstash?.close()])
    await redis?.close()
  })

  async function list(edge: TestEdge, subject = 'ada'): Promise<Exchange> {
    const endpoint = edge.endpoint('shared')
    return exchange(endpoint, { method: 'tools/list', token: await edge.token(endpoint, { sub: subject }) })
  }

  /** Milliseconds until `met`; fails after `propagationMs`. */
  async function within(met: () => Promise<boolean>): Promise<number> {
    const started = Date.now()
    while (!(await met())) {
      assert.ok(Date.now() - started < propagationMs, `not met within ${propagationMs} ms`)
      await sleep(100)
    }
    const took = Date.now() - started
    console.log(`the edges agree after ${took} ms`)
    return took
  }

  test('a policy applied at one edge hides a tool at the other within five seconds', async () => {
    await one.apply([policy('hide', 'shared', [{ tools: ['secret'], groups: ['trusted'] }])])
    assert.deepEqual(toolNames(await list(one)), ['echo'])
    await within(async () => !toolNames(await list(two)).includes('secret'))
    const endpoint = two.endpoint('shared')
    const hidden = await exchange(endpoint, {
      method: 'tools/call',
      params: { name: 'secret', arguments: {} },
      token: await two.token(endpoint),
    })
    assert.ok(hidden.answer?.error)
    assert.equal(backend.calls('tools/call').length, 0)
    const response = await one.admin('DELETE', '/admin/v1/resources/ToolPolicy/test/hide')
    assert.ok(response.ok)
    await within(async () => toolNames(await list(two)).includes('secret'))
  })

  test('a revocation at one edge ends a subject at the other within five seconds, and nobody else', async () => {
    assert.equal((await list(two, 'eve')).status, 200)
    const response = await one.admin('POST', '/admin/v1/revocations', {
      issuer: issuer.url,
      subject: 'eve',
      seconds: 600,
    })
    assert.ok(response.ok, await response.text())
    await within(async () => (await list(one, 'eve')).status === 401)
    await within(async () => (await list(two, 'eve')).status === 401)
    assert.equal((await list(two, 'ada')).status, 200)
  })

  test('a legacy session opened at one edge is served by the other', async () => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
    const opened = await exchange(one.endpoint('shared'), {
      method: 'initialize',
      era: 'legacy',
      params,
      token: await one.token(one.endpoint('shared')),
    })
    const session = opened.headers.get('mcp-session-id') ?? undefined
    assert.ok(session)
    const endpoint = two.endpoint('shared')
    const token = await two.token(endpoint)
    const listed = await exchange(endpoint, { method: 'tools/list', era: 'legacy', token, session })
    assert.deepEqual(toolNames(listed).toSorted(), ['echo', 'secret'])
  })

  test('with the store away calls and lists go on, changes are refused with when to retry; then all recovers', async () => {
    const { port } = new URL(upstash.url)
    await upstash.close()
    // Past every time for which an isolate trusts what it has read.
    await sleep(3_000)
    for (const edge of [one, two]) {
      const listed = await list(edge)
      assert.deepEqual(toolNames(listed).toSorted(), ['echo', 'secret'], listed.body)
      const endpoint = edge.endpoint('shared')
      const token = await edge.token(endpoint)
      const called = await exchange(endpoint, { method: 'tools/call', params: { name: 'echo', arguments: {} }, token })
      assert.ok(called.answer?.result, called.body)
    }
    const begun = Date.now()
    const refused = await one.admin('PUT', '/admin/v1/resources', { resources: [virtual('late', ['backend'])] })
    assert.equal(refused.status, 503)
    assert.ok(refused.headers.get('retry-after'))
    assert.ok(Date.now() - begun < 20_000)

    upstash = await startUpstash(redis.port, { port: Number(port) })
    await one.apply([virtual('late', ['backend'])])
    await one.lists(one.endpoint('late'), ['echo'])
    await two.lists(two.endpoint('late'), ['echo'])
  })
})
