import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuditEvent } from '../protocol/audit.ts'
import { errorText, isObject, parseMessage, resultText, type Json, type JsonObject } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import { Guard } from './auth/guard.ts'
import { Breaker } from './backend/breaker.ts'
import type { Backend, Call, Reply } from './backend/upstream.ts'
import { clusterOf, type FleetMode, type Health, type Instance } from './catalog/fleet.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import { Projection } from './catalog/project.ts'
import type { ServerCatalog } from './catalog/server.ts'
import type { Endpoint, Host, Target } from './endpoint.ts'
import { handle } from './handle.ts'
import { InFlight } from './inflight.ts'
import { fleetMember, serverOf, type Lists } from './sample.ts'
import { Sealer } from './seal.ts'
import { ClientSessions } from './session.ts'
import { MemoryStore } from './store/memory.ts'

type Script = (call: Call) => Promise<Reply> | Reply

const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32).fill(7) }])
const tool = (annotations: JsonObject = {}) =>
  JSON.stringify({ name: 'get', inputSchema: { type: 'object', properties: { q: {} } }, annotations })

/** The server's answer to any call: what `result` makes of the cluster. */
const answering =
  (result: JsonObject): Script =>
  (call) => ({ kind: 'message', message: parseMessage(resultText(call.id ?? 'null', JSON.stringify(result))) })
const text = (said: string) => ({ content: [{ type: 'text', text: said }] })
const gone =
  (more: { unsent?: boolean; server?: string } = {}): Script =>
  () => {
    const data = { server: more.server ?? 'ns/s@a', retryAfterSeconds: 5 }
    throw new Fault('backend_unavailable', 'Server ns/s@a cannot be reached.', { data, unsent: more.unsent === true })
  }

interface Bed {
  readonly calls: string[]
  readonly texts: string[]
  readonly audits: AuditEvent[]
  readonly limits: (number | undefined)[]
  readonly post: (args: JsonObject, more?: JsonObject, era?: Era) => Promise<JsonObject>
  readonly health: Map<string, Health>
}

/** An endpoint whose only member is a fleet `ns/s`, in the clusters of the scripts. */
function bed(
  mode: FleetMode,
  scripts: Readonly<Record<string, Script>>,
  more: Partial<Instance> = {},
  item = tool(),
  server: Partial<ServerCatalog> = {},
): Bed {
  const now = () => Date.now()
  const calls: string[] = []
  const texts: string[] = []
  const limits: (number | undefined)[] = []
  const audits: AuditEvent[] = []
  const health = new Map<string, Health>()
  const lists: Lists = { tools: [item] }
  const clusters = Object.fromEntries(Object.keys(scripts).map((cluster) => [cluster, lists]))
  const member = fleetMember('ns/s', mode, clusters, () => ({ catalog: serverOf(lists, server), ...more }))
  const catalog = merge([member], DEFAULT_AGGREGATION, [])
  const targets = new Map<string, Target>()
  const target = (key: string): Target => {
    const cluster = clusterOf(key) ?? ''
    const call: Backend['call'] = async (sent) => {
      calls.push(cluster)
      texts.push(sent.text)
      limits.push(sent.limit)
      const script = scripts[cluster]
      assert.ok(script !== undefined)
      return script(sent)
    }
    const nothing = async () => undefined
    const backend: Backend = { call, tell: nothing, resume: nothing, listen: nothing, end: nothing }
    const breaker = new Breaker({ threshold: 3, openMs: 60_000 }, now)
    const made = targets.get(key) ?? { key, via: undefined, backend, breaker, timeoutMs: 2_000 }
    targets.set(key, made)
    return made
  }
  const resource = 'http://edge/ns/s/mcp'
  const endpoint: Endpoint = {
    key: 'ns/s',
    guard: new Guard({ issuers: undefined, audience: '', scopes: [], resource, metadataUrl: '' }, now),
    catalog,
    projection: new Projection(catalog, sealer, true),
    sole: undefined,
    target,
    targets: (key) => [target(key)],
    health: (key) => health.get(clusterOf(key) ?? '') ?? 'online',
  }
  const store = new MemoryStore(now)
  const host = {
    component: 'test',
    source: '',
    now,
    sealer,
    sessions: new ClientSessions(sealer, store, now),
    inFlight: new InFlight(),
    revoked: () => false,
    audit: (event: AuditEvent) => void audits.push(event),
    changed: () => undefined,
    endsWithClient: false,
    defer: () => undefined,
  } as unknown as Host
  const post = async (args: JsonObject, rest: JsonObject = {}, era: Era = 'modern') => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const params = { name: 's_get', arguments: args, ...(era === 'modern' && { _meta: meta }), ...rest }
    const request = new Request('http://edge/ns/s/mcp', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': era === 'modern' ? '2026-07-28' : '2025-11-25',
        ...(era === 'modern' && { 'mcp-method': 'tools/call', 'mcp-name': 's_get' }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
    })
    const response = await handle(request, endpoint, host, undefined)
    return (await response.json()) as JsonObject
  }
  return { calls, texts, limits, audits, post, health }
}

