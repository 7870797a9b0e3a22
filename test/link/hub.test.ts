// Calls over the hub of a cluster on real workerd, with an uplink that the test plays.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Identity } from '../../agent/uplink/identity.ts'
import type { HubStatus } from '../../edge/hub/status.ts'
import { ACK_MS, WINDOW } from '../../protocol/link.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { virtual } from '../peers/manifests.ts'
import { exchange, send, type Exchange } from '../peers/wire.ts'
import { catalogOf, serverOf } from './published.ts'
import { join, ScriptedUplink } from './scripted-uplink.ts'

const SSE = { 'content-type': 'text/event-stream' }

describe('calls over a hub', () => {
  let edge: TestEdge
  let identity: Identity
  let uplink: ScriptedUplink
  let endpoint: string
  let token: string

  before(async () => {
    edge = await startEdge({ resources: [virtual('tools', ['echo'])] })
    identity = await join(edge, 'alpha')
    uplink = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'one' })
    const published = [{ manifest: serverOf('echo'), catalog: catalogOf('say') }]
    assert.deepEqual((await uplink.publish(await uplink.leads(), 1, published)).dropped, [])
    endpoint = edge.endpoint('tools')
    token = await edge.token(endpoint)
    await edge.lists(endpoint, ['say'])
  })
  after(async () => {
    uplink?.close()
    await edge?.close()
  })

  const say = (text = 'hello', headers: Record<string, string> = {}): Promise<Exchange> =>
    exchange(endpoint, { method: 'tools/call', token, headers, params: { name: 'say', arguments: { text } } })

  /** The call that `asking` leads to, and what is asked in it; it is acknowledged, as its answer may take a while. */
  async function arrival(asking: Promise<unknown>, from: number, at = uplink, isAcknowledged = true) {
    asking.catch(() => undefined)
    const arrived = await at.arrived(from)
    if (isAcknowledged) at.send({ kind: 'ack', call: arrived.call })
    const message = JSON.parse(arrived.body) as { id: unknown; params: { arguments: { text: string } } }
    return { ...arrived, message }
  }

  const result = (id: unknown, text: string) => ({
    jsonrpc: '2.0',
    id,
    result: { content: [{ type: 'text', text }], resultType: 'complete' },
  })
  const textOf = ({ answer }: Exchange) => (answer?.result?.['content'] as { text: string }[] | undefined)?.[0]?.text
  const event = (message: unknown) => `data: ${JSON.stringify(message)}\n\n`

  async function oneCall(at = uplink): Promise<void> {
    const from = at.received.length
    const asking = say()
    const { call, message } = await arrival(asking, from, at)
    at.reply(call, result(message.id, 'done'))
    assert.equal(textOf(await asking), 'done')
  }

  const statusOf = async () => {
    const response = await edge.admin('GET', '/admin/v1/status?cluster=alpha')
    const { clusters } = (await response.json()) as { clusters: { hub: HubStatus }[] }
    assert.ok(clusters[0])
    return clusters[0].hub
  }

  /** Waits until the hub knows of its links what they did. */
  async function linked(holds: (links: HubStatus['connections']) => boolean): Promise<void> {
    for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
      const { connections } = await statusOf()
      if (holds(connections)) return
      assert.ok(Date.now() < deadline, JSON.stringify(connections))
    }
  }

  test('a call reaches the proxy that it is for, with what concerns it and nothing else', async () => {
    const from = uplink.received.length
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const asking = say('hello', { traceparent: `00-${trace}-b7ad6b7169203331-01` })
    const { call, target, headers, message } = await arrival(asking, from)
    assert.match(headers['traceparent'] ?? '', new RegExp(`^00-${trace}-`, 'u'))
    assert.deepEqual(target, { kind: 'MCPServer', namespace: 'test', name: 'echo' })
    assert.deepEqual(message.params.arguments, { text: 'hello' })
    assert.equal(headers['mcp-method'], 'tools/call')
    assert.ok(headers['waggle-assertion'])
    assert.equal(headers['authorization'], undefined)
    assert.equal(headers['waggle-cluster'], undefined)
    uplink.reply(call, result(message.id, 'hi'))
    assert.equal(textOf(await asking), 'hi')
  })

  test('a caller cannot speak for others by an assertion, not even one that this edge has signed', async () => {
    const signed = uplink.received.findLast(({ frame }) => frame.kind === 'open')?.frame
    assert.ok(signed?.kind === 'open')
    for (const assertion of ['forged', signed.headers['waggle-assertion'] ?? '']) {
      const from = uplink.received.length
      const headers = { 'waggle-assertion': assertion }
      const { status, answer } = await exchange(endpoint, { method: 'tools/call', headers, params: { name: 'say' } })
      assert.deepEqual([status, answer?.result], [401, undefined])
      assert.equal((await say('hello', headers)).answer?.result, undefined, 'nor beside a token')
      assert.equal(uplink.received.length, from)
    }
  })

  test('large bodies travel both ways in pieces', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024)
    const from = uplink.received.length
    const asking = say(large)
    const { frame, payload, at } = await uplink.until('open', undefined, from)
    const { call } = frame
    uplink.send({ kind: 'ack', call })
    const pieces = [payload]
    for (let last = frame.last, after = at + 1; !last;) {
      const next = await uplink.until('data', (data) => data.call === call, after)
      pieces.push(next.payload)
      last = next.frame.last
      after = next.at + 1
      if (!last) uplink.send({ kind: 'credit', call, bytes: next.payload.length })
    }
    const message = JSON.parse(Buffer.concat(pieces).toString()) as { id: unknown; params: { arguments: unknown } }
    assert.deepEqual(message.params.arguments, { text: large })
    const text = Buffer.from(JSON.stringify(result(message.id, large)))
    uplink.send({ kind: 'head', call, status: 200, headers: { 'content-type': 'application/json' }, last: false })
    let credit = WINDOW
    let seen = uplink.received.length
    for (let sent = 0; sent < text.length;) {
      const piece = text.subarray(sent, sent + Math.min(credit, 128 * 1024))
      if (piece.length === 0) {
        const more = await uplink.until('credit', (one) => one.call === call, seen)
        seen = more.at + 1
        credit += more.frame.bytes
        continue
      }
      sent += piece.length
      credit -= piece.length
      uplink.send({ kind: 'data', call, last: sent === text.length }, piece)
    }
    assert.equal(textOf(await asking), large)
  })

  /** Begins a call whose answer is a stream, as a client that reads it by itself. */
  async function streaming(controller: AbortController) {
    const from = uplink.received.length
    const params = { name: 'say', arguments: { text: 'slow' } }
    const { signal } = controller
    const asking = send(endpoint, { method: 'tools/call', token, params, progressToken: 'mine', signal })
    const { call, body } = await arrival(asking, from)
    const { id, params: sent } = JSON.parse(body) as { id: unknown; params: { _meta: { progressToken: unknown } } }
    const { progressToken } = sent._meta
    const step = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } }
    uplink.send({ kind: 'head', call, status: 200, headers: SSE, last: false }, event(step))
    return { response: await asking, call, id }
  }

  test('messages of a stream arrive as they are sent', async () => {
    const { response, call, id } = await streaming(new AbortController())
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    assert.ok(reader)
    let text = ''
    while (!text.includes('notifications/progress')) text += (await reader.read()).value ?? ''
    uplink.send({ kind: 'data', call, last: true }, event(result(id, 'at last')))
    for (let done = false; !done;) {
      const next = await reader.read()
      text += next.value ?? ''
      ;({ done } = next)
    }
    assert.match(text, /at last/u)
  })

  test('a caller that leaves a stream cancels its call at the uplink', async () => {
    const controller = new AbortController()
    const from = uplink.received.length
    const { response, call } = await streaming(controller)
    const reader = response.body?.getReader()
    await reader?.read()
    controller.abort()
    await uplink.until('cancel', (frame) => frame.call === call, from)
  })

  test('a stream that breaks off fails its call, and says which server and cluster it was', async () => {
    const { response, call } = await streaming(new AbortController())
    uplink.send({ kind: 'fault', call, reason: 'lost', message: 'the proxy went away', unsent: false })
    const text = await response.text()
    assert.match(text, /notifications\/progress/u)
    assert.match(text, /"error"/u)
    assert.match(text, /test\/echo/u)
  })

  for (const [reason, code] of [
    ['unreachable', 1502],
    ['timeout', 1504],
    ['unknown_target', 1502],
    ['overloaded', 1529],
    ['refused', 1521],
    ['protocol', 1520],
  ] as const) {
    test(`what an uplink says went wrong, ${reason}, is a typed error of the server in its cluster`, async () => {
      const from = uplink.received.length
      const asking = say()
      const { call } = await arrival(asking, from)
      uplink.send({ kind: 'fault', call, reason, message: 'because', unsent: false })
      const { answer } = await asking
      assert.equal(answer?.error?.code, code)
      assert.equal(answer.error.data?.['server'], 'test/echo')
      assert.equal(answer.error.data['cluster'], 'alpha')
      assert.doesNotMatch(JSON.stringify(answer), /because/u)
    })
  }

  test('a proxy that answers with the status of a fault is not taken for one', async () => {
    const from = uplink.received.length
    const asking = say()
    const { call } = await arrival(asking, from)
    const headers = { 'content-type': 'application/json', 'waggle-link-fault': '1' }
    const fault = JSON.stringify({ reason: 'unreachable', message: 'mine', unsent: true })
    uplink.send({ kind: 'head', call, status: 599, headers, last: true }, fault)
    const { answer } = await asking
    assert.match(answer?.error?.message ?? '', /answers HTTP 599/u)
  })

  test('a call that nobody acknowledges fails within moments, and one that was acknowledged may take longer', async () => {
    const from = uplink.received.length
    const silent = say()
    await arrival(silent, from, uplink, false)
    const started = Date.now()
    const { answer } = await silent
    const took = Date.now() - started
    console.log(`a call that nobody acknowledges fails after ${took} ms`)
    assert.equal(answer?.error?.code, 1502)
    assert.ok(took < 3 * ACK_MS, 'within the time for acknowledgements')
    const later = uplink.received.length
    const slow = say()
    const { call, message } = await arrival(slow, later)
    await sleep(ACK_MS + 500)
    uplink.reply(call, result(message.id, 'late'))
    assert.equal(textOf(await slow), 'late')
  })

  test('a link that breaks fails its calls at once, and the next link takes new ones', async () => {
    const from = uplink.received.length
    const asking = say()
    await arrival(asking, from)
    const started = Date.now()
    uplink.close()
    const { answer } = await asking
    const took = Date.now() - started
    console.log(`calls of a link that breaks fail after ${took} ms`)
    assert.ok(took < 15_000, `${took} ms`)
    assert.equal(answer?.error?.code, 1502)
    assert.equal(answer.error.data?.['retryAfterSeconds'], 5)
    const { answer: none } = await say()
    assert.match(none?.error?.message ?? '', /not connected/u)
    uplink = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'one' })
    await oneCall()
    await linked(({ length }) => length === 1)
  })

  test('calls spread over the links of replicas, and leave a link that is about to end', async () => {
    const other = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'two', isLeader: false })
    const counts = { one: uplink.received.length, two: other.received.length }
    const first = say()
    const second = say()
    const at = await Promise.all([arrival(first, counts.one, uplink), arrival(second, counts.two, other)])
    uplink.reply(at[0].call, result(at[0].message.id, 'by one'))
    other.reply(at[1].call, result(at[1].message.id, 'by two'))
    assert.deepEqual(new Set([textOf(await first), textOf(await second)]), new Set(['by one', 'by two']))
    other.send({ kind: 'goaway' })
    await linked((links) => links.some(({ replica, isDraining }) => replica === 'two' && isDraining))
    await oneCall()
    await oneCall()
    other.close()
  })

  test('uplinks that are asked for another link keep the one that they have until they have it', async () => {
    const from = uplink.received.length
    assert.equal((await edge.admin('POST', '/admin/v1/clusters/alpha/drain')).status, 200)
    await uplink.until('goaway', undefined, from)
    await oneCall()
    const before = uplink.received.length
    const asking = say()
    const { call, message } = await arrival(asking, before)
    const next = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'one' })
    await oneCall(next)
    await oneCall(next)
    uplink.reply(call, result(message.id, 'by the old one'))
    assert.equal(textOf(await asking), 'by the old one')
    uplink.close()
    uplink = next
  })

  test('a replica that comes again unasked has lost its link: what was called on that fails at once', async () => {
    const from = uplink.received.length
    const asking = say()
    const { call } = await arrival(asking, from)
    uplink.send({ kind: 'ack', call })
    uplink.fallSilent()
    const next = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'one' })
    const began = Date.now()
    assert.equal((await asking).answer?.error?.code, 1502)
    assert.ok(Date.now() - began < 2_000, `${Date.now() - began} ms`)
    await oneCall(next)
    uplink.close()
    uplink = next
  })

  test('a link whose frames make no sense is closed with the reason', async () => {
    for (const nonsense of ['hello', Buffer.from('{"kind":"head"}\n')]) {
      const other = await ScriptedUplink.connect(edge, 'alpha', identity, { replica: 'three', isLeader: false })
      other.sendRaw(nonsense)
      const { code, reason } = await other.ended()
      assert.equal(code, 4400)
      assert.notEqual(reason, '')
    }
  })

  test('an uplink that speaks no version of the link that the edge speaks is told which there are', async () => {
    const options = { replica: 'old', protocols: ['waggle.link.v99'], isLeader: false, pingMs: 0 }
    const stranger = await ScriptedUplink.connect(edge, 'alpha', identity, options)
    assert.deepEqual(await stranger.ended(), { code: 4406, reason: 'this edge speaks waggle.link.v1' })
    const { refused } = await statusOf()
    assert.deepEqual([refused?.replica, refused?.reason], ['old', 'this edge speaks waggle.link.v1'])
    const { outcome } = await edge.audited(({ target }) => (target as { method?: string }).method === 'link.refused')
    assert.equal(outcome, 'denied')
    const newer = await ScriptedUplink.connect(edge, 'alpha', identity, {
      replica: 'new',
      protocols: ['waggle.link.v2', 'waggle.link.v1'],
      isLeader: false,
    })
    assert.equal(newer.protocol, 'waggle.link.v1')
    newer.close()
    assert.equal((await statusOf()).refused, undefined)
  })

  test('how it is can be scraped by whoever has an admin token', async () => {
    await oneCall()
    await linked(({ length }) => length === 1)
    const response = await edge.admin('GET', '/admin/v1/metrics')
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4')
    const text = await response.text()
    assert.match(text, /^waggle_cluster_state\{cluster="alpha",state="online"\} 1$/mu)
    assert.match(text, /^waggle_links\{cluster="alpha",state="live"\} 1$/mu)
    assert.match(text, /^waggle_link_calls_total\{cluster="alpha"\} [1-9]\d*$/mu)
    const stranger = await fetch(new URL('/admin/v1/metrics', edge.url))
    assert.equal(stranger.status, 401)
    await stranger.body?.cancel()
  })

  test('a link that idles lets the hub sleep, and the first call after it arrives', async () => {
    const { wakes } = await statusOf()
    await sleep(25_000)
    const after = await statusOf()
    // Asking wakes it up once; nothing else did, though pings went on.
    assert.equal(after.wakes, wakes + 1)
    await oneCall()
  })
})
