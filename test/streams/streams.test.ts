// Streams on which clients of both eras hear what changes: what they are told, how they come back, when they end.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import type { Fixture } from '../peers/fixture.ts'
import { entry, policy, virtual } from '../peers/manifests.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { listen, subscribe } from './listener.ts'

const toolsChanged = ({ method }: { method?: string }) => method === 'notifications/tools/list_changed'

describe('streams', () => {
  const fixtures = new Map<string, Fixture>()
  let edge: TestEdge

  before(async () => {
    for (const eras of ['modern', 'legacy'] as const) fixtures.set(eras, await startFixture({ eras }))
    edge = await startEdge({
      resources: [
        ...[...fixtures].flatMap(([name, { url }]) => [entry(name, url), virtual(name, [name])]),
        virtual('both', ['modern', 'legacy'], { config: { aggregation: { conflictResolution: 'prefix' } } }),
        policy('hidden', 'both', [{ tools: ['*hidden*'], groups: ['insiders'] }]),
      ],
    })
    for (const name of fixtures.keys()) await edge.lists(edge.endpoint(name), ['test_simple_text'])
    await edge.lists(edge.endpoint('both'), ['modern_test_simple_text', 'legacy_test_simple_text'])
  })
  after(async () => {
    await edge?.close()
    for (const fixture of fixtures.values()) await fixture.close()
  })

  async function session(endpoint: string, token: string): Promise<string> {
    const id = await openSession(endpoint, token)
    assert.ok(id)
    return id
  }

  for (const eras of ['modern', 'legacy'] as const) {
    test(`clients of both eras hear that the tools of a ${eras} server changed`, async () => {
      const endpoint = edge.endpoint(eras)
      const token = await edge.token(endpoint)
      const old = await listen(endpoint, token, await session(endpoint, token))
      const young = await subscribe(endpoint, token, { toolsListChanged: true, promptsListChanged: false })
      assert.equal(old.status, 200)
      assert.match(old.headers.get('content-type') ?? '', /^text\/event-stream/)
      await young.until(({ method }) => method === 'notifications/subscriptions/acknowledged')
      assert.deepEqual(young.messages()[0]?.params, {
        notifications: { toolsListChanged: true },
        _meta: { 'io.modelcontextprotocol/subscriptionId': 'l1' },
      })
      fixtures.get(eras)?.offer(`late_${eras}`)
      await Promise.all([old.until(toolsChanged), young.until(toolsChanged)])
      assert.deepEqual(young.messages().at(-1)?.params, { _meta: { 'io.modelcontextprotocol/subscriptionId': 'l1' } })
      const listed = await exchange(endpoint, { method: 'tools/list', token })
      assert.match(listed.body, new RegExp(`late_${eras}`), 'whoever hears of it finds it')
      old.leave()
      young.leave()
    })
  }

  test('a change that the caller may not see is not told', async () => {
    const endpoint = edge.endpoint('both')
    const outsider = await edge.token(endpoint)
    const insider = await edge.token(endpoint, { groups: ['insiders'] })
    const [out, into] = await Promise.all([
      subscribe(endpoint, outsider, { toolsListChanged: true }),
      subscribe(endpoint, insider, { toolsListChanged: true }),
    ])
    fixtures.get('modern')?.offer('hidden_one')
    await Promise.all([
      into.until(toolsChanged),
      out.until(({ method }) => method === 'notifications/subscriptions/acknowledged'),
    ])
    assert.deepEqual(
      out.messages().map(({ method }) => method),
      ['notifications/subscriptions/acknowledged'],
    )
    out.leave()
    into.leave()
  })

  test('a client that comes back hears what it missed, and hears that it may have missed something', async () => {
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint)
    const id = await session(endpoint, token)
    const first = await listen(endpoint, token, id)
    for (const deadline = Date.now() + 30_000; first.events.length === 0; await sleep(20))
      assert.ok(Date.now() < deadline, 'the stream begins at once')
    const last = first.events[0]?.id
    assert.ok(last, 'the stream begins with an id')
    assert.equal(first.events[0]?.data, '')
    first.leave()
    fixtures.get('modern')?.offer('while_away')
    await edge.lists(endpoint, ['while_away'])
    await sleep(2_500)
    const second = await listen(endpoint, token, id, { 'last-event-id': last })
    await second.until(toolsChanged)
    second.leave()
    const third = await listen(endpoint, token, id, { 'last-event-id': 'lost.17' })
    await third.until(toolsChanged)
    await third.until(({ method }) => method === 'notifications/resources/list_changed')
    third.leave()
  })

  test('a newer stream of the session ends the older one, DELETE ends both', async () => {
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint)
    const id = await session(endpoint, token)
    const first = await listen(endpoint, token, id)
    const second = await listen(endpoint, token, id)
    assert.equal(await first.ended(), true)
    const ended = await fetch(endpoint, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': id },
    })
    assert.equal(ended.status, 204)
    assert.equal(await second.ended(), true)
    assert.equal((await listen(endpoint, token, id)).status, 404)
  })

  test('a stream ends soon after its credential is revoked, and has no longer life than its token', async () => {
    const endpoint = edge.endpoint('modern')
    const now = Math.floor(Date.now() / 1000)
    const [short, revoked, fine] = await Promise.all(
      [{ sub: 'short', exp: now - 50 }, { sub: 'revoked' }, { sub: 'fine' }].map(async (claims) => {
        const token = await edge.token(endpoint, claims)
        return subscribe(endpoint, token, { toolsListChanged: true })
      }),
    )
    const body = { issuer: edge.issuer.url, subject: 'revoked', seconds: 600 }
    const response = await edge.admin('POST', '/admin/v1/revocations', body)
    assert.ok(response.ok, `${response.status} ${await response.text()}`)
    assert.equal(await revoked?.ended(), true, 'revoked')
    assert.equal(await short?.ended(), true, 'expired')
    assert.equal(await fine?.ended(100), false)
    assert.deepEqual(revoked?.messages().at(-1)?.result, {
      resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/subscriptionId': 'l1' },
    })
    fine?.leave()
  })

  test('what is not a session, not a stream and not a filter is refused', async () => {
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint)
    const get = (headers: Record<string, string>) =>
      fetch(endpoint, { headers: { authorization: `Bearer ${token}`, ...headers } })
    const stream = { accept: 'text/event-stream' }
    assert.equal((await get(stream)).status, 405, 'no session')
    assert.equal((await get({ ...stream, 'mcp-session-id': 'made-up' })).status, 404)
    assert.equal(
      (await get({ accept: 'application/json', 'mcp-session-id': await session(endpoint, token) })).status,
      406,
    )
    assert.equal((await fetch(endpoint, { headers: stream })).status, 401)
    const other = await edge.token(endpoint, { sub: 'somebody else' })
    const id = await session(endpoint, token)
    assert.equal((await listen(endpoint, other, id)).status, 404, 'of another principal')
    for (const notifications of [undefined, [], 7, { resourceSubscriptions: 'x' }, { resourceSubscriptions: [1] }]) {
      const { answer } = await exchange(endpoint, { method: 'subscriptions/listen', params: { notifications }, token })
      assert.equal(answer?.error?.code, -32602, JSON.stringify(notifications))
    }
    const plain = await exchange(endpoint, {
      method: 'subscriptions/listen',
      params: { notifications: {} },
      token,
      headers: { accept: 'application/json' },
    })
    assert.equal(plain.status, 406)
  })

  test('one caller cannot take all streams', async () => {
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint, { sub: 'greedy' })
    const open = await Promise.all(Array.from({ length: 70 }, () => subscribe(endpoint, token, {})))
    const refused = open.filter(({ headers }) => !(headers.get('content-type') ?? '').includes('event-stream'))
    assert.equal(refused.length, 6)
    assert.ok(refused.every(({ status }) => status === 503))
    for (const one of open) one.leave()
  })
})