const said = ({ result }: JsonObject): Json =>
  isObject(result) && Array.isArray(result['content'])
    ? result['content'].map((block) => (isObject(block) ? (block['text'] ?? null) : null))
    : null
const extra = ({ audits }: Bed): { readonly outcome: string; readonly [key: string]: string | number }[] =>
  audits.map(({ outcome, metadata }) => ({ outcome, ...metadata.extra }))

describe('an addressable tool', () => {
  test('gets the arguments without the cluster, and the rest as it was written', async () => {
    const { post, texts, calls } = bed('addressable', { a: answering(text('a')), b: answering(text('b')) })
    assert.deepEqual(said(await post({ q: 1, cluster: 'b', z: [2] })), ['b'])
    assert.deepEqual(calls, ['b'])
    assert.match(texts[0] ?? '', /"arguments":\{"q":1,"z":\[2\]\}/u)
  })

  test('that is away says which server, where, and when to come back; it is tried nowhere else', async () => {
    const scene = bed('addressable', { a: gone({ unsent: true }), b: answering(text('b')) }, { trustHints: true })
    const { error } = await scene.post({ cluster: 'a' })
    assert.deepEqual(isObject(error) ? error['data'] : undefined, {
      server: 'ns/s',
      cluster: 'a',
      retryAfterSeconds: 5,
      reason: 'backend_unavailable',
    })
    assert.deepEqual(scene.calls, ['a'])
    const [event] = extra(scene)
    assert.deepEqual([event?.outcome, event?.['backend_name'], event?.['cluster']], ['error', 'ns/s', 'a'])
  })
})

