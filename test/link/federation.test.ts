// The same servers in two clusters behind one endpoint of a real edge: what each caller sees, and where its calls go.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HttpDoors } from '../../agent/uplink/door.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import type { Offer } from '../../agent/uplink/snapshot.ts'
import type { Published } from '../../plan/trim.ts'
import { Uplink } from '../../agent/uplink/uplink.ts'
import { readResource } from '../../crds/cluster.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, policy, virtual } from '../peers/manifests.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange, type Exchange } from '../peers/wire.ts'
import { join } from './scripted-uplink.ts'
import { unwatched } from './watch.ts'

interface Tool {
  readonly name: string
  readonly inputSchema: { readonly properties?: Readonly<Record<string, { readonly enum?: readonly string[] }>> }
}

function toolOf(name: string, annotations: object = {}, properties: object = {}) {
  return { name, description: name, inputSchema: { type: 'object', properties }, annotations }
}

function offer(name: string, federation: string, tools: readonly object[]): Offer {
  const annotations = { 'waggle.dev/federation': federation, 'waggle.dev/trust-hints': 'true' }
  const spec = { image: 'x', transport: 'streamable-http' }
  const reading = readResource(manifest('MCPServer', name, spec, annotations))
  assert.ok(reading.ok)
  const lists = { tools, prompts: [], resources: [], resourceTemplates: [] }
  const speaks = { era: 'modern', revision: '2026-07-28', capabilities: { tools: {} }, ttlMs: 60_000 }
  return { resource: reading.resource as Published, uid: name, catalog: JSON.stringify({ ...lists, ...speaks }) }
}

/** A cluster with the servers `docs`, `conv` and `odd`, whose proxies are one recorder that answers with the cluster's name. */
class Cluster {
  readonly proxy: Recorder
  readonly #doors = new HttpDoors()
  readonly #stop = new AbortController()
  readonly #running: Promise<unknown>
  isAway = false

  private constructor(name: string, proxy: Recorder, sessions: Sessions) {
    this.proxy = proxy
    const offers = [
      offer('docs', 'addressable', [
        toolOf('look', { readOnlyHint: true }),
        toolOf('note', {}, name === 'beta' ? { text: { type: 'string' } } : {}),
      ]),
      offer('conv', 'interchangeable', [toolOf('convert', { idempotentHint: true }), toolOf('charge')]),
      offer('odd', 'prefixed', [toolOf('ping')]),
    ]
    const door = () => this.#doors.door(this.isAway ? 'http://127.0.0.1:9/mcp' : proxy.url)
    const uplink = new Uplink({
      fleet: { offers: () => offers, door },
      sessions,
      replica: 'pod',
      version: '0.1.0',
      ca: undefined,
      watch: unwatched,
    })
    uplink.lead(true)
    this.#running = uplink.run(this.#stop.signal, 500)
  }

  static async start(edge: TestEdge, name: string): Promise<Cluster> {
    const proxy = await startRecorder()
    proxy.on('tools/call', () => JSON.stringify({ content: [{ type: 'text', text: name }] }))
    const identity = await join(edge, name)
    const sessions = new Sessions({ edge: edge.url, cluster: name, replica: 'pod', fetch, now: Date.now }, identity)
    return new Cluster(name, proxy, sessions)
  }

  /** Every call ends without an answer once it has arrived. */
  breakCalls(): void {
    this.proxy.takeover = ({ message }, response) => {
      if (message?.method === 'tools/call') response.destroy()
      return message?.method === 'tools/call'
    }
  }

  mend(): void {
    this.isAway = false
    this.proxy.takeover = undefined
    this.proxy.received.length = 0
  }

  get calls(): number {
    return this.proxy.calls('tools/call').length
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#doors.close()
    await this.proxy.close()
  }
}

