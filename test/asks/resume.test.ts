// The stream of a call that its client loses, and goes on with by GET (MCP 2025-11-25, basic/transports, resumability).

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js'
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { startResumable } from '../upstream/resumable.ts'
import type { Resumable } from '../upstream/resumable.ts'
import { openCaller } from './wire.ts'
import type { Caller } from './wire.ts'

describe('the stream of a call', () => {
  let edge: TestEdge
  let real: Resumable
  let scripted: Recorder
  const held: ServerResponse[] = []

  before(async () => {
    real = await startResumable('streamable-http')
    scripted = await startRecorder({ era: 'legacy' })
    edge = await startEdge({
      resources: [
        entry('real', real.url),
        entry('scripted', scripted.url),
        virtual('real', ['real']),
        virtual('scripted', ['scripted', 'real']),
      ],
    })
    await edge.lists(edge.endpoint('real'), ['count'])
    await edge.lists(edge.endpoint('scripted'), ['echo', 'count'])
  })
  afterEach(() => {
    scripted.takeover = undefined
    for (const response of held.splice(0)) response.destroy()
  })
  after(async () => {
    await edge?.close()
    await real?.close()
    await scripted?.close()
  })

  async function open(name = 'scripted', sub = 'alice', revision?: string): Promise<Caller> {
    const url = edge.endpoint(name)
    return openCaller(url, await edge.token(url, { sub }), undefined, revision)
  }

  /** A server that gives its events ids: calls get `first` and then nothing, GETs after it get `rest`. */
  function script(first: string, rest: string): { readonly after: string[] } {
    const after: string[] = []
    scripted.received.length = 0
    scripted.takeover = ({ message, httpMethod, headers }, response) => {
      const isGet = httpMethod === 'GET' && headers['last-event-id'] !== undefined
      if (!isGet && message?.method !== 'tools/call') return false
      held.push(response)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      if (isGet) after.push(String(headers['last-event-id']))
      response.write(isGet ? rest : first)
      return true
    }
    return { after }
  }

  const event = (id: string, message: string) => `id: ${id}\ndata: {"jsonrpc":"2.0",${message}}\n\n`
  const progress = (step: number) =>
    `"method":"notifications/progress","params":{"progressToken":"p","progress":${step}}`
  const response = '"id":"call","result":{"content":[{"type":"text","text":"done"}]}'

  async function until(met: () => boolean, patienceMs = 60_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!met()) {
      assert.ok(Date.now() < deadline, `not met within ${patienceMs} ms`)
      await sleep(20)
    }
  }

  test('goes on for a client that lost its connection; the tool runs once', async () => {
    const url = edge.endpoint('real')
    const requestInit = { headers: { authorization: `Bearer ${await edge.token(url)}` } }
    const connect = async (sessionId?: string) => {
      const transport = new StreamableHTTPClientTransport(new URL(url), {
        requestInit,
        ...(sessionId !== undefined && { sessionId }),
      })
      const client = new Client({ name: 'resuming', version: '1.0.0' })
      await client.connect(transport)
      return { client, transport }
    }
    const ran = real.ran()
    const first = await connect()
    let last = ''
    const params = { name: 'count', arguments: {}, _meta: { progressToken: 1 } }
    const lost = first.client.request({ method: 'tools/call', params }, CallToolResultSchema, {
      onresumptiontoken: (token) => {
        last = token
      },
    })
    lost.catch(() => undefined)
    await until(() => last !== '')
    const { sessionId } = first.transport
    await first.client.close()

    const second = await connect(sessionId)
    const result = await second.client.request({ method: 'tools/call', params }, CallToolResultSchema, {
      resumptionToken: last,
      timeout: 60_000,
    })
    assert.deepEqual(result.content, [{ type: 'text', text: 'three' }])
    assert.equal(real.ran(), ran + 1)
    await second.transport.terminateSession()
    await second.client.close()
  })

  test('has ids that tell nothing, and leaving it is not cancelling', async () => {
    const server = script(event('e-1', progress(1)), event('e-2', progress(2)) + event('e-3', response))
    const caller = await open()
    const before = await edge.settled()
    const calling = await caller.call('echo', { meta: { progressToken: 'p' } })
    const heard = await calling.next()
    assert.match(String(heard?.event), /^[\w.-]{100,}$/)
    calling.leave()
    await until(() => edge.audit().length > before)
    await sleep(300)
    assert.equal(scripted.calls('notifications/cancelled').length, 0)

    const rest = await caller.resume(String(heard?.event))
    assert.equal(rest.type, 'text/event-stream')
    assert.deepEqual(
      (await rest.rest()).map(({ id, params }) => [id, params?.['progressToken'], params?.['progress']]),
      [
        [undefined, 'p', 2],
        ['call', undefined, undefined],
      ],
    )
    assert.deepEqual(server.after, ['e-1'])
    assert.equal(scripted.calls('tools/call').length, 1)
    await until(() => edge.audit().length === before + 2)
  })

  test('is cancelled by leaving where there is no way back, and by cancelling always', async () => {
    for (const [first, end] of [
      [`data: {"jsonrpc":"2.0",${progress(1)}}\n\n`, 'leaves'],
      [event('e-1', progress(1)), 'cancels'],
    ] as const) {
      script(first, '')
      const caller = await open()
      const calling = await caller.call('echo', { meta: { progressToken: 'p' } })
      await calling.next()
      const params = { requestId: 'call' }
      if (end === 'leaves') calling.leave()
      else await caller.post(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }))
      await until(() => scripted.calls('notifications/cancelled').length === 1)
    }
  })

  test('that is slow to say anything begins with an id, for clients that know such events', async () => {
    const server = script('id: p-0\ndata: \n\n', event('e-1', response))
    for (const revision of ['2025-11-25', '2025-06-18']) {
      const caller = await open('scripted', 'alice', revision)
      const calling = await caller.call('echo')
      if (revision === '2025-06-18') {
        held.at(-1)?.write(event('e-1', response))
        assert.deepEqual(
          (await calling.rest()).map(({ id }) => id),
          ['call'],
        )
        continue
      }
      const heard = await calling.next()
      assert.deepEqual([heard?.text, typeof heard?.event], ['', 'string'])
      calling.leave()
      const rest = await caller.resume(String(heard?.event))
      assert.deepEqual(
        (await rest.rest()).map(({ id }) => id),
        ['call'],
      )
    }
    assert.deepEqual(server.after, ['p-0'])
  })

  test('belongs to its session, its endpoint and its caller, and to who may still make the call', async () => {
    const server = script(event('e-1', progress(1)), event('e-2', response))
    const caller = await open()
    const calling = await caller.call('echo', { meta: { progressToken: 'p' } })
    const heard = await calling.next()
    calling.leave()
    const id = String(heard?.event)
    for (const stranger of [await open(), await open('scripted', 'mallory'), await open('real')]) {
      const refused = await (await stranger.resume(id)).rest()
      assert.equal(refused[0]?.error?.code, -32600)
    }
    const forged = await (await caller.resume(`${id.slice(0, -4)}AAAA`)).rest()
    assert.equal(forged[0]?.error?.code, -32600)
    assert.deepEqual(server.after, [])
    await edge.apply([policy('closed', 'scripted', [{ tools: ['echo'], groups: ['nobody'] }])])
    await sleep(6_000)
    const closed = await (await caller.resume(id)).rest()
    assert.equal(closed[0]?.error?.code, -32600)
    assert.deepEqual(server.after, [])
  })
})
