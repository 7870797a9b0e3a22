// What servers ask when one side means no good: nobody is kept waiting by an answer that is not taken, nobody pays without
// bound for questions that are not asked, and no call is made twice because a server says so.

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
import { listen } from '../streams/listener.ts'

const form =
  '"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}'

describe('a server that asks', () => {
  let edge: TestEdge
  let server: Recorder
  const held = new Set<ServerResponse>()

  before(async () => {
    server = await startRecorder({ era: 'legacy', tools: ['{"name":"ask","inputSchema":{"type":"object"}}'] })
    const annotations = { 'waggle.dev/call-timeout': '3s' }
    edge = await startEdge({
      resources: [entry('server', server.url), virtual('asker', ['server'], {}, annotations)],
    })
    await edge.lists(edge.endpoint('asker'), ['ask'])
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

  const hold = (response: ServerResponse) => {
    held.add(response)
    response.once('close', () => held.delete(response))
  }

  async function caller(sub = 'alice') {
    const url = edge.endpoint('asker')
    const token = await edge.token(url, { sub })
    return { url, token, ...(await openCaller(url, token)) }
  }

  const isAnswer = (body: string) => body !== '' && !('method' in (JSON.parse(body) as object))

  /** Calls get a stream on which the server says this, and nobody ever takes what it is answered. */
  function deaf(...messages: string[]): { taken: () => number; waiting: () => number } {
    let taken = 0
    let waiting = 0
    server.takeover = ({ message, body }, response) => {
      if (isAnswer(body)) {
        taken += 1
        waiting += 1
        response.once('close', () => (waiting -= 1))
        hold(response)
        return true
      }
      if (message?.method !== 'tools/call') return false
      hold(response)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const one of messages) response.write(`data: {"jsonrpc":"2.0",${one}}\n\n`)
      return true
    }
    return { taken: () => taken, waiting: () => waiting }
  }

  for (const accept of ['application/json', 'application/json, text/event-stream']) {
    test(`and does not take the refusal cannot hold a call beyond its deadline (${accept})`, async () => {
      const { taken } = deaf('"id":1,"method":"tools/list"')
      const one = await caller()
      const started = Date.now()
      const calling = await one.call('ask', { accept })
      const [answer] = (await calling.rest()).slice(-1)
      assert.equal((answer?.error?.data as { reason?: string } | undefined)?.reason, 'backend_timeout')
      assert.ok(Date.now() - started < 20_000)
      assert.equal(taken(), 1)
    })
  }

  test('and does not take the answer keeps neither the client nor a connection', async () => {
    const { taken, waiting } = deaf(`"id":1,${form}`)
    const one = await caller()
    const calling = await one.call('ask')
    const asked = await calling.next()
    const started = Date.now()
    assert.equal(await one.result(asked?.message.id), 202)
    assert.ok(Date.now() - started < 30_000, `${Date.now() - started} ms`)
    assert.equal(taken(), 1)
    for (let wait = 0; wait < 600 && waiting() > 0; wait += 1) await sleep(50)
    assert.equal(waiting(), 0, 'nothing stays open at the server')
    calling.leave()
  })

  test('on its own stream by the hundred is not answered by the hundred at once, nor does its client get to read that', async () => {
    const one = await caller()
    const opened = Promise.withResolvers<ServerResponse>()
    let answering = 0
    let most = 0
    server.takeover = ({ httpMethod, body }, response) => {
      if (httpMethod === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
        hold(response)
        opened.resolve(response)
        return true
      }
      if (!isAnswer(body)) return false
      answering += 1
      most = Math.max(most, answering)
      setTimeout(() => {
        answering -= 1
        response.writeHead(202).end()
      }, 500)
      return true
    }
    await (await one.call('ask')).rest()
    const heard = await listen(one.url, one.token, one.session)
    const stream = await opened.promise
    const ping = (id: number) => `data: {"jsonrpc":"2.0","id":${id},"method":"ping"}\n\n`
    const question = (id: number) => `data: {"jsonrpc":"2.0","id":${id},${form}}\n\n`
    const flood = (text: (id: number) => string) => Array.from({ length: 150 }, (_, id) => text(id)).join('')
    stream.write(flood(ping))
    const begun = (): boolean => most > 0
    for (let wait = 0; wait < 600 && !begun(); wait += 1) await sleep(50)
    await sleep(1_500)
    assert.ok(most > 0 && most <= 32, `${most} at once`)
    stream.write(flood(question))
    const asked = (): number => heard.messages().filter(({ method }) => method === 'elicitation/create').length
    for (let wait = 0; wait < 600 && asked() === 0; wait += 1) await sleep(50)
    await sleep(1_500)
    assert.ok(asked() > 0 && asked() <= 32, `${asked()} questions`)
    assert.ok(most <= 32, `${most} at once`)
    heard.leave()
  })

  test('for another era in an answer like any other is not called a second time', async () => {
    const one = await caller()
    server.received.length = 0
    server.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(`{"jsonrpc":"2.0","id":"call","error":{"code":-32020,"message":"Quota exceeded"}}`)
      return true
    }
    await (await one.call('ask')).rest()
    assert.equal(server.calls('tools/call').length, 1)
  })
})
