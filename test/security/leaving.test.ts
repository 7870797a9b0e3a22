// Clients that leave in the middle: what they set in motion is in the audit trail, once, and nothing stays blocked behind them.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`

describe('a client that leaves', () => {
  let edge: TestEdge
  let backend: Recorder
  let token: string
  let url: string

  before(async () => {
    backend = await startRecorder({ tools: ['first', 'second', 'third', 'fourth'].map(tool) })
    const operational = { failureHandling: { circuitBreaker: { enabled: true, failureThreshold: 2, timeout: '1s' } } }
    const aggregation = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '' } }
    edge = await startEdge({
      resources: [
        entry('backend', backend.url),
        virtual('tools', ['backend'], { config: { aggregation, operational } }),
      ],
    })
    url = edge.endpoint('tools')
    await edge.lists(url, ['first'])
    token = await edge.token(url)
  })

  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  beforeEach(() => {
    backend.takeover = undefined
  })

  /** Sends a call and hangs up `afterMs` after the server has it. */
  async function leave(name: string, afterMs: number, accept: string): Promise<void> {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      progressToken: 'p',
    }
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: {}, _meta: meta },
    })
    const sent = request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept,
        authorization: `Bearer ${token}`,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': name,
      },
    })
    sent.on('error', () => undefined)
    const before = backend.calls('tools/call').length
    sent.end(body)
    for (const deadline = Date.now() + 30_000; backend.calls('tools/call').length === before; await sleep(5))
      assert.ok(Date.now() < deadline, 'the server never gets the call')
    await sleep(afterMs)
    sent.destroy()
  }

  const events = (name: string) =>
    edge.audit().filter((event) => (event['target'] as { name?: string } | undefined)?.name === name)

  async function once(name: string): Promise<void> {
    for (let turn = 0; turn < 300 && events(name).length === 0; turn += 1) await sleep(100)
    await sleep(500)
    assert.equal(events(name).length, 1, `${events(name).length} audit events of a call that the server executed`)
  }

  /** The server gets the call and takes `ms` to answer. */
  function answerAfter(ms: number, name: string): void {
    backend.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call' || message.params?.['name'] !== name) return false
      const answer = { jsonrpc: '2.0', id: message.id, result: { resultType: 'complete', content: [] } }
      setTimeout(() => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      }, ms)
      return true
    }
  }

  test('before the server answers is in the audit trail', async () => {
    answerAfter(1_500, 'first')
    await leave('first', 300, 'application/json')
    await once('first')
  })

  test('at once after its request is in the audit trail', async () => {
    answerAfter(300, 'second')
    await leave('second', 0, 'application/json, text/event-stream')
    await once('second')
  })

  test('in the middle of a stream is in the audit trail', async () => {
    backend.takeover = ({ message }, response) => {
      if (message?.params?.['name'] !== 'third') return false
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } }
      const timer = setInterval(() => response.write(`data: ${JSON.stringify(progress)}\n\n`), 100)
      response.on('close', () => clearInterval(timer))
      return true
    }
    await leave('third', 700, 'application/json, text/event-stream')
    await once('third')
  })

  test('during the one call that may try a server again does not keep the others out', async () => {
    const call = () => exchange(url, { method: 'tools/call', params: { name: 'fourth', arguments: {} }, token })
    const fail = (): void => {
      backend.takeover = ({ message }, response) => {
        if (message?.method !== 'tools/call') return false
        response.socket?.resetAndDestroy()
        return true
      }
    }
    for (const spoil of ['leaves', 'sends what cannot be forwarded'] as const) {
      fail()
      for (let turn = 0; turn < 3; turn += 1) await call()
      await sleep(1_200)
      if (spoil === 'leaves') {
        backend.takeover = ({ message }) => message?.method === 'tools/call'
        await leave('fourth', 200, 'application/json')
      } else {
        const params = '{"name":"fourth","arguments":{},"x":1,"x":2}'
        await exchange(url, { method: 'tools/call', params, token })
      }
      backend.takeover = undefined
      let last = await call()
      for (let turn = 0; turn < 60 && last.answer?.result === undefined; turn += 1) {
        await sleep(500)
        last = await call()
      }
      assert.ok(last.answer?.result, `${spoil}: ${last.body}`)
    }
  })
})