describe('an interchangeable tool', () => {
  test('moves on when a call has not been sent, and the trail says so', async () => {
    const scene = bed('interchangeable', { a: gone({ unsent: true }), b: answering(text('b')) })
    for (let count = 0; count < 20; count += 1) assert.deepEqual(said(await scene.post({})), ['b'])
    // At most one call meets what does not answer: the next ones know.
    assert.ok(scene.calls.filter((cluster) => cluster === 'a').length <= 1)
    const moved = extra(scene).filter((event) => event['moved_from'] !== undefined)
    for (const event of moved)
      assert.deepEqual([event['moved_from'], event['cluster'], event.outcome], ['ns/s@a', 'b', 'success'])
    assert.equal(scene.audits.length, 20)
  })

  test('moves on when a server would not have it: it asks to slow down, or refuses the credential', async () => {
    for (const reason of ['backend_overloaded', 'backend_refused'] as const) {
      const no: Script = () => {
        throw new Fault(reason, 'No.', { data: { server: 'ns/s@a' } })
      }
      const scene = bed('interchangeable', { a: no, b: answering(text('b')) })
      scene.health.set('b', 'suspect')
      assert.deepEqual(said(await scene.post({})), ['b'])
      assert.deepEqual(scene.calls, ['a', 'b'])
    }
  })

  test('does not move on when the call may have been executed, unless that is believed to be harmless', async () => {
    const failing = { a: gone(), b: gone({ server: 'ns/s@b' }), c: gone() }
    for (const [trustHints, hints, expected] of [
      [true, { readOnlyHint: true }, 2],
      [true, { idempotentHint: true }, 2],
      [true, {}, 1],
      [false, { readOnlyHint: true }, 1],
    ] as const) {
      const scene = bed('interchangeable', failing, { trustHints }, tool(hints))
      const { error } = await scene.post({})
      assert.equal(isObject(error) ? error['code'] : 0, 1502)
      assert.equal(scene.calls.length, expected, JSON.stringify([trustHints, hints]))
      assert.equal(scene.audits.length, 1)
    }
  })

  test('moves on when a proxy says that its server is away, as far as that is harmless; the last answer is the answer', async () => {
    const away: Script = (call) => ({
      kind: 'message',
      message: parseMessage(
        errorText(call.id, 1502, 'Server is away.', { reason: 'backend_unavailable', server: 'x' }),
      ),
    })
    const safe = tool({ readOnlyHint: true })
    const one = bed('interchangeable', { a: away, b: answering(text('b')) }, { trustHints: true }, safe)
    assert.deepEqual(said(await one.post({})), ['b'])
    const busy: Script = (call) => ({
      kind: 'message',
      message: parseMessage(errorText(call.id, 1529, 'Slow down.', { reason: 'backend_overloaded' })),
    })
    const lying = bed('interchangeable', { a: busy, b: busy }, { trustHints: true })
    const told = await lying.post({})
    assert.deepEqual([isObject(told['error']) && told['error']['code'], lying.calls.length], [1529, 1])
    const unsafe = bed('interchangeable', { a: away, b: away }, { trustHints: true })
    const { error } = await unsafe.post({})
    assert.equal(isObject(error) ? error['message'] : '', 'Server is away.')
    assert.equal(unsafe.calls.length, 1)
    const all = bed('interchangeable', { a: away, b: away }, { trustHints: true }, safe)
    const last = await all.post({})
    assert.equal(isObject(last['error']) ? last['error']['message'] : '', 'Server is away.')
    assert.equal(all.calls.length, 2)
  })

  test('moves on from a stream that ends before it has said anything, and keeps its clock', async () => {
    const broken: Script = () => ({
      kind: 'stream',
      // eslint-disable-next-line require-yield
      messages: (async function* () {
        throw new Fault('backend_unavailable', 'Server ended the stream.', { data: { server: 'ns/s@a' } })
      })(),
      answer: async () => undefined,
    })
    const silent: Script = () => new Promise(() => undefined)
    const safe = tool({ readOnlyHint: true })
    const scene = bed('interchangeable', { a: broken, b: answering(text('b')) }, { trustHints: true }, safe)
    assert.deepEqual(said(await scene.post({})), ['b'])
    const stuck = bed('interchangeable', { a: broken, b: silent }, { trustHints: true }, safe)
    stuck.health.set('b', 'suspect')
    const { error } = await stuck.post({})
    assert.deepEqual(isObject(error) ? error['data'] : undefined, {
      server: 'ns/s',
      cluster: 'b',
      retryAfterSeconds: 5,
      reason: 'backend_timeout',
    })
    assert.equal(stuck.audits.length, 1)
  })

  test('goes to clusters that are there before those that are not', async () => {
    const scene = bed('interchangeable', { a: answering(text('a')), b: answering(text('b')) })
    scene.health.set('a', 'offline')
    for (let count = 0; count < 10; count += 1) await scene.post({})
    assert.deepEqual(new Set(scene.calls), new Set(['b']))
  })

  test('answers a question where it was asked', async () => {
    const asks = (state: string) => answering({ resultType: 'input_required', requestState: state, inputRequests: {} })
    const scene = bed('interchangeable', { a: asks('of a'), b: asks('of b') })
    for (let count = 0; count < 8; count += 1) {
      const { result } = await scene.post({})
      assert.ok(isObject(result) && typeof result['requestState'] === 'string')
      await scene.post({}, { requestState: result['requestState'] })
    }
    const pairs = Array.from({ length: 8 }, (_, at) => [scene.calls[2 * at], scene.calls[2 * at + 1]])
    for (const [first, second] of pairs) assert.equal(second, first)
    for (const [at, sent] of scene.texts.entries())
      if (at % 2 === 1) assert.match(sent, new RegExp(`"requestState":"of ${scene.calls[at] ?? ''}"`, 'u'))
  })
})

