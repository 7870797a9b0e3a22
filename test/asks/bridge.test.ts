// A modern server that wants input of a legacy client, on the wire: what the client sees, what the server gets, and how it ends
// when one of them does not play along.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { Refusal, startRecorder } from '../peers/recorder.ts'
import type { Message, Recorder } from '../peers/recorder.ts'
import { openCaller } from './wire.ts'
import type { Caller, Calling } from './wire.ts'

const form =
  '{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{},"n":1.0}}}'
const url = '{"method":"elicitation/create","params":{"mode":"url","message":"Connect","url":"https://a.example/x"}}'
const roots = '{"method":"roots/list"}'
const wants = (requests: string, more = '') => `{"resultType":"input_required","inputRequests":{${requests}}${more}}`
const DONE = '{"content":[{"type":"text","text":"done"}]}'

describe('a modern server that wants input of a legacy client', () => {
  let edge: TestEdge
  let backend: Recorder
  /** What the server answers, one call after the other; then it is done. */
  const script: ((message: Message) => string)[] = []

  before(async () => {
    backend = await startRecorder({ era: 'modern' })
    backend.on('tools/call', (message) => script.shift()?.(message) ?? DONE)
    edge = await startEdge({ resources: [entry('modern', backend.url), virtual('modern', ['modern'])] })
    await edge.lists(edge.endpoint('modern'), ['echo'])
  })
  afterEach(() => {
    script.length = 0
    backend.takeover = undefined
    backend.reply = 'json'
  })
  after(async () => {
    await edge?.close()
    await backend?.close()
  })

  async function open(capabilities?: object, revision?: string): Promise<Caller> {
    const endpoint = edge.endpoint('modern')
    backend.received.length = 0
    return openCaller(endpoint, await edge.token(endpoint), capabilities, revision)
  }

  const answered = (...results: string[]) => {
    script.push(...results.map((result) => () => result))
  }

  async function question(calling: Calling) {
    const one = await calling.next()
    assert.ok(one?.message.id !== undefined, `no question: ${one?.text}`)
    return one
  }

  async function until(met: () => boolean, patienceMs = 60_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!met()) {
      assert.ok(Date.now() < deadline, `not met within ${patienceMs} ms`)
      await sleep(20)
    }
  }

  test('gets the call again with the answers, byte for byte, and its state, which the client never sees', async () => {
    const caller = await open()
    answered(wants(`"a\\n":${form},"b":${roots}`, ',"requestState":"top \\u0073ecret"'), wants(`"c":${url}`))
    const calling = await caller.call('echo', { id: 'mine', meta: { progressToken: 5, 'com.example/own': 1 } })
    assert.equal(calling.type, 'text/event-stream')
    const [first, second] = [await question(calling), await question(calling)]
    assert.match(
      first.text,
      /"params":\{"mode":"form","message":"Who\?","requestedSchema":\{"type":"object","properties":\{\},"n":1\.0\}\}/,
    )
    assert.equal(second.message.method, 'roots/list')
    const answer = (id: unknown, result: string) =>
      caller.post(`{"id":${JSON.stringify(id)},"result":${result},"jsonrpc":"2.0"}`)
    await answer(second.message.id, '{ "roots":[] }')
    await answer(first.message.id, '{"action":"accept","content":{"n":12345678901234567890}}')
    const third = await question(calling)
    assert.deepEqual(
      [third.message.params?.['url'], typeof third.message.params?.['elicitationId']],
      ['https://a.example/x', 'string'],
    )
    await answer(third.message.id, '{"action":"accept"}')
    const [done, ...more] = await calling.rest()
    assert.deepEqual([done?.id, done?.result?.['content'], more.length], ['mine', [{ type: 'text', text: 'done' }], 0])

    const calls = backend.calls('tools/call')
    assert.equal(calls.length, 3)
    assert.match(
      String(calls[1]?.body),
      /"inputResponses":\{"a\\n":\{"action":"accept","content":\{"n":12345678901234567890\}\},"b":\{ "roots":\[\] \}\}/,
    )
    assert.match(String(calls[1]?.body), /"requestState":"top \\u0073ecret"/)
    assert.match(String(calls[2]?.body), /"inputResponses":\{"c":\{"action":"accept"\}\}/)
    assert.doesNotMatch(String(calls[2]?.body), /requestState/)
    assert.equal(new Set(calls.map(({ message }) => message?.id)).size, 3)
    for (const { message, headers } of calls) {
      const { name, _meta: meta } = (message?.params ?? {}) as { name?: string; _meta?: Record<string, unknown> }
      assert.deepEqual([name, headers['mcp-name'], headers['mcp-method']], ['echo', 'echo', 'tools/call'])
      assert.deepEqual([meta?.['progressToken'], meta?.['com.example/own']], [5, 1])
      assert.deepEqual(meta?.['io.modelcontextprotocol/clientCapabilities'], {
        elicitation: { form: {}, url: {} },
        sampling: { tools: {} },
        roots: {},
      })
    }
    for (const { text } of [first, second, third]) assert.doesNotMatch(text, /secret/)
  })

  test('is told only of capabilities that can be used: none without a stream or a session', async () => {
    const caller = await open()
    answered(wants(`"a":${form}`))
    const calling = await caller.call('echo', { accept: 'application/json' })
    const [only] = await calling.rest()
    assert.equal(only?.result?.['isError'], true)
    assert.match(
      JSON.stringify(only.result),
      /test\/modern needs something that this client cannot be asked for.*Who\?/,
    )
    const [call] = backend.calls('tools/call')
    const meta = (call?.message?.params?.['_meta'] ?? {}) as Record<string, unknown>
    assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], {})
  })

  test('that sends clients to a URL reaches one that cannot be asked as the error for that, where there is one', async () => {
    const recent = await open({ elicitation: {} })
    answered(wants(`"a":${url}`))
    const [error] = await (await recent.call('echo')).rest()
    assert.equal(error?.error?.code, -32042)
    assert.match(JSON.stringify(error.error.data), /"mode":"url","message":"Connect","url":"https:\/\/a\.example\/x"/)
    const older = await open({ elicitation: {} }, '2025-06-18')
    answered(wants(`"a":${url}`))
    const [told] = await (await older.call('echo')).rest()
    assert.match(JSON.stringify(told?.result), /Connect.*https:\/\/a\.example\/x/)
  })

  test('speaks to older clients in their words', async () => {
    const older = await open({ elicitation: {} }, '2025-06-18')
    answered(wants(`"a":${form}`))
    const calling = await older.call('echo')
    const asked = await question(calling)
    assert.equal('mode' in (asked.message.params ?? {}), false)
    await older.result(asked.message.id)
    assert.equal((await calling.rest()).at(-1)?.id, 'call')
  })

  test('names a capability that is missing, and the client reads it', async () => {
    const caller = await open({})
    script.push(() => {
      throw new Refusal('{"code":-32021,"message":"m","data":{"requiredCapabilities":{"sampling":{}}}}')
    })
    const [told] = await (await caller.call('echo')).rest()
    assert.match(JSON.stringify(told?.result), /needs the capability sampling/)
  })

  test('that asks for the state alone is asked again at once, without end it is not', async () => {
    const caller = await open()
    answered(wants('', ',"requestState":"1"'))
    assert.equal((await (await caller.call('echo')).rest()).at(-1)?.result?.['content'] !== undefined, true)
    backend.received.length = 0
    answered(...Array.from({ length: 20 }, () => wants('', ',"requestState":"1"')))
    const [ended] = await (await caller.call('echo')).rest()
    assert.equal(ended?.error?.code, 1520)
    assert.match(ended.error.message, /asks again and again/)
    assert.equal(backend.calls('tools/call').length, 9)
  })

  test('that wants too much at once, or what nobody understands, is at fault', async () => {
    const caller = await open()
    const many = Array.from({ length: 17 }, (_, index) => `"${index}":${roots}`).join(',')
    for (const bad of [wants(many), wants('"a":7'), '{"resultType":"input_required","inputRequests":[]}']) {
      answered(bad)
      const [ended] = await (await caller.call('echo')).rest()
      assert.equal(ended?.error?.code, 1520, bad)
    }
  })

  test('does not get the call again when the client refuses, or answers what is no answer', async () => {
    const caller = await open()
    const bad = [
      (id: string) => `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"no"}}`,
      (id: string) => `{"jsonrpc":"2.0","id":${id},"result":[]}`,
      (id: string) => `{"jsonrpc":"2.0","id":${id},"result":{"x":"${'x'.repeat(5 << 20)}"}}`,
    ]
    for (const text of bad) {
      backend.received.length = 0
      answered(wants(`"a":${form},"b":${roots}`))
      const calling = await caller.call('echo')
      const [first, second] = [await question(calling), await question(calling)]
      assert.equal(await caller.post(text(JSON.stringify(first.message.id))), 202)
      const [taken, ended, ...more] = await calling.rest()
      assert.deepEqual([taken?.params?.['requestId'], more.length], [second.message.id, 0])
      assert.equal(ended?.error?.code, 1499)
      assert.match(ended.error.message, /did not answer what server test\/modern asked/)
      assert.equal(backend.calls('tools/call').length, 1)
    }
  })

  test('gets the first answer, of the session that was asked, whatever others send', async () => {
    const caller = await open()
    const stranger = await open()
    answered(wants(`"a":${form}`))
    const calling = await caller.call('echo')
    const asked = await question(calling)
    await stranger.result(asked.message.id, { action: 'accept', content: { from: 'stranger' } })
    await caller.result('forged', { action: 'accept', content: { from: 'forger' } })
    await sleep(200)
    assert.equal(backend.calls('tools/call').length, 1)
    await caller.result(asked.message.id, { action: 'accept', content: { from: 'first' } })
    await caller.result(asked.message.id, { action: 'accept', content: { from: 'second' } })
    assert.equal((await calling.rest()).at(-1)?.id, 'call')
    assert.match(String(backend.calls('tools/call')[1]?.body), /"from":"first"/)
    assert.equal(await caller.result(asked.message.id), 202)
  })

  test('is not called again for a client that leaves or cancels', async () => {
    const caller = await open()
    for (const end of ['leaves', 'cancels']) {
      backend.received.length = 0
      answered(wants(`"a":${form}`))
      await edge.settled()
      const before = edge.audit().filter(({ type }) => type === 'mcp_tool_call').length
      const calling = await caller.call('echo', { id: end })
      const asked = await question(calling)
      if (end === 'leaves') calling.leave()
      else {
        const params = { requestId: end }
        await caller.post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }))
        const heard = await calling.rest()
        assert.deepEqual(
          heard.map(({ error, params: more }) => error?.code ?? more?.['requestId']),
          [asked.message.id, 1499],
        )
      }
      await until(() => edge.audit().filter(({ type }) => type === 'mcp_tool_call').length === before + 1)
      await caller.result(asked.message.id)
      await sleep(300)
      assert.equal(backend.calls('tools/call').length, 1)
    }
  })

  test('may report progress between its rounds', async () => {
    const caller = await open()
    backend.reply = 'sse'
    let rounds = 0
    backend.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      rounds += 1
      const params = { progressToken: 5, progress: rounds }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })}\n\n`)
      const result = rounds === 1 ? wants(`"a":${form}`) : `{"resultType":"complete",${DONE.slice(1)}`
      response.end(`data: {"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${result}}\n\n`)
      return true
    }
    const calling = await caller.call('echo', { meta: { progressToken: 5 } })
    assert.equal((await calling.next())?.message.method, 'notifications/progress')
    const asked = await question(calling)
    await caller.result(asked.message.id)
    assert.deepEqual(
      (await calling.rest()).map(({ method, id, params }) => [method ?? id, params?.['progress']]),
      [
        ['notifications/progress', 2],
        ['call', undefined],
      ],
    )
  })
})
