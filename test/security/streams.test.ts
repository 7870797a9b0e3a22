// Streams to listen on when one side means no good: a client cannot make the edge hold what it sends, a server cannot make it
// read without end.

import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCaller } from '../asks/wire.ts'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import { listen, subscribe } from '../streams/listener.ts'

describe('streams to listen on', () => {
  let edge: TestEdge
  let server: Recorder
  const held = new Set<ServerResponse>()

  before(async () => {
    server = await startRecorder({ era: 'legacy', tools: ['{"name":"use","inputSchema":{"type":"object"}}'] })
    edge = await startEdge({ resources: [entry('server', server.url), virtual('loud', ['server'])] })
    await edge.lists(edge.endpoint('loud'), ['use'])
  })
  afterEach(() => {
    server.takeover = undefined
    for (const response of held) response.destroy()
    held.clear()
  })
  after(async () => {
    await edge?.close()
    await server.close()
  })

  test('are not opened for ids and filters that would have to be held as long as they last', async () => {
    const url = edge.endpoint('loud')
    const token = await edge.token(url)
    const params = { notifications: {} }
    const long = await exchange(url, { method: 'subscriptions/listen', params, token, id: 'x'.repeat(1 << 20) })
    assert.equal(long.answer?.error?.code, -32600)
    const uris = Array.from({ length: 100 }, (_, at) => `note://${at}/${'x'.repeat(8_000)}`)
    const many = await exchange(url, {
      method: 'subscriptions/listen',
      params: { notifications: { resourceSubscriptions: uris } },
      token,
    })
    assert.equal(many.answer?.error?.code, -32602)
    const fine = await subscribe(url, token, { toolsListChanged: true, ballast: 'x'.repeat(1 << 20) })
    await fine.until(({ method }) => method === 'notifications/subscriptions/acknowledged')
    assert.deepEqual(fine.messages()[0]?.params?.['notifications'], { toolsListChanged: true })
    fine.leave()
  })

  test('take from a server that talks without end no more than anybody could read', async () => {
    const url = edge.endpoint('loud')
    const token = await edge.token(url)
    const opened = Promise.withResolvers<ServerResponse>()
    server.takeover = ({ httpMethod }, response) => {
      if (httpMethod !== 'GET') return false
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      held.add(response)
      opened.resolve(response)
      return true
    }
    const caller = await openCaller(url, token)
    await (await caller.call('use')).rest()
    const heard = await listen(url, token, caller.session)
    const stream = await opened.promise
    const params = `"params":{"level":"error","data":"${'x'.repeat(50_000)}"}`
    const line = `data: {"jsonrpc":"2.0","method":"notifications/message",${params}}\n\n`
    let taken = 0
    const write = () => {
      while (stream.write(line)) taken += line.length
    }
    stream.on('drain', write)
    write()
    await sleep(4_000)
    stream.off('drain', write)
    const started = Date.now()
    const other = await exchange(url, { method: 'tools/list', token })
    assert.equal(other.status, 200)
    assert.ok(Date.now() - started < 5_000)
    assert.ok(taken < 24 << 20, `${taken} bytes in 4 s`)
    assert.ok(heard.messages().length > 10)
    heard.leave()
  })
})
