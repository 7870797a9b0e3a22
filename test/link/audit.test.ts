// One audit trail over the link: whatever callers did, the edge has one event for it, and so has every proxy that it came to, under one id and
// naming the person who called.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../../protocol/audit.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, policy, virtual } from '../peers/manifests.ts'
import { exchange, type Exchange } from '../peers/wire.ts'
import { keyed, startCounter, type Counter } from './counter.ts'
import { startCluster, type Crew } from './crew.ts'

const READS = { readOnlyHint: true }
const PEOPLE = ['ada', 'bo', 'cy'] as const
const ROUNDS = 12
/** What the edge's and a proxy's event say of a call. */
interface Trail {
  readonly user: string
  readonly method: string
  readonly outcome: string
  readonly via: string | undefined
}

describe('the audit trail of two clusters and their edge', () => {
  let edge: TestEdge
  const crews: Crew[] = []
  const counters: Counter[] = []
  const executed = new Map<string, number>()
  let sent = 0

  before(async () => {
    edge = await startEdge({
      resources: [
        virtual('all', ['place', 'pool']),
        policy('rules', 'all', [
          { tools: ['hidden'], groups: ['nobody'] },
          { tools: ['guarded'], scopes: ['more'] },
          { tools: ['look'], trustHints: true },
        ]),
      ],
    })
    for (const name of ['a', 'b']) {
      const start = async (...tools: object[]) => {
        const counter = await startCounter({
          tools,
          execute: (key) => void executed.set(key, (executed.get(key) ?? 0) + 1),
          workMs: 0,
        })
        counters.push(counter)
        return counter.url
      }
      const spec = { image: 'example.com/x:1', transport: 'streamable-http' }
      const pool = await start(keyed('pick'))
      const tools = ['here', 'hidden', 'guarded', 'closed'].map((tool) => keyed(tool))
      const place = await start(...tools, keyed('look', READS))
      crews.push(
        await startCluster(edge, name, {
          servers: [
            {
              manifest: manifest('MCPServer', 'pool', spec, { 'waggle.dev/federation': 'interchangeable' }),
              url: pool,
            },
            {
              manifest: manifest('MCPServer', 'place', spec),
              url: place,
              rules: [{ tools: ['closed'], groups: ['insiders'] }],
            },
          ],
        }),
      )
    }
    const endpoint = edge.endpoint('all')
    const deadline = Date.now() + 60_000
    for (let seen = ''; !seen.includes('"b"'); await sleep(100)) {
      assert.ok(Date.now() < deadline, `not all of both clusters is listed: ${seen.slice(0, 1000)}`)
      await edge.lists(endpoint, ['here', 'look', 'pick'])
      const list = await exchange(endpoint, { method: 'tools/list', token: await edge.token(endpoint) })
      seen = JSON.stringify(list.answer)
    }
    await edge.settled()
  })
  after(async () => {
    await Promise.all(crews.map((crew) => crew.close()))
    await Promise.all(counters.map((counter) => counter.close()))
    await edge?.close()
  })

  async function call(sub: string, name: string, args: object): Promise<Exchange> {
    const endpoint = edge.endpoint('all')
    sent += 1
    const key = `${name}-${sent}`
    const token = await edge.token(endpoint, { sub })
    return exchange(endpoint, { method: 'tools/call', token, params: { name, arguments: { key, ...args } } })
  }

  const edgeEvents = () => edge.audit() as readonly unknown[] as readonly AuditEvent[]
  const calls = (events: readonly AuditEvent[]) =>
    events.filter(({ target }) => (target as { method?: string }).method === 'tools/call')
  const trail = ({ subjects, target, outcome }: AuditEvent): Trail => {
    const who = subjects as { user?: string; asserted_by?: string }
    return { user: who.user ?? '', method: (target as { method: string }).method, outcome, via: who.asserted_by }
  }
  const extra = ({ metadata }: AuditEvent): Record<string, unknown> =>
    (metadata as { extra: Record<string, unknown> }).extra
  /** Of each cluster, by the name of the server. */
  const proxies = (name: 'place' | 'pool') =>
    crews.map((crew) => {
      const proxy = crew.proxies.get(name)?.proxy
      assert.ok(proxy !== undefined)
      return proxy
    })

  test('reconciles to the last call, refusals included', async () => {
    const before = await edge.settled()
    const expected = { edge: 0, proxy: 0 }
    const make = async (at: number, name: string, args: object): Promise<Exchange> => {
      expected.edge += 1
      expected.proxy += at
      return call(PEOPLE[expected.edge % PEOPLE.length] ?? '', name, args)
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      const [a, b, any, both] = await Promise.all([
        make(1, 'here', { cluster: 'a' }),
        make(1, 'here', { cluster: 'b' }),
        make(1, 'pick', {}),
        make(2, 'look', { cluster: '*' }),
      ])
      for (const one of [a, b, any, both]) assert.ok(one.answer?.result !== undefined, one.body)
      const refused = await Promise.all([
        make(0, 'here', { cluster: 'elsewhere' }),
        make(0, 'hidden', { cluster: 'a' }),
        make(0, 'guarded', { cluster: 'a' }),
        make(0, 'unheard-of', {}),
        // The edge does not know better: the proxy refuses.
        make(1, 'closed', { cluster: 'b' }),
      ])
      for (const one of refused) assert.equal(one.answer?.result, undefined, one.body)
    }
    const endpoint = edge.endpoint('all')
    const stranger = await exchange(endpoint, { method: 'tools/call', token: 'none', params: { name: 'pick' } })
    assert.equal(stranger.status, 401)
    const writtenAtEdge = () => calls(edgeEvents().slice(before))
    const writtenAtProxies = () => calls([...proxies('place'), ...proxies('pool')].flatMap((proxy) => proxy.audit()))
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(100))
      if (writtenAtEdge().length >= expected.edge && writtenAtProxies().length >= expected.proxy) break
    await edge.settled()

    const atEdge = writtenAtEdge()
    const atProxies = writtenAtProxies()
    assert.equal(atEdge.length, expected.edge)
    assert.equal(atProxies.length, expected.proxy)
    const ids = new Map(atEdge.map((event) => [event.audit_id, event]))
    assert.equal(ids.size, atEdge.length, 'an id for each call')
    const visits = new Map<string, number>()
    for (const event of atProxies) {
      const whole = ids.get(event.audit_id)
      assert.ok(whole !== undefined, `no event of the edge for ${JSON.stringify(event)}`)
      const [here, there] = [trail(event), trail(whole)]
      assert.equal(here.user, there.user)
      assert.ok((PEOPLE as readonly string[]).includes(here.user))
      assert.equal(here.via, 'edge')
      assert.equal(there.via, undefined)
      visits.set(event.audit_id, (visits.get(event.audit_id) ?? 0) + 1)
    }
    for (const event of atEdge) {
      const { cluster, clusters } = extra(event)
      const name = (event.target as { name?: string }).name
      const isRefused =
        ['hidden', 'guarded', 'unheard-of'].includes(name ?? '') || visits.get(event.audit_id) === undefined
      const wanted = clusters === undefined ? (isRefused ? 0 : 1) : 2
      assert.equal(visits.get(event.audit_id) ?? 0, wanted, JSON.stringify(event))
      if (wanted === 1) assert.match(String(cluster), /^[ab]$/u)
      if (wanted === 2) assert.equal(clusters, 'a,b')
    }
    const count = (name: string, outcome: string, events: readonly AuditEvent[]) =>
      events.filter((event) => (event.target as { name?: string }).name === name && event.outcome === outcome).length
    assert.equal(count('here', 'success', atEdge), 2 * ROUNDS)
    assert.equal(count('hidden', 'denied', atEdge), ROUNDS)
    assert.equal(count('guarded', 'denied', atEdge), ROUNDS)
    assert.equal(count('closed', 'denied', atProxies), ROUNDS)
    // What was executed is what the proxies let through, once each but for what went to both.
    const done = [...executed.values()].reduce((sum, times) => sum + times, 0)
    assert.equal(done, atProxies.filter(({ outcome }) => outcome === 'success').length)
    const unauthenticated = edgeEvents()
      .slice(before)
      .filter(({ outcome }) => outcome === 'denied')
    assert.ok(unauthenticated.some((event) => extra(event)['reason'] === 'unauthenticated'))
  })
})
