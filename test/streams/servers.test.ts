// What servers say on their own, and to whom it goes: resources that changed, log lines, questions outside of calls.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, legacyRevision } from '../peers/wire.ts'
import { listen, subscribe } from './listener.ts'
import { startTalker } from './talker.ts'
import type { Talker } from './talker.ts'

/** Says something until it is heard: the edge's own stream at a server opens behind the answer that asks for it. */
async function again(say: () => void, heard: Promise<unknown>): Promise<void> {
  const saying = setInterval(say, 500)
  await heard.finally(() => clearInterval(saying))
}

const updated = ({ method }: { method?: string }) => method === 'notifications/resources/updated'

describe('what servers say on their own', () => {
  const talkers = new Map<string, Talker>()
  let edge: TestEdge

  before(async () => {
    for (const era of ['modern', 'legacy'] as const) talkers.set(era, await startTalker(era))
    edge = await startEdge({
      resources: [...talkers].flatMap(([name, { url }]) => [entry(name, url), virtual(name, [name])]),
    })
    for (const name of talkers.keys()) await edge.lists(edge.endpoint(name), ['hello'])
  })
  after(async () => {
    await edge?.close()
    for (const talker of talkers.values()) await talker.close()
  })

  const talkerOf = (era: string): Talker => {
    const talker = talkers.get(era)
    assert.ok(talker)
    return talker
  }

  async function open(era: string, sub: string) {
    const endpoint = edge.endpoint(era)
    const token = await edge.token(endpoint, { sub })
    const params = {
      protocolVersion: legacyRevision,
      capabilities: { roots: {} },
      clientInfo: { name: 'listener', version: '1' },
    }
    const opened = await exchange(endpoint, { method: 'initialize', era: 'legacy', token, params })
    const capabilities = opened.answer?.result?.['capabilities'] as Record<string, unknown>
    assert.deepEqual(capabilities['resources'], { subscribe: true, listChanged: true })
    const session = opened.headers.get('mcp-session-id') ?? ''
    const ask = (method: string, asked: Record<string, unknown> = {}) =>
      exchange(endpoint, { method, era: 'legacy', token, session, params: asked })
    return { endpoint, token, session, ask }
  }

  for (const era of ['modern', 'legacy'] as const) {
    test(`whoever subscribed hears that a resource of a ${era} server changed, and nobody else`, async () => {
      const talker = talkerOf(era)
      const { uri } = talker
      const one = await open(era, 'one')
      const stream = await listen(one.endpoint, one.token, one.session)
      const other = await open(era, 'other')
      const deaf = await listen(other.endpoint, other.token, other.session)
      const young = await subscribe(one.endpoint, one.token, { resourceSubscriptions: [uri, 'note://unknown:thing'] })
      await young.until(({ method }) => method === 'notifications/subscriptions/acknowledged')
      assert.deepEqual((await one.ask('resources/subscribe', { uri })).answer?.result, {})
      await again(() => talker.touch(), Promise.all([stream.until(updated), young.until(updated)]))
      assert.deepEqual(stream.messages().find(updated)?.params, { uri })
      assert.equal(young.messages().find(updated)?.params?.['uri'], uri)
      assert.equal(deaf.messages().filter(updated).length, 0)

      assert.deepEqual((await one.ask('resources/unsubscribe', { uri })).answer?.result, {})
      // What was said before the end may still be on its way.
      let before = -1
      for (const count = () => stream.messages().filter(updated).length; count() !== before; await sleep(1_500))
        before = count()
      talker.touch()
      await sleep(500)
      assert.equal(stream.messages().filter(updated).length, before, 'not after it unsubscribed')
      for (const heard of [stream, deaf, young]) heard.leave()
    })
  }

  test('a subscription holds for a stream that opens later, and for a server that forgot its sessions', async () => {
    const talker = talkerOf('legacy')
    const { uri } = talker
    const one = await open('legacy', 'later')
    assert.deepEqual((await one.ask('resources/subscribe', { uri })).answer?.result, {})
    const stream = await listen(one.endpoint, one.token, one.session)
    await again(() => talker.touch(), stream.until(updated))
    const before = stream.messages().filter(updated).length
    talker.forget()
    const deadline = Date.now() + 60_000
    while (stream.messages().filter(updated).length === before) {
      assert.ok(Date.now() < deadline, 'heard again after the server forgot')
      await sleep(300)
      talker.touch()
    }
    stream.leave()
  })

  test('log lines and questions outside of calls reach the session that used the server', async () => {
    const talker = talkerOf('legacy')
    const one = await open('legacy', 'asked')
    const stream = await listen(one.endpoint, one.token, one.session)
    assert.ok((await one.ask('tools/call', { name: 'hello' })).answer?.result)
    const logged = stream.until(({ method }) => method === 'notifications/message')
    await again(() => talker.log('something happened'), logged)
    const roots = talker.roots()
    await stream.until(({ method }) => method === 'roots/list')
    const question = stream.messages().find(({ method }) => method === 'roots/list')
    const body = { jsonrpc: '2.0', id: question?.id, result: { roots: [{ uri: 'file:///here' }] } }
    const response = await fetch(one.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${one.token}`,
        'mcp-session-id': one.session,
        'mcp-protocol-version': legacyRevision,
      },
      body: JSON.stringify(body),
    })
    assert.equal(response.status, 202)
    assert.deepEqual(await roots, [{ uri: 'file:///here' }])
    stream.leave()
  })

  test('a server offers subscriptions or is not asked for them, and only sessions have them', async () => {
    const endpoint = edge.endpoint('legacy')
    const token = await edge.token(endpoint)
    const { uri } = talkerOf('legacy')
    const bare = await exchange(endpoint, { method: 'resources/subscribe', era: 'legacy', token, params: { uri } })
    assert.equal(bare.answer?.error?.code, -32600)
    const one = await open('legacy', 'limits')
    assert.equal((await one.ask('resources/subscribe', { uri: 7 })).answer?.error?.code, -32602)
    const modern = await exchange(endpoint, { method: 'resources/subscribe', token, params: { uri } })
    assert.equal(modern.status, 404)
  })

  test('nobody listens to servers once nobody listens to the edge', async () => {
    const deadline = Date.now() + 150_000
    const count = () => [...talkers.values()].map((talker) => talker.listeners())
    // The edge itself listens for changed lists, on one stream each.
    while (count().some((one) => one > 1)) {
      assert.ok(Date.now() < deadline, `${JSON.stringify(count())} streams are still open`)
      await sleep(500)
    }
  })
})
