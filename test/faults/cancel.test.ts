// A caller that gives up is heard by the backend, in the way the backend's era says so.

import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession, send } from '../peers/wire.ts'

describe('cancellation', () => {
  let edge: TestEdge
  const backends: Partial<Record<'modern' | 'legacy', Recorder>> = {}
  const held: ServerResponse[] = []

  before(async () => {
    backends.modern = await startRecorder({ era: 'modern' })
    backends.legacy = await startRecorder({ era: 'legacy' })
    edge = await startEdge({
      resources: [
        entry('modern', backends.modern.url),
        entry('legacy', backends.legacy.url),
        virtual('modern', ['modern']),
        virtual('legacy', ['legacy']),
      ],
    })
    for (const era of ['modern', 'legacy'] as const) await edge.lists(edge.endpoint(era), ['echo'])
  })
  afterEach(() => {
    for (const response of held.splice(0)) response.destroy()
    for (const backend of Object.values(backends)) backend.takeover = undefined
  })
  after(async () => {
    await edge?.close()
    await Promise.all(Object.values(backends).map((backend) => backend.close()))
  })

  /** Lets calls of a backend begin a stream with one progress step and never end. */
  function hold(era: 'modern' | 'legacy'): { closed: () => boolean } {
    const backend = backends[era]
    assert.ok(backend)
    let closed = false
    backend.received.length = 0
    backend.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      held.push(response)
      response.on('close', () => {
        closed = true
      })
      const token = (message.params?.['_meta'] as Record<string, unknown> | undefined)?.['progressToken']
      const params = { progressToken: token, progress: 1 }
      const step = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${step}\n\n`)
      return true
    }
    return { closed: () => closed }
  }

  async function until(met: () => boolean, patienceMs = 60_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!met()) {
      assert.ok(Date.now() < deadline, `not met within ${patienceMs} ms`)
      await sleep(50)
    }
  }

  test('a modern caller that closes its stream closes the stream of a modern backend, and is audited', async () => {
    const backend = hold('modern')
    const endpoint = edge.endpoint('modern')
    const controller = new AbortController()
    const before = await edge.settled()
    const { signal } = controller
    const token = await edge.token(endpoint)
    const params = { name: 'echo', arguments: {} }
    const response = await send(endpoint, { method: 'tools/call', token, params, progressToken: 'mine', signal })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (let done = false; !done && !text.includes('"progressToken":"mine"');) {
      const next = await reader?.read()
      text += next?.value ?? ''
      done = next?.done !== false
    }
    assert.match(text, /"progressToken":"mine"/)
    controller.abort()
    // workerd notices that a client has gone when it next writes to it: at the latest with a keep-alive.
    await until(backend.closed)
    await until(() => edge.audit().length > before)
    assert.equal(await edge.settled(), before + 1)
  })

  test('a legacy caller that cancels is heard by a legacy backend, under the id that the backend knows', async () => {
    hold('legacy')
    const backend = backends.legacy
    assert.ok(backend)
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint)
    const session = await openSession(endpoint, token)
    const ask = { token, session, era: 'legacy' } as const
    const params = { name: 'echo', arguments: {}, _meta: { progressToken: 7 } }
    const pending = exchange(endpoint, { ...ask, method: 'tools/call', params, id: 'call-1', timeoutMs: 60_000 })
    pending.catch(() => undefined)
    await until(() => backend.calls('tools/call').length === 1)
    await exchange(endpoint, {
      ...ask,
      method: 'notifications/cancelled',
      params: { requestId: 'call-1', reason: 'enough' },
      notify: true,
    })
    await until(() => backend.calls('notifications/cancelled').length === 1)
    const [called] = backend.calls('tools/call')
    const [cancelled] = backend.calls('notifications/cancelled')
    assert.equal(cancelled?.message?.params?.['requestId'], called?.message?.id)
    assert.equal(cancelled?.headers['mcp-session-id'], called?.headers['mcp-session-id'])
  })

  test('a session cannot cancel the call of another', async () => {
    hold('legacy')
    const backend = backends.legacy
    assert.ok(backend)
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint)
    const [mine, other] = [await openSession(endpoint, token), await openSession(endpoint, token)]
    const ask = { token, era: 'legacy' } as const
    const params = { name: 'echo', arguments: {} }
    const pending = exchange(endpoint, {
      ...ask,
      session: mine,
      method: 'tools/call',
      params,
      id: 5,
      timeoutMs: 60_000,
    })
    pending.catch(() => undefined)
    await until(() => backend.calls('tools/call').length === 1)
    const cancel = { ...ask, method: 'notifications/cancelled', params: { requestId: 5 }, notify: true }
    await exchange(endpoint, { ...cancel, session: other })
    await sleep(500)
    assert.equal(backend.calls('notifications/cancelled').length, 0)
    await exchange(endpoint, { ...cancel, session: mine })
    await until(() => backend.calls('notifications/cancelled').length === 1)
  })
})
