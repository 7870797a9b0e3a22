// Whatever a client or a backend puts into a message arrives as it was written: unknown fields, unknown content,
// extensions, numbers of any size. Compared as text, because a parsed number has already lost.

import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, modernRevision, openSession } from '../peers/wire.ts'
import { anyArray, anyObject, anyValue, exact, member } from './json.ts'

type Era = 'modern' | 'legacy'

const extension = 'com.example/extension'

/** A call with something unknown wherever the protocol lets something unknown be. */
const anyCall = fc.record({ arguments: anyObject, param: anyValue, meta: anyValue })
const anyResult = fc.record({
  content: anyArray,
  structured: anyValue,
  field: anyValue,
  meta: anyValue,
  isError: fc.boolean(),
})

function paramsOf(era: Era, call: { arguments: string; param: string; meta: string }): string {
  const envelope =
    era === 'modern'
      ? `"io.modelcontextprotocol/protocolVersion":"${modernRevision}","io.modelcontextprotocol/clientCapabilities":{},`
      : ''
  return `{"name":"echo","arguments":${call.arguments},"futureParam":${call.param},"_meta":{${envelope}"${extension}":${call.meta}}}`
}

function resultOf(result: {
  content: string
  structured: string
  field: string
  meta: string
  isError: boolean
}): string {
  return `{"resultType":"complete","content":${result.content},"structuredContent":${result.structured},"isError":${result.isError},"futureField":${result.field},"_meta":{"${extension}":${result.meta}}}`
}

