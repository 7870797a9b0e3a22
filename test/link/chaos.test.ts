// 64 callers over two clusters, while links, uplinks, hubs, proxies, servers and the edge itself fail one after the other and come back.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../../protocol/audit.ts'
import { adminOf } from '../admin.ts'
import { startProcess, type EdgeProcess } from '../chaos/process.ts'
import { startIssuer, type Issuer } from '../issuer.ts'
import { manifest, virtual, type Manifest } from '../peers/manifests.ts'
import { exchange } from '../peers/wire.ts'
import { Books, Caller, lister, type Ended, type Lane, type Place } from './callers.ts'
import { keyed, startCounter, type Counter } from './counter.ts'
import { startCluster, type Crew, type Replica } from './crew.ts'

/** A fifth of the time that everything takes in production. */
const CLOCK = '5,9,120,4800'
const PING_MS = 2_000
const CALL_TIMEOUT_MS = 15_000
const WORK_MS = 60
const LANES: Readonly<Record<Lane, number>> = { safe: 28, once: 12, a: 12, b: 12 }
const RECOVERY_MS = 10_000
/** Machines that do other things meanwhile are slow. */
const SLACK = 3
const WAIT_MS = 60_000
/** How long the edge waits for a sign of a call before it takes the link for dead. */
const DETECTION_MS = 2_000
const TYPED: ReadonlySet<unknown> = new Set([1502, 1504, 1529])

type Where = 'a' | 'b' | 'edge' | 'hubs'

interface Span {
  readonly name: string
  readonly from: number
  until: number
  recoveredMs: number
  /** Where it was; `edge`: nobody can be served meanwhile. */
  readonly where: Where
}

