// One caller or one server must not use up what all share: time of the one thread, memory, the audit trail.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

describe('one caller', () => {
  let edge: TestEdge
  let backend: Recorder
  let other: Recorder
  let token: string
  let url: string

  before(async () => {
    backend = await startRecorder({ era: 'both', tools: ['first'].map(tool) })
    other = await startRecorder({ era: 'both', tools: ['second'].map(tool) })
    const templates = Array.from(
      { length: 4_000 },
      (_, index) => `{"name":"t${index}","uriTemplate":"x://{a${index}}zzzzzzzzzzzzzzzy{b}"}`,
    )
    backend.on('resources/templates/list', () => `{"resourceTemplates":[${templates.join(',')}]}`)
    edge = await startEdge({
      resources: [
        entry('backend', backend.url),
        entry('other', other.url),
        virtual('tools', ['backend', 'other']),
        virtual('open', ['backend'], { incomingAuth: { type: 'anonymous' } }),
      ],
    })
    url = edge.endpoint('tools')
    await edge.lists(url, ['first', 'second'])
    token = await edge.token(url)
  })

  after(async () => {
    await edge?.close()
    for (const peer of [backend, other]) await peer?.close()
  })

  async function post(body: string, session?: string): Promise<{ status: number; text: string }> {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        ...(session !== undefined && { 'mcp-session-id': session }),
      },
      body,
      signal: AbortSignal.timeout(60_000),
    })
    return { status: response.status, text: await response.text() }
  }

  test('does not write audit lines of any length, in whatever part of a message', async () => {
    const long = 'm'.repeat(1_000_000)
    await post(`{"jsonrpc":"2.0","id":1,"method":"${long}"}`)
    await post(`{"jsonrpc":"2.0","id":"${long}","method":"ping"}`)
    await post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${long}"}}`)
    await post(`{"jsonrpc":"2.0","method":"notifications/${long}"}`)
    await post(
      `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"${long}","clientInfo":{"name":"${long}"}}}`,
    )
    await fetch(`${edge.url}/${'n'.repeat(6_000)}/${'n'.repeat(6_000)}/mcp`, { method: 'POST' })
    await fetch(url, { method: 'POST', headers: { 'user-agent': 'u'.repeat(6_000), traceparent: 't'.repeat(6_000) } })
    await sleep(500)
    const lines = edge.lines().filter((line) => line.includes('audit_event'))
    const longest = Math.max(...lines.map((line) => line.length))
    assert.ok(
      longest < 4_096,
      `an audit line has ${longest} characters: ${lines.find((l) => l.length === longest)?.slice(0, 300)}`,
    )
  })

  test('gets no internal error by nesting, or by members that stand for methods of objects', async () => {
    const odd = ['{"toString":1,"valueOf":1}', nested(50_000), '{"__proto__":{"a":1}}', '1e999']
    const bodies = odd.flatMap((value) => [
      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${value}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":${value},"version":${value}}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"first","arguments":${value},"_meta":{"progressToken":${value}}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"first","requestState":${value},"_meta":${value}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":${value}}}`,
      `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":${value}}}`,
      `{"jsonrpc":"2.0","id":${value},"method":"ping"}`,
      `{"jsonrpc":"2.0","id":1,"method":${value}}`,
      `{"jsonrpc":${value},"id":1,"method":"ping"}`,
    ])
    for (const session of [undefined, await openSession(url, token)]) {
      for (const body of bodies) {
        const { status, text } = await post(body, session)
        assert.ok(status < 500, `${status} ${text} for ${body.slice(0, 200)}`)
        assert.doesNotMatch(text, /-32603/, body.slice(0, 200))
      }
    }
  })

  test('does not stop the thread with a long URI that many templates are tried on', async () => {
    const started = Date.now()
    await post(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x://${'z'.repeat(4_000_000)}"}}`)
    const took = Date.now() - started
    console.log(`a URI of 4 MB takes ${took} ms`)
    assert.ok(took < 8_000, `${took} ms`)
  })

  test('is not heard for ever: a body that never comes is given up', async () => {
    const port = Number(new URL(edge.url).port)
    const path = new URL(edge.endpoint('open')).pathname
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    )
    let answered = ''
    socket.on('data', (chunk: Buffer) => (answered += chunk.toString()))
    socket.on('error', () => undefined)
    const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    await Promise.race([ended, sleep(90_000, undefined, { ref: false })])
    const given = answered !== '' || socket.destroyed
    socket.destroy()
    assert.ok(given, 'the edge still waits after 90 s')
  })

  test('cannot say where it comes from: the source in the audit trail is no header of its own', async () => {
    await fetch(url, { method: 'POST', headers: { 'cf-connecting-ip': '203.0.113.99' } })
    await sleep(300)
    assert.ok(!edge.lines().some((line) => line.includes('203.0.113.99')), 'the audit trail has an invented address')
  })
})

describe('one server', () => {
  let edge: TestEdge
  let backend: Recorder
  let good: Recorder
  let url: string
  let token: string

  before(async () => {
    const properties = (count: number): string =>
      Array.from({ length: count }, (_, index) => `"p${index}":{"type":"string","x-mcp-header":"H${index}"}`).join(',')
    backend = await startRecorder({
      era: 'modern',
      tools: [tool('plain'), `{"name":"many","inputSchema":{"type":"object","properties":{${properties(3_000)}}}}`],
    })
    good = await startRecorder({ tools: ['fine'].map(tool) })
    edge = await startEdge({
      resources: [entry('backend', backend.url), entry('good', good.url), virtual('tools', ['backend', 'good'])],
    })
    url = edge.endpoint('tools')
    await edge.lists(url, ['plain', 'fine'])
    token = await edge.token(url)
  })

  after(async () => {
    await edge?.close()
    for (const peer of [backend, good]) await peer?.close()
  })

  /** How long the others wait at most while `work` goes on. */
  async function meanwhile(work: () => Promise<unknown>): Promise<number> {
    let longest = 0
    const state = { busy: true }
    const done = work().finally(() => (state.busy = false))
    done.catch(() => undefined)
    while (state.busy) {
      const started = Date.now()
      const response = await fetch(`${edge.url}/healthz`)
      await response.text()
      longest = Math.max(longest, Date.now() - started)
      await sleep(20)
    }
    await done.catch(() => undefined)
    return longest
  }

  test('does not stop the thread by asking for thousands of mirrored arguments', async () => {
    const padding = Array.from({ length: 500_000 }, () => 1)
    const longest = await meanwhile(() =>
      exchange(url, {
        method: 'tools/call',
        params: { name: 'many', arguments: { padding } },
        token,
        timeoutMs: 60_000,
      }),
    )
    console.log(`everybody waited ${longest} ms`)
    assert.ok(longest < 6_000, `everybody waited ${longest} ms`)
  })

  test('does not stop the thread by answering with millions of empty values', async () => {
    backend.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      const content = '{},'.repeat(7_000_000)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(
        `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"resultType":"complete","x":[${content}1],"content":[]}}`,
      )
      return true
    }
    const before = await peak(edge.pid)
    const longest = await meanwhile(() =>
      exchange(url, { method: 'tools/call', params: { name: 'plain', arguments: {} }, token, timeoutMs: 60_000 }),
    )
    const grown = (await peak(edge.pid)) - before
    backend.takeover = undefined
    console.log(`everybody waited ${longest} ms`)
    assert.ok(longest < 6_000, `everybody waited ${longest} ms`)
    assert.ok(grown < 200, `one answer of 21 MB took ${grown} MB; an isolate has 128`)
  })
})

/** Largest resident memory of a process so far, in MB. */
async function peak(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}
