// Questions of a legacy server when one side means no good: nobody is asked what it did not declare, no answer reaches anybody
// but the server that asked, nothing grows without bound.

import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Received, Recorder } from '../peers/recorder.ts'
import { openCaller } from './wire.ts'
import type { Caller } from './wire.ts'

const form =
  '"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}'

describe('questions of a legacy server', () => {
  let edge: TestEdge
  let asker: Recorder
  let other: Recorder
  const held: ServerResponse[] = []

  before(async () => {
    const tools = (name: string) => [`{"name":"${name}","inputSchema":{"type":"object"}}`]
    asker = await startRecorder({ era: 'legacy', tools: tools('ask') })
    other = await startRecorder({ era: 'legacy', tools: tools('idle') })
    edge = await startEdge({
      resources: [
        entry('asker', asker.url),
        entry('other', other.url),
        virtual('both', ['asker', 'other']),
        virtual('twin', ['asker']),
      ],
    })
    await edge.lists(edge.endpoint('both'), ['ask', 'idle'])
    await edge.lists(edge.endpoint('twin'), ['ask'])
  })
  afterEach(() => {
    asker.takeover = undefined
    for (const response of held.splice(0)) response.destroy()
  })
  after(async () => {
    await edge?.close()
    await Promise.all([asker, other].map((backend) => backend.close()))
  })

  async function open(capabilities?: object, name = 'both', sub = 'alice'): Promise<Caller> {
    const url = edge.endpoint(name)
    return openCaller(url, await edge.token(url, { sub }), capabilities)
  }

  /** Calls of `ask` get a stream on which the test says what it likes. */
  function hold(): { say: (...messages: string[]) => void; done: (id?: string) => void; cut: () => void } {
    const streams: ServerResponse[] = []
    asker.received.length = 0
    other.received.length = 0
    asker.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      held.push(response)
      streams.push(response)
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      return true
    }
    const say = (...messages: string[]) => {
      for (const message of messages) streams.at(-1)?.write(`data: {"jsonrpc":"2.0",${message}}\n\n`)
    }
    return {
      say,
      done: (id = '"call"') => {
        say(`"id":${id},"result":{"content":[{"type":"text","text":"done"}]}`)
        streams.at(-1)?.end()
      },
      cut: () => streams.at(-1)?.destroy(),
    }
  }

  /** Starts a call and waits until the server has it. */
  async function begin(caller: Caller, more?: Parameters<Caller['call']>[1]) {
    const before = asker.calls('tools/call').length
    const pending = caller.call('ask', more)
    pending.catch(() => undefined)
    await until(() => asker.calls('tools/call').length > before)
    return pending
  }

  async function until(met: () => boolean, patienceMs = 60_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!met()) {
      assert.ok(Date.now() < deadline, `not met within ${patienceMs} ms`)
      await sleep(20)
    }
  }

  /** What the server got back for its requests. */
  const answers = (backend = asker): Received[] =>
    backend.received.filter(({ body }) => body !== '' && !('method' in (JSON.parse(body) as object)))

  async function ask(caller: Caller, server: ReturnType<typeof hold>, question = `"id":0,${form}`) {
    const pending = caller.call('ask')
    await until(() => asker.calls('tools/call').length > 0)
    server.say(question)
    const calling = await pending
    const asked = await calling.next()
    assert.ok(asked)
    return { calling, asked }
  }

  test('travel under an id that tells nothing, and the answer comes back byte for byte under the server’s own', async () => {
    const server = hold()
    const caller = await open()
    for (const id of ['"a \\u0022 b"', '12345678901234567890', '0', '""']) {
      asker.received.length = 0
      const { calling, asked } = await ask(caller, server, `"id":${id},${form}`)
      assert.equal(typeof asked.message.id, 'string')
      assert.match(String(asked.message.id), /^[\w.-]{100,}$/)
      const answer =
        '{ "result":{"action":"accept","content":{"n":1.0,"big":12345678901234567890}},"jsonrpc":"2.0","id":ID }'
      assert.equal(await caller.post(answer.replace('ID', JSON.stringify(asked.message.id))), 202)
      await until(() => answers().length > 0)
      assert.equal(answers()[0]?.body, answer.replace('ID', id))
      server.done()
      assert.deepEqual(
        (await calling.rest()).map((one) => one.id),
        ['call'],
      )
    }
    assert.deepEqual(answers(other), [])
  })

  test('that are errors pass too', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    await caller.post(
      JSON.stringify({ jsonrpc: '2.0', id: asked.message.id, error: { code: -1, message: 'no', data: [1] } }),
    )
    await until(() => answers().length > 0)
    assert.equal(answers()[0]?.body, '{"jsonrpc":"2.0","id":0,"error":{"code":-1,"message":"no","data":[1]}}')
    server.done()
    await calling.rest()
  })

  test('are answered by their own session only', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    const strangers = [await open(), await open(undefined, 'twin'), await open(undefined, 'both', 'mallory')]
    for (const stranger of strangers) assert.equal(await stranger.result(asked.message.id), 202)
    const sealed = String(asked.message.id)
    for (const forged of [`${sealed.slice(0, -3)}AAA`, 0, '0', 'call', caller.session, '', 1.5])
      assert.equal(await caller.result(forged), 202)
    await caller.post(`{"jsonrpc":"2.0","id":null,"result":{}}`)
    await sleep(300)
    assert.deepEqual([answers(), answers(other)], [[], []])
    await caller.result(asked.message.id)
    await until(() => answers().length === 1)
    server.done()
    await calling.rest()
  })

  test('leave one audit event for each answer, and say which server it was for', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    const before = await edge.settled()
    await caller.result(asked.message.id)
    await caller.result('forged')
    await until(() => edge.audit().length >= before + 2)
    await edge.settled()
    const extras = edge
      .audit()
      .slice(before)
      .map((event) => (event['metadata'] as { extra: Record<string, unknown> }).extra)
    assert.deepEqual(
      extras.map(({ backend_name }) => backend_name),
      ['test/asker', undefined],
    )
    server.done()
    await calling.rest()
    await until(() => edge.audit().length === before + 3)
  })

  test('that the client did not declare to answer are declined, and it never hears of them', async () => {
    const server = hold()
    const caller = await open({ elicitation: {} })
    const pending = begin(caller)
    await until(() => asker.calls('tools/call').length === 1)
    server.say(
      '"id":1,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}',
      '"id":2,"method":"roots/list"',
      '"id":3,"method":"elicitation/create","params":{"mode":"url","message":"m","url":"https://x.example","elicitationId":"1"}',
      '"id":4,"method":"tools/call","params":{"name":"ask"}',
      '"id":5,"method":"ping"',
      `"id":6,${form}`,
    )
    const calling = await pending
    const first = await calling.next()
    assert.equal(first?.message.method, 'elicitation/create')
    await until(() => answers().length >= 5)
    const sent = answers().map(
      ({ body }) => JSON.parse(body) as { id: number; error?: { code: number }; result?: unknown },
    )
    assert.deepEqual(
      sent.map(({ id, error, result }) => [id, error?.code ?? result]),
      [
        [1, -32601],
        [2, -32601],
        [3, -32601],
        [4, -32601],
        [5, {}],
      ],
    )
    server.done()
    assert.equal((await calling.rest()).length, 1)
  })

  test('are declined when the client reads no stream', async () => {
    const server = hold()
    const caller = await open()
    const pending = begin(caller, { accept: 'application/json' })
    await until(() => asker.calls('tools/call').length === 1)
    server.say(`"id":6,${form}`)
    await until(() => answers().length === 1)
    server.done()
    assert.deepEqual(
      (await (await pending).rest()).map((one) => one.id),
      ['call'],
    )
  })

  test('are too many after 32 in one call', async () => {
    const server = hold()
    const caller = await open()
    const pending = begin(caller)
    await until(() => asker.calls('tools/call').length === 1)
    server.say(...Array.from({ length: 40 }, (_, index) => `"id":${index},${form}`))
    const calling = await pending
    await until(() => answers().length === 8)
    assert.deepEqual(
      answers().map(({ body }) => (JSON.parse(body) as { id: number }).id),
      [32, 33, 34, 35, 36, 37, 38, 39],
    )
    server.done()
    const heard = await calling.rest()
    assert.equal(heard.filter(({ method }) => method === 'elicitation/create').length, 32)
  })

  test('without end are the server’s fault', async () => {
    const server = hold()
    const caller = await open()
    const pending = begin(caller)
    await until(() => asker.calls('tools/call').length === 1)
    server.say(...Array.from({ length: 1100 }, (_, index) => `"id":${index},"method":"ping"`))
    const [ended] = await (await pending).rest()
    assert.equal(ended?.error?.code, 1520)
    await until(() => answers().length >= 1000)
    await sleep(200)
    assert.equal(answers().length, 1000)
  })

  test('with an answer out of all proportion get an error, and the call goes on', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    await caller.result(asked.message.id, { action: 'accept', content: { text: 'x'.repeat(5 << 20) } })
    await until(() => answers().length === 1)
    assert.match(String(answers()[0]?.body), /"id":0,"error":\{"code":-32603,"message":"The answer is too large/)
    server.done()
    assert.equal((await calling.rest()).at(-1)?.id, 'call')
  })

  test('answered twice, or after the call, harm nobody', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    await caller.result(asked.message.id)
    await caller.result(asked.message.id)
    server.done()
    await calling.rest()
    assert.equal(await caller.result(asked.message.id), 202)
    asker.takeover = undefined
    assert.equal((await (await caller.call('ask')).rest()).length, 1)
  })

  test('carry progress back to their server, under the token that it gave', async () => {
    const server = hold()
    const caller = await open()
    const question =
      '"id":0,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"_meta":{"progressToken":7}}'
    const { calling, asked } = await ask(caller, server, question)
    const token = String((asked.message.params?.['_meta'] as { progressToken?: string } | undefined)?.progressToken)
    assert.match(token, /^[\w.-]{100,}$/)
    const progress = (value: unknown) =>
      JSON.stringify({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: value, progress: 1 },
      })
    const stranger = await open()
    for (const [who, value] of [
      [stranger, token],
      [caller, 7],
      [caller, asked.message.id],
    ] as const)
      assert.equal(await who.post(progress(value)), 202)
    assert.equal(await caller.post(progress(token)), 202)
    await until(() => asker.calls('notifications/progress').length > 0)
    assert.deepEqual(
      asker.calls('notifications/progress').map(({ body }) => body),
      [progress(7)],
    )
    assert.deepEqual(other.calls('notifications/progress'), [])
    server.done()
    await calling.rest()
  })

  test('are taken back under the id that the client knows, and those of others cannot be', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server, `"id":"q",${form}`)
    const cancelled = (id: string) => `"method":"notifications/cancelled","params":{"requestId":${id},"reason":"late"}`
    server.say(cancelled('"unknown"'), cancelled('"call"'), cancelled('"q"'))
    server.done()
    const heard = await calling.rest()
    assert.deepEqual(
      heard.map(({ method, params, id }) => [method ?? id, params?.['requestId'], params?.['reason']]),
      [
        ['notifications/cancelled', asked.message.id, 'late'],
        ['call', undefined, undefined],
      ],
    )
  })

  test('are taken back when their server is gone', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    server.cut()
    const [taken, ended, ...more] = await calling.rest()
    assert.deepEqual([taken?.method, taken?.params?.['requestId']], ['notifications/cancelled', asked.message.id])
    assert.deepEqual([ended?.id, ended?.error?.code, more.length], ['call', 1502, 0])
  })

  test('go with the client that leaves: the server is told, and one event is left', async () => {
    const server = hold()
    const caller = await open()
    const before = await edge.settled()
    const { calling } = await ask(caller, server)
    calling.leave()
    await until(() => asker.calls('notifications/cancelled').length === 1)
    await until(() => edge.audit().length > before)
    assert.equal(await edge.settled(), before + 1)
  })

  test('are not answered by who may not use their server any more', async () => {
    const server = hold()
    const caller = await open()
    const { calling, asked } = await ask(caller, server)
    await edge.apply([policy('closed', 'both', [{ tools: ['ask'], groups: ['nobody'] }])])
    await sleep(6_000)
    assert.equal(await caller.result(asked.message.id), 202)
    await edge.audited(
      (event) => event.outcome === 'denied' && JSON.stringify(event).includes('question of test/asker'),
    )
    assert.deepEqual(answers(), [])
    server.done()
    await calling.rest()
  })
})

describe('changed roots', () => {
  test('are told to the servers that the session uses, if the client has any', async () => {
    const used = await startRecorder({ era: 'legacy' })
    const unused = await startRecorder({ era: 'legacy', tools: ['{"name":"idle","inputSchema":{"type":"object"}}'] })
    const edge = await startEdge({
      resources: [entry('used', used.url), entry('unused', unused.url), virtual('both', ['used', 'unused'])],
    })
    try {
      const url = edge.endpoint('both')
      await edge.lists(url, ['echo', 'idle'])
      const changed = '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'
      const told = (one: Recorder) => one.calls('notifications/roots/list_changed').length
      for (const capabilities of [{}, { roots: { listChanged: true } }]) {
        const caller = await openCaller(url, await edge.token(url), capabilities)
        await (await caller.call('echo')).rest()
        assert.equal(await caller.post(changed), 202)
        await sleep(500)
      }
      for (const deadline = Date.now() + 60_000; told(used) === 0; await sleep(20)) assert.ok(Date.now() < deadline)
      assert.deepEqual([told(used), told(unused)], [1, 0])
    } finally {
      await edge.close()
      await Promise.all([used.close(), unused.close()])
    }
  })
})