describe('lossless', () => {
  let edge: TestEdge
  const backends: Partial<Record<Era, Recorder>> = {}
  let listing: Recorder

  before(async () => {
    backends.modern = await startRecorder({ era: 'modern' })
    backends.legacy = await startRecorder({ era: 'legacy' })
    listing = await startRecorder({ era: 'modern', tools: [] })
    const samples = fc.sample(fc.record({ schema: anyObject, field: anyValue, meta: anyValue, hint: anyValue }), {
      numRuns: 300,
      seed: 42,
    })
    listing.tools = samples.map(
      (one, index) =>
        `{"name":"tool_${index}","inputSchema":{"type":"object","x-future":${one.schema}},"futureField":${one.field},"_meta":{"${extension}":${one.meta}},"annotations":{"futureHint":${one.hint}}}`,
    )
    edge = await startEdge({
      resources: [
        entry('modern', backends.modern.url),
        entry('legacy', backends.legacy.url),
        entry('listing', listing.url),
        virtual('modern', ['modern']),
        virtual('legacy', ['legacy']),
        virtual('listing', ['listing']),
      ],
    })
    await edge.lists(edge.endpoint('modern'), ['echo'])
    await edge.lists(edge.endpoint('legacy'), ['echo'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all([backends.modern?.close(), backends.legacy?.close(), listing?.close()])
  })

  const cases: readonly { client: Era; backend: Era; reply: 'json' | 'sse'; runs: number }[] = [
    { client: 'modern', backend: 'modern', reply: 'json', runs: 500 },
    { client: 'legacy', backend: 'legacy', reply: 'json', runs: 500 },
    { client: 'modern', backend: 'modern', reply: 'sse', runs: 150 },
    { client: 'legacy', backend: 'legacy', reply: 'sse', runs: 150 },
    { client: 'modern', backend: 'legacy', reply: 'json', runs: 150 },
    { client: 'legacy', backend: 'modern', reply: 'json', runs: 150 },
  ]
  for (const { client, backend, reply, runs } of cases) {
    test(`a ${client} call to a ${backend} backend that answers ${reply} arrives as written, both ways`, async () => {
      const recorder = backends[backend]
      assert.ok(recorder)
      recorder.reply = reply
      const endpoint = edge.endpoint(backend)
      const token = await edge.token(endpoint)
      const session = client === 'legacy' ? await openSession(endpoint, token) : undefined
      await fc.assert(
        fc.asyncProperty(anyCall, anyResult, async (call, result) => {
          recorder.received.length = 0
          recorder.on('tools/call', () => resultOf(result))
          const params = paramsOf(client, call)
          const { body, texts } = await exchange(endpoint, {
            method: 'tools/call',
            params,
            token,
            era: client,
            session,
          })

          const sent = recorder.calls('tools/call').map(({ body }) => exact(body))
          assert.equal(sent.length, 1, body)
          assert.deepEqual(member(sent[0], 'params', 'arguments'), exact(call.arguments))
          assert.deepEqual(member(sent[0], 'params', 'futureParam'), exact(call.param))
          assert.deepEqual(member(sent[0], 'params', '_meta', extension), exact(call.meta))

          const answer = exact(texts.at(-1) ?? '')
          assert.deepEqual(member(answer, 'result', 'content'), exact(result.content), body)
          assert.deepEqual(member(answer, 'result', 'structuredContent'), exact(result.structured))
          assert.deepEqual(member(answer, 'result', 'futureField'), exact(result.field))
          assert.deepEqual(member(answer, 'result', '_meta', extension), exact(result.meta))
          assert.deepEqual(member(answer, 'result', 'isError'), result.isError)
        }),
        { numRuns: runs },
      )
    })
  }

  test('a tool is listed as its server described it, whatever else is in the description', async () => {
    const endpoint = edge.endpoint('listing')
    await edge.lists(endpoint, ['tool_0', 'tool_299'])
    const token = await edge.token(endpoint)
    for (const era of ['modern', 'legacy'] as const) {
      const session = era === 'legacy' ? await openSession(endpoint, token) : undefined
      const { texts } = await exchange(endpoint, { method: 'tools/list', token, era, session })
      const tools = member(exact(texts.at(-1) ?? ''), 'result', 'tools')
      assert.ok(Array.isArray(tools))
      const listed = new Map(tools.map((tool) => [member(tool, 'name'), tool]))
      for (const text of listing.tools) {
        const tool = exact(text)
        assert.deepEqual(listed.get(member(tool, 'name')), tool)
      }
    }
  })

  test('an error of a backend arrives with its code, message and data', async () => {
    const { Refusal } = await import('../peers/recorder.ts')
    const recorder = backends.modern
    assert.ok(recorder)
    recorder.reply = 'json'
    const endpoint = edge.endpoint('modern')
    const token = await edge.token(endpoint)
    await fc.assert(
      fc.asyncProperty(anyValue, async (data) => {
        recorder.on('tools/call', () => {
          throw new Refusal(`{"code":-31999,"message":"the backend says no","data":${data}}`)
        })
        const { texts } = await exchange(endpoint, {
          method: 'tools/call',
          params: { name: 'echo', arguments: {} },
          token,
        })
        const error = member(exact(texts.at(-1) ?? ''), 'error')
        assert.deepEqual(error, exact(`{"code":-31999,"message":"the backend says no","data":${data}}`))
      }),
      { numRuns: 50 },
    )
  })

  test('prompts and resources are answered as their server wrote them', async () => {
    const recorder = backends.modern
    assert.ok(recorder)
    recorder.on('prompts/list', () => '{"prompts":[{"name":"p"}]}')
    recorder.on('resources/list', () => '{"resources":[{"uri":"test://r","name":"r"}]}')
    await edge.apply([virtual('content', ['modern'])])
    const endpoint = edge.endpoint('content')
    const token = await edge.token(endpoint)
    await listed(endpoint, token, 'prompts/list', '"p"')
    await listed(endpoint, token, 'resources/list', 'test://r')
    await fc.assert(
      fc.asyncProperty(anyArray, anyValue, async (items, field) => {
        recorder.on('prompts/get', () => `{"messages":${items},"futureField":${field}}`)
        recorder.on(
          'resources/read',
          () => `{"contents":${items},"futureField":${field},"ttlMs":0,"cacheScope":"private"}`,
        )
        const prompt = await exchange(endpoint, { method: 'prompts/get', params: { name: 'p' }, token })
        assert.deepEqual(member(exact(prompt.texts.at(-1) ?? ''), 'result', 'messages'), exact(items), prompt.body)
        assert.deepEqual(member(exact(prompt.texts.at(-1) ?? ''), 'result', 'futureField'), exact(field))
        const read = await exchange(endpoint, { method: 'resources/read', params: { uri: 'test://r' }, token })
        assert.deepEqual(member(exact(read.texts.at(-1) ?? ''), 'result', 'contents'), exact(items), read.body)
        assert.deepEqual(member(exact(read.texts.at(-1) ?? ''), 'result', 'futureField'), exact(field))
      }),
      { numRuns: 100 },
    )
  })
})

/** Waits until a list of the endpoint contains `needle`: catalogs are refreshed in the background. */
async function listed(endpoint: string, token: string, method: string, needle: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const { body } = await exchange(endpoint, { method, token })
    if (body.includes(needle)) return
    if (Date.now() > deadline) throw new Error(`${method} never contained ${needle}: ${body}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
