// What a server in a cluster asks while it is called, and what it tells on the way: over proxy, link and edge, with a real client and real
// servers of either era.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connectAnswering, type Answering, type Answers } from '../asks/client.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import { manifest, virtual } from '../peers/manifests.ts'
import { startCluster, type Crew } from './crew.ts'

const ERAS = ['legacy', 'modern'] as const

describe('a server in a cluster', () => {
  let edge: TestEdge
  let crew: Crew
  const closing: (() => Promise<unknown>)[] = []
  const clients: Answering[] = []

  before(async () => {
    const servers = await Promise.all(
      ERAS.map(async (era) => {
        const fixture = await startFixture({ eras: era })
        closing.push(() => fixture.close())
        const spec = { image: 'example.com/x:1', transport: 'streamable-http' }
        return { manifest: manifest('MCPServer', era, spec), url: fixture.url }
      }),
    )
    edge = await startEdge({ resources: ERAS.map((era) => virtual(`all-${era}`, [era])) })
    crew = await startCluster(edge, 'a', { servers })
    for (const era of ERAS) await edge.lists(edge.endpoint(`all-${era}`), ['test_elicitation'])
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await crew?.close()
    await edge?.close()
    await Promise.all(closing.map((close) => close()))
  })

  async function connect(era: string, answers?: Answers): Promise<Answering> {
    const url = edge.endpoint(`all-${era}`)
    const client = await connectAnswering(url, await edge.token(url, { sub: 'ada' }), answers)
    clients.push(client)
    return client
  }

  for (const era of ERAS)
    test(`asks its caller over the link, and hears the answers (${era})`, async () => {
      const client = await connect(era)
      assert.equal(
        await client.call('test_elicitation', { message: 'Who?' }),
        'User response: action=accept, content={"username":"blue","email":"blue"}',
      )
      assert.equal(
        await client.call('test_sampling', { prompt: 'Hi' }),
        'LLM response: {"type":"text","text":"sampled"}',
      )
      assert.equal(await client.call('test_input_required_result_multi_round'), 'blue likes blue')
      const methods = client.asked.map(({ method }) => method)
      assert.deepEqual(methods.slice(0, 2), ['elicitation/create', 'sampling/createMessage'])
      const declining = await connect(era, { elicit: () => ({ action: 'decline' }) })
      assert.match(await declining.call('test_elicitation', { message: 'Who?' }), /action=decline/u)
    })
})