describe('all clusters at once', () => {
  const reads = tool({ readOnlyHint: true })
  const everywhere = (scripts: Readonly<Record<string, Script>>) =>
    bed('addressable', scripts, { trustHints: true }, reads)

  test('give one answer with a labelled result of each, failures included, and leave one event', async () => {
    const failed = { isError: true, content: [{ type: 'text', text: 'no' }], structuredContent: { x: 1 } }
    const scene = everywhere({ a: answering(text('fine')), b: gone({ server: 'ns/s@b' }), c: answering(failed) })
    const { result } = await scene.post({ q: 1, cluster: '*' })
    assert.ok(isObject(result))
    assert.deepEqual(said({ result }), [
      'Cluster a:',
      'fine',
      'Cluster b failed: Server ns/s@a cannot be reached.',
      'Cluster c failed:',
      'no',
    ])
    const { structuredContent, isError, resultType } = result
    assert.ok(isObject(structuredContent) && Array.isArray(structuredContent['clusters']))
    const [a, b, c] = structuredContent['clusters']
    assert.ok(isObject(a) && isObject(b) && isObject(c) && isObject(a['result']) && isObject(c['result']))
    assert.deepEqual([a['cluster'], a['ok'], a['result']['content']], ['a', true, text('fine').content])
    assert.deepEqual(b, {
      cluster: 'b',
      ok: false,
      error: {
        code: 1502,
        message: 'Server ns/s@a cannot be reached.',
        data: { server: 'ns/s', cluster: 'b', retryAfterSeconds: 5, reason: 'backend_unavailable' },
      },
    })
    assert.deepEqual([c['cluster'], c['ok'], c['result']['structuredContent']], ['c', false, { x: 1 }])
    assert.deepEqual([isError, resultType], [undefined, 'complete'])
    for (const sent of scene.texts) assert.match(sent, /"arguments":\{"q":1\}/u)
    const [event, ...others] = extra(scene)
    assert.deepEqual(
      [event?.outcome, event?.['backend_name'], event?.['cluster'], event?.['clusters'], others.length],
      ['success', 'ns/s', undefined, 'a,b,c', 0],
    )
  })

  test('are in the words of their caller’s era, whatever the servers speak', async () => {
    for (const server of ['legacy', 'modern'] as const)
      for (const client of ['legacy', 'modern'] as const) {
        const scripts = { a: answering(text('a')), b: answering(text('b')) }
        const { post } = bed('addressable', scripts, { trustHints: true }, reads, { era: server })
        const { result, id } = await post({ cluster: '*' }, {}, client)
        assert.ok(isObject(result))
        assert.deepEqual(said({ result }), ['Cluster a:', 'a', 'Cluster b:', 'b'])
        assert.deepEqual([result['resultType'], id], [client === 'modern' ? 'complete' : undefined, 1])
      }
  })

  test('are an error when all of them failed', async () => {
    const scene = everywhere({ a: gone(), b: gone({ server: 'ns/s@b' }) })
    const { result } = await scene.post({ cluster: '*' })
    assert.equal(isObject(result) && result['isError'], true)
    assert.equal(extra(scene)[0]?.outcome, 'application_error')
  })

  test('wait for nobody longer than for one call, and not for those who ask back', async () => {
    const asks = answering({ resultType: 'input_required', requestState: 's', inputRequests: {} })
    const scene = everywhere({ a: () => new Promise(() => undefined), b: asks, c: answering(text('c')) })
    const { result } = await scene.post({ cluster: '*' })
    assert.ok(isObject(result))
    assert.deepEqual(said({ result }), [
      'Cluster a failed: Server ns/s@a did not answer within 2 s.',
      'Cluster b failed: This has no answer at once in this cluster: call it there alone.',
      'Cluster c:',
      'c',
    ])
  })

  test('share the space of one answer, and run side by side', async () => {
    let running = 0
    let most = 0
    const slow: Script = async (call) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 20))
      running -= 1
      return answering(text('x'))(call)
    }
    const clusters = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`c${at}`, slow]))
    const scene = everywhere(clusters)
    const { result } = await scene.post({ cluster: '*' })
    assert.equal((said({ result: result ?? null }) as Json[]).length, 80)
    assert.equal(most, 32)
    for (const limit of scene.limits) assert.equal(limit, Math.floor((8 * 1024 * 1024) / 40))
  })
})