describe('two clusters in a storm of faults', () => {
  let issuer: Issuer
  let edge: EdgeProcess
  const crews: Crew[] = []
  const counters = new Map<string, Counter>()
  const books = new Books()
  const audited: AuditEvent[] = []
  const spans: Span[] = []
  const callers: Caller[] = []
  const stop = new AbortController()
  let work: Promise<unknown> = Promise.resolve()
  let isResting = false

  const endpoint = (name: string): string => `${edge.url}/test/${name}/mcp`
  const token = (name: string, sub = 'ada') =>
    issuer.token(endpoint(name), { sub, exp: Math.floor(Date.now() / 1000) + 7200 })

  before(async () => {
    issuer = await startIssuer()
    const vars = { OIDC_ISSUER: issuer.url, ALLOW_LOOPBACK: 'true', LINK_CLOCK: CLOCK }
    edge = await startProcess(vars, [], (line) => {
      if (line.includes('"mcp_tool_call"')) audited.push(JSON.parse(line.slice(line.indexOf('{'))) as AuditEvent)
    })
    const { admin, apply } = adminOf(edge.url, issuer)
    const limit = { 'waggle.dev/call-timeout': `${CALL_TIMEOUT_MS}ms` }
    const resources = [virtual('pools', ['pool'], {}, limit), virtual('places', ['place'], {}, limit)]
    await apply(resources)
    for (const name of ['a', 'b']) {
      const start = async (server: string, ...tools: object[]): Promise<string> => {
        const counter = await startCounter({ tools, execute: books.execute, workMs: WORK_MS })
        counters.set(`${name}/${server}`, counter)
        return counter.url
      }
      const described = (server: string, annotations: Record<string, string> = {}): Manifest =>
        manifest('MCPServer', server, { image: 'example.com/x:1', transport: 'streamable-http' }, annotations)
      const pooled = { 'waggle.dev/federation': 'interchangeable', 'waggle.dev/trust-hints': 'true' }
      const servers = [
        {
          manifest: described('pool', pooled),
          url: await start('pool', keyed('find', { idempotentHint: true }), keyed('draw')),
        },
        { manifest: described('place'), url: await start('place', keyed('here')) },
      ]
      crews.push(await startCluster({ url: edge.url, admin }, name, { servers, pingMs: PING_MS, leaseMs: 3_000 }))
    }
    const places: Readonly<Record<Lane, Place>> = {
      safe: { url: endpoint('pools'), token: () => token('pools'), tool: 'find', args: {} },
      once: { url: endpoint('pools'), token: () => token('pools'), tool: 'draw', args: {} },
      a: { url: endpoint('places'), token: () => token('places'), tool: 'here', args: { cluster: 'a' } },
      b: { url: endpoint('places'), token: () => token('places'), tool: 'here', args: { cluster: 'b' } },
    }
    const lists = [
      { url: endpoint('pools'), token: () => token('pools'), texts: ['"find"', '"draw"'] },
      { url: endpoint('places'), token: () => token('places'), texts: ['"here"', '"a"', '"b"'] },
    ]
    for (const { url, texts, ...one } of lists) {
      const bearer = await one.token()
      for (const deadline = Date.now() + WAIT_MS; ; await sleep(100)) {
        const { body } = await exchange(url, { method: 'tools/list', token: bearer })
        if (texts.every((text) => body.includes(text))) break
        if (Date.now() > deadline) throw new Error(`${texts.join()} not in ${body.slice(0, 1000)}`)
      }
    }
    for (const [lane, count] of Object.entries(LANES) as [Lane, number][])
      for (let nth = 0; nth < count; nth += 1) callers.push(new Caller(`${lane}${nth}`, lane, places[lane], books))
    work = Promise.all([
      ...callers.map((caller) => caller.work(stop.signal, () => !isResting)),
      lister(lists, books, stop.signal),
    ])
    await settled('everybody is served', performance.now())
  })
  after(async () => {
    stop.abort()
    await work
    await Promise.all(crews.map((crew) => crew.close()))
    await Promise.all([...counters.values()].map((counter) => counter.close()))
    await edge?.close()
    await issuer?.close()
  })

  /** Milliseconds until every caller has succeeded with a call that it began after `since`. */
  async function settled(what: string, since: number): Promise<number> {
    for (const deadline = since + WAIT_MS; books.recovered(callers, since) === Number.POSITIVE_INFINITY;) {
      if (performance.now() > deadline) {
        const last = books.ended.slice(-40).map(({ lane, kind, why }) => `${lane} ${kind} ${why}`)
        const lines = crews.flatMap((crew) => crew.replicas.flatMap((one) => [one.name, ...one.lines.slice(-6)]))
        throw new Error(`${what}: not everybody is served again:\n${last.join('\n')}\n${lines.join('\n')}`)
      }
      await sleep(50)
    }
    return books.recovered(callers, since) - since
  }

  /** Lets something go wrong and come right again, and waits until everybody is served. */
  async function during(name: string, where: Where, fault: () => Promise<void>): Promise<void> {
    const from = performance.now()
    const span: Span = { name, from, until: Number.POSITIVE_INFINITY, recoveredMs: Number.POSITIVE_INFINITY, where }
    spans.push(span)
    await fault()
    const ended = performance.now()
    const recoveredMs = await settled(name, ended)
    Object.assign(span, { recoveredMs, until: performance.now() })
    const failed = of(span).filter(({ kind }) => kind !== 'ok')
    const longest = Math.max(0, ...failed.map((one) => one.until - one.from))
    const lanes = (['safe', 'once', 'a', 'b'] as const).map(
      (lane) => `${lane} ${failed.filter((one) => one.lane === lane).length}`,
    )
    const shown = [Math.round(ended - from), Math.round(recoveredMs), of(span).length, Math.round(longest)]
    const [lasted, back, calls, took] = shown
    console.log(
      `${name}: lasted ${lasted} ms, all served ${back} ms later; of ${calls} calls failed: ${lanes.join(', ')}; in at most ${took} ms`,
    )
    assert.ok(recoveredMs <= RECOVERY_MS * SLACK, `${name}: recovered after ${recoveredMs} ms`)
  }

  const of = ({ from, until }: Span): Ended[] => books.ended.filter((one) => one.until >= from && one.from <= until)
  const inEdgesOwn = (one: { from: number; until: number }): boolean =>
    spans.some((span) => span.where === 'edge' && one.until >= span.from && one.from <= span.until)
  /** Whether calls to the cluster to which nothing was done failed at the same time. */
  const wasElsewhere = (one: Ended): boolean => {
    const { where } = spans.find(({ from, until }) => one.until >= from && one.from <= until) ?? {}
    const other = where === 'a' ? 'b' : 'a'
    const at = (two: Ended): boolean => two.until >= one.from - 3_000 && two.from <= one.until
    return books.ended.some((two) => two.lane === other && two.kind !== 'ok' && at(two))
  }
  const crew = (nth: 0 | 1): Crew => {
    const found = crews[nth]
    assert.ok(found !== undefined)
    return found
  }
  const replica = (at: 0 | 1, nth: 0 | 1): Replica => {
    const found = crew(at).replicas[nth]
    assert.ok(found !== undefined)
    return found
  }

  test('a link is cut', () => during('a link is cut', 'a', async () => replica(0, 0).relay.cut()))

  test('all links of a cluster are cut', () =>
    during('all links of a cluster are cut', 'b', async () => {
      for (const { relay } of crew(1).replicas) relay.cut()
    }))

  test('a connection is half open', () =>
    during('a connection is half open', 'a', async () => {
      replica(0, 1).relay.freeze()
      await sleep(6_000)
      replica(0, 1).relay.heal()
    }))

  test('all connections of a cluster are half open', () =>
    during('all connections of a cluster are half open', 'b', async () => {
      for (const { relay } of crew(1).replicas) relay.freeze()
      await sleep(6_000)
      for (const { relay } of crew(1).replicas) relay.heal()
    }))

  test('the leading uplink is killed', () =>
    during('the leading uplink is killed', 'a', async () => {
      await replica(0, 0).kill()
      await crew(0).promote(replica(0, 1))
      await replica(0, 0).start()
    }))

  test('all uplinks of a cluster are killed', () =>
    during('all uplinks of a cluster are killed', 'a', async () => {
      await Promise.all(crew(0).replicas.map((one) => one.kill()))
      await sleep(3_000)
      await Promise.all(crew(0).replicas.map((one) => one.start()))
    }))

  test('the leader is stopped for longer than its lease and its epoch', () =>
    during('the leader is stopped', 'a', async () => {
      const leader = replica(0, 1)
      leader.pause()
      await crew(0).promote(replica(0, 0))
      await sleep(7_000)
      leader.resume()
    }))

  test('a proxy is killed', () =>
    during('a proxy is killed', 'a', async () => {
      await crew(0).proxies.get('pool')?.restart(1_500)
    }))

  test('a server is away', () =>
    during('a server is away', 'b', async () => {
      const server = counters.get('b/pool')
      await server?.down()
      await sleep(3_000)
      await server?.up()
    }))

  test('a hub is evicted', () =>
    during('a hub is evicted', 'hubs', async () => {
      // Who is busy is not evicted.
      isResting = true
      try {
        for (const deadline = performance.now() + WAIT_MS; books.underWay > 0; await sleep(50))
          assert.ok(performance.now() < deadline, `${books.underWay} calls do not end`)
        let gone: readonly boolean[] = []
        for (const deadline = performance.now() + WAIT_MS; !gone.includes(true);) {
          assert.ok(performance.now() < deadline, `of ${gone.length} hubs none could be evicted`)
          await sleep(1_500)
          const hubs = edge.awake().filter(({ className }) => className === 'HubObject')
          gone = await Promise.all(hubs.map((hub) => edge.evict(hub)))
        }
      } finally {
        isResting = false
      }
    }))

  test('all objects of the edge are broken off', () =>
    during('all objects of the edge are broken off', 'edge', () => edge.abort()))

  test('the edge is killed', () => during('the edge is killed', 'edge', () => edge.crash(1_000)))

  test('afterwards: what was marked safe never failed, whatever happened', () => {
    const failed = books.ended.filter((one) => one.lane === 'safe' && one.kind !== 'ok' && !inEdgesOwn(one))
    // A machine that has too much to do breaks the other cluster's calls as well: nobody could have answered.
    const excused = failed.filter((one) => wasElsewhere(one))
    for (const one of failed) console.log('FAILED', JSON.stringify(one))
    if (excused.length > 0)
      console.log(`${excused.length} failed while the machine was too slow for the other cluster, too`)
    assert.deepEqual(failed.filter((one) => !excused.includes(one)).slice(0, 10), [])
    assert.ok(excused.length < 20)
  })

  test('afterwards: nothing that was not marked safe was executed twice', () => {
    const repeated = books.ended.filter(({ lane, key }) => lane !== 'safe' && books.executions(key) > 1)
    assert.deepEqual(repeated.slice(0, 10), [])
    const unexecuted = books.ended.filter(({ kind, key }) => kind === 'ok' && books.executions(key) === 0)
    assert.deepEqual(unexecuted.slice(0, 10), [])
  })

  test('afterwards: every failure said what it was, and which server in which cluster', () => {
    const untyped = books.ended.filter((one) => {
      if (one.kind === 'ok' || inEdgesOwn(one)) return false
      const { reason, server, cluster } = one.data
      if (one.kind !== 'fault' || !TYPED.has(one.code) || typeof reason !== 'string') return true
      const isPlaced = one.lane === 'a' || one.lane === 'b'
      return isPlaced && (cluster !== one.lane || server !== 'test/place')
    })
    assert.deepEqual(untyped.slice(0, 10), [])
  })

  test('afterwards: every call was written down once at the edge and once at each proxy, under one id, with who called', async () => {
    stop.abort()
    await work
    await sleep(1_000)
    const traceOf = ({ metadata }: AuditEvent): unknown => metadata.extra['trace_id']
    const grouped = (events: readonly AuditEvent[], by: (event: AuditEvent) => unknown) =>
      Map.groupBy(events, (event) => String(by(event)))
    const edges = grouped(audited, traceOf)
    const arrived = crews
      .flatMap(({ proxies }) => [...proxies.values()].flatMap((one) => one.audit()))
      .filter(({ type }) => type === 'mcp_tool_call')
    const proxies = grouped(arrived, ({ audit_id: id }) => id)
    // What an edge has not printed when it is killed is lost with it.
    const lost = spans.filter(({ where }) => where === 'edge').map(({ from, until }) => ({ from: from - 500, until }))
    const isLost = (one: Ended): boolean => lost.some(({ from, until }) => one.until >= from && one.from <= until)
    const killed = spans.filter(({ name }) => name === 'a proxy is killed')
    const wrong = books.ended
      .filter((one) => !isLost(one))
      .flatMap((one) => {
        const [event, ...more] = edges.get(one.trace) ?? []
        if (event === undefined || more.length > 0) return [`${one.key}: ${more.length} more events, or none`]
        const { outcome, subjects, metadata } = event
        if (subjects['user'] !== 'ada' || (outcome === 'success') !== (one.kind === 'ok'))
          return [`${one.key}: ${one.kind} is ${outcome} of ${subjects['user']}`]
        const there = proxies.get(event.audit_id) ?? []
        if (there.some(({ subjects: at }) => at['user'] !== 'ada' || at['asserted_by'] !== 'edge'))
          return [`${one.key}: a proxy names somebody else`]
        const done = there.filter((at) => at.outcome === 'success').length
        // A process that is killed may have answered and said nothing more.
        const isMuted = killed.some(({ from, until }) => one.until >= from - 500 && one.from <= until)
        const least = one.kind === 'ok' && !isMuted ? 1 : 0
        const most = one.lane === 'safe' || metadata.extra['moved_from'] !== undefined ? 2 : 1
        return done < least || there.length > most ? [`${one.key}: ${one.kind}, ${there.length} at proxies`] : []
      })
    assert.deepEqual(wrong.slice(0, 10), [])
    const known = new Set(audited.map(({ audit_id: id }) => id))
    const inEdges = new Set(books.ended.filter((one) => isLost(one)).map(({ trace }) => trace))
    const orphans = arrived.filter((event) => !known.has(event.audit_id) && !inEdges.has(String(traceOf(event))))
    assert.deepEqual(orphans.slice(0, 3), [], 'a proxy was called of which the edge says nothing')
    console.log(`${audited.length} calls in the trail of the edge, ${arrived.length} in those of the proxies`)
  })

  test('afterwards: no call hung, and those to one cluster failed within moments of the loss', () => {
    const placed = books.ended.filter(({ lane, kind }) => (lane === 'a' || lane === 'b') && kind !== 'ok')
    const late = placed.filter((one) => one.until - one.from > (DETECTION_MS + 2_000) * SLACK && !inEdgesOwn(one))
    assert.deepEqual(late.slice(0, 10), [])
    const hung = books.ended.filter((one) => one.until - one.from > 2 * CALL_TIMEOUT_MS + 2_000)
    assert.deepEqual(hung.slice(0, 10), [])
  })

  test('afterwards: lists were served all the time that there was an edge', () => {
    const missing = books.unlisted.filter(
      (one) => !edge.downs.some(({ from, until }) => one.until >= from && one.from <= until + 1_000 * SLACK),
    )
    assert.deepEqual(missing.slice(0, 10), [])
    assert.ok(books.listed > 100)
    const calls = books.ended.length
    const ok = books.ended.filter(({ kind }) => kind === 'ok').length
    console.log(`${calls} calls, ${ok} of them answered; ${books.listed} lists`)
    assert.ok(ok > calls / 2)
  })
})
