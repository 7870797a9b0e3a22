// Real client libraries see through the edge what they see directly: the same catalog and the same results.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startFixture } from '../peers/fixture.ts'
import type { Fixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { inspect } from './inspector.ts'
import { settle, travel, unnamed } from './journey.ts'
import type { Journal, Traveller } from './journey.ts'
import { connectV1, connectV2 } from './sdk.ts'

type Connect = (url: string, token: string | undefined) => Promise<Traveller>

const clients: Readonly<Record<string, Connect>> = {
  'SDK v2 that negotiates': (url, token) => connectV2(url, token, 'auto'),
  'SDK v2 in its legacy mode': (url, token) => connectV2(url, token, 'legacy'),
  'SDK v2 pinned to 2026-07-28': (url, token) => connectV2(url, token, { pin: '2026-07-28' }),
  'SDK v1': connectV1,
}

describe('real clients', () => {
  const fixtures: Partial<Record<'both' | 'legacy' | 'modern', Fixture>> = {}
  let edge: TestEdge
  /** What a fixture shows without the edge; the legacy one has fewer extensions. */
  const direct = new Map<string, Journal>()

  before(async () => {
    const [both, legacy, modern] = await Promise.all([
      startFixture(),
      startFixture({ eras: 'legacy' }),
      startFixture({ eras: 'modern' }),
    ])
    Object.assign(fixtures, { both, legacy, modern })
    for (const [name, { url }] of Object.entries({ plain: both, old: legacy, new: both })) {
      const seen = await travel(await connectV2(url, undefined, 'auto'))
      const failed = Object.entries(seen).filter(([, step]) => typeof step === 'object' && 'failed' in (step ?? {}))
      assert.deepEqual(failed, [])
      direct.set(name, seen)
    }
    edge = await startEdge({
      resources: [
        entry('both', both.url),
        entry('old', legacy.url),
        entry('new', modern.url),
        virtual('plain', ['both']),
        virtual('old', ['old'], { config: {} }),
        virtual('new', ['new'], { config: {} }),
      ],
    })
    await edge.lists(edge.endpoint('plain'), ['test_simple_text'])
    await edge.lists(edge.endpoint('old'), ['old_test_simple_text'])
    await edge.lists(edge.endpoint('new'), ['new_test_simple_text'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all(Object.values(fixtures).map((fixture) => fixture.close()))
  })

  const endpoints = [
    { name: 'plain', prefix: '', backend: 'a backend of both eras, names kept' },
    { name: 'old', prefix: 'old_', backend: 'a legacy backend, names prefixed' },
    { name: 'new', prefix: 'new_', backend: 'a modern backend, names prefixed' },
  ]
  for (const [client, connect] of Object.entries(clients)) {
    for (const { name, prefix, backend } of endpoints) {
      test(`${client} sees through the edge what it sees directly: ${backend}`, async () => {
        const endpoint = edge.endpoint(name)
        const seen = await travel(await connect(endpoint, await edge.token(endpoint)), (tool) => `${prefix}${tool}`)
        const plain = unnamed(seen, prefix)
        for (const [step, expected] of Object.entries(direct.get(name) ?? {}))
          assert.deepEqual(plain[step], expected, step)
      })
    }
  }

  test('SDK v2 that negotiates ends up in the modern era, in its legacy mode in the legacy one', async () => {
    const endpoint = edge.endpoint('plain')
    const token = await edge.token(endpoint)
    for (const [mode, era] of [
      ['auto', 'modern'],
      ['legacy', 'legacy'],
    ] as const) {
      const client = await connectV2(endpoint, token, mode)
      assert.equal(client.era, era)
      await client.close()
    }
  })

  for (const era of ['legacy', 'auto', 'modern'] as const) {
    test(`MCP Inspector (${era}) sees through the edge what it sees directly`, async () => {
      const endpoint = edge.endpoint('plain')
      const token = await edge.token(endpoint)
      const url = fixtures.both?.url ?? ''
      for (const args of [
        ['--method', 'tools/list'],
        ['--method', 'prompts/list'],
        ['--method', 'resources/read', '--uri', 'test://static-binary'],
        ['--method', 'tools/call', '--tool-name', 'test_multiple_content_types'],
        ['--method', 'tools/call', '--tool-name', 'test_x_mcp_header', '--tool-arg', 'region=eu'],
      ]) {
        const [there, here] = await Promise.all([
          inspect(url, undefined, era, args),
          inspect(endpoint, token, era, args),
        ])
        assert.deepEqual(settle(here), settle(there), args.join(' '))
      }
    })
  }
})