describe('the same servers in two clusters', () => {
  let edge: TestEdge
  let alpha: Cluster
  let beta: Cluster
  let endpoint: string

  const token = (group: string) => edge.token(endpoint, { sub: `one of ${group}`, groups: [group] })
  async function list(group: string): Promise<Tool[]> {
    const { answer } = await exchange(endpoint, { method: 'tools/list', token: await token(group) })
    return (answer?.result?.['tools'] as Tool[] | undefined) ?? []
  }
  async function call(name: string, args: object = {}, group = 'operators'): Promise<Exchange> {
    const params = { name, arguments: args }
    return exchange(endpoint, { method: 'tools/call', token: await token(group), params })
  }
  const texts = ({ answer, body }: Exchange): string[] => {
    assert.ok(answer?.result !== undefined, body)
    return (answer.result['content'] as { text: string }[]).map(({ text }) => text)
  }
  const names = (tools: readonly Tool[]) => tools.map(({ name }) => name).toSorted()
  const choice = (tools: readonly Tool[], name: string) =>
    tools.find((tool) => tool.name === name)?.inputSchema.properties?.['cluster']?.enum
  const mend = () => [alpha, beta].forEach((cluster) => cluster.mend())

  before(async () => {
    edge = await startEdge({
      resources: [
        virtual('tools', ['docs', 'conv', 'odd']),
        policy('where', 'tools', [
          { tools: ['*'], groups: ['developers'], clusters: ['alpha'] },
          { tools: ['*'], groups: ['operators'], clusters: ['alpha', 'beta'] },
        ]),
      ],
    })
    endpoint = edge.endpoint('tools')
    alpha = await Cluster.start(edge, 'alpha')
    for (const until = Date.now() + 60_000; (await list('operators')).length < 5; await sleep(100))
      assert.ok(Date.now() < until, JSON.stringify(await list('operators')))
    beta = await Cluster.start(edge, 'beta')
    for (const until = Date.now() + 60_000; (await list('operators')).length < 7; await sleep(100))
      assert.ok(Date.now() < until, JSON.stringify(await list('operators')))
  })
  after(async () => {
    await alpha?.end()
    await beta?.end()
    await edge?.close()
  })

  test('are listed to each caller as far as it may use them', async () => {
    const operators = await list('operators')
    const all = ['alpha_ping', 'beta_ping', 'charge', 'convert', 'look', 'note', 'note_beta']
    assert.deepEqual(names(operators), all)
    assert.deepEqual(choice(operators, 'look'), ['alpha', 'beta', '*'])
    assert.equal(choice(operators, 'note'), undefined)
    assert.equal(choice(operators, 'convert'), undefined)
    const developers = await list('developers')
    assert.deepEqual(names(developers), ['alpha_ping', 'charge', 'convert', 'look', 'note'])
    assert.equal(choice(developers, 'look'), undefined)
    assert.deepEqual(await list('guests'), [])
  })

  test('are called where the caller says, if it may', async () => {
    mend()
    assert.deepEqual(texts(await call('look', { cluster: 'beta', q: 1 })), ['beta'])
    assert.equal(beta.proxy.calls('tools/call').at(-1)?.body.includes('"arguments":{"q":1}'), true)
    assert.deepEqual(texts(await call('look', { cluster: 'alpha' })), ['alpha'])
    assert.deepEqual(texts(await call('look', {}, 'developers')), ['alpha'])
    assert.deepEqual(texts(await call('beta_ping')), ['beta'])
    assert.deepEqual(texts(await call('note_beta')), ['beta'])
    for (const [name, args, group] of [
      ['look', {}, 'operators'],
      ['look', { cluster: 'gamma' }, 'operators'],
      ['look', { cluster: 'beta' }, 'developers'],
      ['look', { cluster: '*' }, 'developers'],
      ['beta_ping', {}, 'developers'],
      ['look', { cluster: 'alpha' }, 'guests'],
    ] as const) {
      const { answer } = await call(name, args, group)
      assert.equal(answer?.error?.code, -32602, JSON.stringify([name, args, group, answer]))
    }
    assert.deepEqual([alpha.calls, beta.calls], [2, 3])
  })

  test('are one at the endpoint of everything as well', async () => {
    mend()
    const everything = `${edge.url}/mcp`
    const token = await edge.token(everything, { groups: ['operators'] })
    const { answer } = await exchange(everything, { method: 'tools/list', token })
    const tools = (answer?.result?.['tools'] as Tool[] | undefined) ?? []
    const all = [
      'alpha_odd_ping',
      'beta_odd_ping',
      'conv_charge',
      'conv_convert',
      'docs_look',
      'docs_note',
      'docs_note_beta',
    ]
    assert.deepEqual(names(tools), all)
    assert.deepEqual(choice(tools, 'docs_look'), ['alpha', 'beta', '*'])
    const params = { name: 'docs_look', arguments: { cluster: 'beta' } }
    assert.deepEqual(texts(await exchange(everything, { method: 'tools/call', token, params })), ['beta'])
  })

  test('are called all at once, in one trail', async () => {
    mend()
    beta.isAway = true
    const answered = await call('look', { cluster: '*', q: 1 })
    const [label, said, failure] = texts(answered)
    assert.deepEqual([label, said], ['Cluster alpha:', 'alpha'])
    assert.match(failure ?? '', /^Cluster beta failed: /u)
    const structured = answered.answer?.result?.['structuredContent'] as {
      clusters: { cluster: string; ok: boolean }[]
    }
    assert.deepEqual(
      structured.clusters.map(({ cluster, ok }) => [cluster, ok]),
      [
        ['alpha', true],
        ['beta', false],
      ],
    )
    const event = await edge.audited((one) => JSON.stringify(one).includes('"clusters":"alpha,beta"'))
    assert.equal(event.outcome, 'success')
    assert.equal(alpha.proxy.calls('tools/call')[0]?.headers['waggle-request-id'], event.audit_id)
  })

  test('fail typed where only one of them will do', async () => {
    mend()
    beta.isAway = true
    const { answer } = await call('look', { cluster: 'beta' })
    const { server, cluster, reason } = answer?.error?.data ?? {}
    assert.deepEqual([answer?.error?.code, server, cluster, reason], [1502, 'test/docs', 'beta', 'backend_unavailable'])
    assert.equal(alpha.calls, 0)
  })

  test('stand in for each other where nothing was executed', async () => {
    mend()
    beta.isAway = true
    for (let count = 0; count < 10; count += 1)
      for (const tool of ['convert', 'charge']) assert.deepEqual(texts(await call(tool)), ['alpha'])
    assert.deepEqual([alpha.calls, beta.calls], [20, 0])
  })

  test('stand in for each other after a call that broke only where that is believed to be harmless', async () => {
    await sleep(3_000)
    mend()
    beta.breakCalls()
    for (let count = 0; count < 10; count += 1) assert.deepEqual(texts(await call('convert')), ['alpha'])
    await sleep(3_000)
    mend()
    beta.breakCalls()
    let calls = 0
    let failed = 0
    for (; failed === 0; calls += 1) {
      assert.ok(calls < 100)
      if ((await call('charge')).answer?.error?.code === 1502) failed += 1
    }
    assert.deepEqual([beta.calls, alpha.calls], [failed, calls - failed])
    assert.deepEqual(texts(await call('charge')), ['alpha'])
  })
})
