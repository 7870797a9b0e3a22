// Calls from a client through a real edge and a real uplink to a server that stands for a proxy, and back.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { HttpDoors } from '../../agent/uplink/door.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import type { Offer } from '../../agent/uplink/snapshot.ts'
import type { Published } from '../../plan/trim.ts'
import { Uplink } from '../../agent/uplink/uplink.ts'
import { readResource } from '../../crds/cluster.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, virtual } from '../peers/manifests.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange, send, type Exchange } from '../peers/wire.ts'
import { catalogOf } from './published.ts'
import { join } from './scripted-uplink.ts'
import { unwatched } from './watch.ts'

describe('a linked cluster', () => {
  let edge: TestEdge
  let proxy: Recorder
  let uplink: Uplink
  let end: () => Promise<void>
  let endpoint: string
  const doors = new HttpDoors()
  let url = ''
  let linked = 0

  before(async () => {
    edge = await startEdge({ resources: [virtual('tools', ['server'])] })
    proxy = await startRecorder()
    url = proxy.url
    const identity = await join(edge, 'alpha')
    const reading = readResource(manifest('MCPServer', 'server', { image: 'x', transport: 'streamable-http' }))
    assert.ok(reading.ok)
    const offer: Offer = { resource: reading.resource as Published, uid: 'uid', catalog: catalogOf('echo') }
    uplink = new Uplink({
      fleet: { offers: () => [offer], door: ({ name }) => (name === 'server' ? doors.door(url) : undefined) },
      sessions: new Sessions({ edge: edge.url, cluster: 'alpha', replica: 'pod', fetch, now: Date.now }, identity),
      replica: 'pod',
      version: '0.1.0',
      ca: undefined,
      watch: { ...unwatched, linked: () => void (linked += 1) },
    })
    const stop = new AbortController()
    uplink.lead(true)
    const running = uplink.run(stop.signal, 500)
    end = async () => {
      stop.abort()
      await running
    }
    endpoint = edge.endpoint('tools')
    await edge.lists(endpoint, ['echo'])
  })
  after(async () => {
    await end?.()
    await doors.close()
    await proxy?.close()
    await edge?.close()
  })

  async function call(args: object = {}): Promise<Exchange> {
    const token = await edge.token(endpoint, { sub: 'ada' })
    return exchange(endpoint, { method: 'tools/call', token, params: { name: 'echo', arguments: args } })
  }

  test('carries a call as its caller, with the id that the audit trail has', async () => {
    const { answer } = await call({ text: 'hello' })
    assert.deepEqual(answer?.result?.['content'], [{ type: 'text', text: '{"text":"hello"}' }])
    const [seen] = proxy.calls('tools/call')
    assert.ok(seen !== undefined)
    const claims = decodeJwt(String(seen.headers['waggle-assertion']))
    assert.deepEqual([claims.iss, claims.aud], ['edge', 'alpha/test/MCPServer/server'])
    assert.equal((claims['sub_id'] as { sub: string }).sub, 'ada')
    assert.equal(seen.headers['authorization'], undefined)
    const id = String(seen.headers['waggle-request-id'])
    assert.equal((await edge.audited((event) => event.audit_id === id)).outcome, 'success')
  })

  test('what precedes an answer arrives before it', async () => {
    const finish = Promise.withResolvers<void>()
    proxy.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: ${JSON.stringify(progress)}\n\n`)
      void finish.promise.then(() => {
        const result = { content: [], resultType: 'complete' }
        return response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n\n`)
      })
      return true
    }
    const token = await edge.token(endpoint)
    const params = { name: 'echo', arguments: {} }
    const response = await send(endpoint, { method: 'tools/call', token, params, progressToken: 1 })
    assert.equal(response.status, 200, response.status === 200 ? '' : await response.text())
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (!text.includes('notifications/progress')) text += (await reader?.read())?.value ?? ''
    assert.equal(text.includes('"result"'), false)
    finish.resolve()
    while (!text.includes('"result"')) text += (await reader?.read())?.value ?? ''
    await reader?.cancel()
    proxy.takeover = undefined
  })

  test('a call that its caller gives up ends at the proxy', async () => {
    const arrived = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    proxy.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      response.on('close', () => gone.resolve())
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': begun\n\n')
      arrived.resolve()
      return true
    }
    const token = await edge.token(endpoint)
    const leave = new AbortController()
    const asked = { method: 'tools/call', token, params: { name: 'echo', arguments: {} }, signal: leave.signal }
    const asking = exchange(endpoint, asked).catch(() => undefined)
    await arrived.promise
    leave.abort()
    await asking
    const late = sleep(30_000, undefined, { ref: false }).then(() => assert.fail('the proxy still works on it'))
    await Promise.race([gone.promise, late])
    proxy.takeover = undefined
  })

  test('a result of 20 MB comes through whole', async () => {
    const text = 'x'.repeat(20 * 1024 * 1024)
    proxy.on('tools/call', () => JSON.stringify({ content: [{ type: 'text', text }] }))
    const { answer } = await call()
    const content = answer?.result?.['content'] as { text: string }[] | undefined
    assert.equal(content?.[0]?.text.length, text.length)
    proxy.on('tools/call', () => '{"content":[]}')
  })

  test('a proxy that is away is told apart, at once, and the call after its return works', async () => {
    url = 'http://127.0.0.1:9/mcp'
    const startedAt = performance.now()
    const { answer } = await call()
    const took = performance.now() - startedAt
    console.log(`a proxy that is away is told after ${Math.round(took)} ms`)
    assert.ok(took < 15_000, `${took} ms`)
    assert.equal(answer?.error?.code, 1502, JSON.stringify(answer))
    assert.deepEqual((answer.error.data as { cluster?: string }).cluster, 'alpha')
    url = proxy.url
    assert.ok((await call()).answer?.result !== undefined)
  })

  test('a cluster that is revoked loses its link and its servers at once', async () => {
    assert.ok((await edge.admin('POST', '/admin/v1/clusters/alpha/revoke')).ok)
    for (const until = performance.now() + 30_000; uplink.links > 0; await sleep(50))
      assert.ok(performance.now() < until)
    const { answer } = await call()
    assert.equal(answer?.result, undefined)
    assert.ok(linked >= 1)
  })
})
