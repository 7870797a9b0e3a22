// What servers of either era ask of a legacy client, through the edge, with a real client and real servers.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { connectAnswering } from './client.ts'
import type { Answering, Answers } from './client.ts'
import { startElder } from './elder.ts'
import type { Elder } from './elder.ts'
import { openCaller } from './wire.ts'

describe('questions of a server to a legacy client', () => {
  let edge: TestEdge
  let elder: Elder
  const fixtures: { close(): Promise<void> }[] = []
  const clients: Answering[] = []

  before(async () => {
    const legacy = await startFixture({ eras: 'legacy' })
    const modern = await startFixture({ eras: 'modern' })
    elder = await startElder()
    fixtures.push(legacy, modern, elder)
    edge = await startEdge({
      resources: [
        entry('legacy', legacy.url),
        entry('modern', modern.url),
        entry('elder', elder.url, { transport: 'sse' }),
        virtual('legacy', ['legacy']),
        virtual('modern', ['modern']),
        virtual('elder', ['elder']),
        virtual('hasty-legacy', ['legacy'], {}, { 'waggle.dev/call-timeout': '3s' }),
        virtual('hasty-modern', ['modern'], {}, { 'waggle.dev/call-timeout': '3s' }),
      ],
    })
    for (const name of ['legacy', 'modern']) await edge.lists(edge.endpoint(name), ['test_elicitation'])
    await edge.lists(edge.endpoint('elder'), ['ask'])
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await edge?.close()
    await Promise.all(fixtures.map((fixture) => fixture.close()))
  })

  async function connect(name: string, answers?: Answers): Promise<Answering> {
    const url = edge.endpoint(name)
    const client = await connectAnswering(url, await edge.token(url), answers)
    clients.push(client)
    return client
  }

  for (const era of ['legacy', 'modern']) {
    describe(`from a ${era} server`, () => {
      test('elicitation, sampling and roots are asked and answered within the call', async () => {
        const client = await connect(era)
        assert.equal(
          await client.call('test_elicitation', { message: 'Who?' }),
          'User response: action=accept, content={"username":"blue","email":"blue"}',
        )
        assert.equal(
          await client.call('test_sampling', { prompt: 'Hi' }),
          'LLM response: {"type":"text","text":"sampled"}',
        )
        assert.equal(await client.call('test_input_required_result_list_roots'), 'file:///work')
        const methods = client.asked.map(({ method }) => method)
        assert.deepEqual(methods, ['elicitation/create', 'sampling/createMessage', 'roots/list'])
      })

      test('several questions at once and one after the other', async () => {
        const client = await connect(era)
        assert.match(await client.call('test_input_required_result_multiple_inputs'), /sampled.* blue of 1 roots/)
        assert.equal(await client.call('test_input_required_result_multi_round'), 'blue likes blue')
        assert.equal(client.asked.length, 5)
      })

      test('a refusal of the user reaches the server', async () => {
        const client = await connect(era, { elicit: () => ({ action: 'decline' }) })
        assert.match(await client.call('test_elicitation'), /action=decline/)
      })
    })
  }

  test('a modern server knows what the client declared, and a client what it lacks', async () => {
    const poor = await connect('modern', { capabilities: {} })
    assert.equal(await poor.call('test_input_required_result_capabilities'), 'complete')
    assert.match(
      await poor.call('test_missing_capability'),
      /test\/modern needs the capability sampling, which this client/,
    )
    const asked = await connect('modern', { capabilities: { elicitation: {} } })
    assert.equal(await asked.call('test_input_required_result_capabilities'), 'complete')
    assert.deepEqual(
      asked.asked.map(({ method }) => method),
      ['elicitation/create'],
    )
  })

  test('a human may take longer to answer than a server may be silent', async () => {
    for (const era of ['legacy', 'modern']) {
      const elicit = async () => {
        await sleep(5_000)
        return { action: 'accept' as const, content: { username: 'slow', email: 'slow' } }
      }
      const client = await connect(`hasty-${era}`, { elicit })
      assert.match(await client.call('test_elicitation'), /slow/)
    }
  })

  describe('from a server on the old transport', () => {
    test('are asked and answered, whether or not the client listens besides', async () => {
      const client = await connect('elder')
      assert.equal(await client.call('ask'), 'accept blue none 1')
      const url = edge.endpoint('elder')
      const caller = await openCaller(url, await edge.token(url))
      const calling = await caller.call('ask')
      const answers: Readonly<Record<string, unknown>> = {
        'elicitation/create': { action: 'accept', content: { name: 'green' } },
        'sampling/createMessage': { model: 'wire', role: 'assistant', content: { type: 'text', text: 'x' } },
        'roots/list': { roots: [] },
      }
      for (let heard = await calling.next(); heard !== undefined; heard = await calling.next()) {
        const { id, method = '', result } = heard.message
        if (method !== '') await caller.result(id, answers[method])
        else assert.deepEqual(result?.['content'], [{ type: 'text', text: 'accept green wire 0' }])
      }
    })

    test('may follow from changed roots', async () => {
      const client = await connect('elder')
      await client.call('ask')
      const before = client.asked.length
      await client.client.sendRootsListChanged()
      const deadline = Date.now() + 60_000
      while (elder.roots.length === 0 && Date.now() < deadline) await sleep(50)
      assert.deepEqual(elder.roots, [1])
      assert.equal(client.asked.at(before)?.method, 'roots/list')
    })

    test('are declined when the client did not declare to answer them', async () => {
      const client = await connect('elder', { capabilities: {} })
      assert.match(await client.call('ask'), /does not support/)
      assert.deepEqual(client.asked, [])
    })
  })
})
