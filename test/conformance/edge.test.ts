// The edge conforms, with a checked token on every request: the suite runs through it against the fixture as sole backend.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startBearer } from '../peers/bearer.ts'
import type { Bearer } from '../peers/bearer.ts'
import { startFixture } from '../peers/fixture.ts'
import type { Fixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { conform, explain, failing } from './suite.ts'

// A server asks the client something in these: they need a channel back to the caller, which the edge does not have yet.
const needAChannelBack = [
  'tools-call-sampling',
  'tools-call-elicitation',
  'elicitation-sep1034-defaults',
  'elicitation-sep1330-enums',
  'resources-subscribe',
  'resources-unsubscribe',
]

describe('conformance through the edge', () => {
  let fixture: Fixture
  let edge: TestEdge
  let proxy: Bearer

  before(async () => {
    fixture = await startFixture()
    // The suite checks that a local Origin is accepted; that is the proxy's, so it must exist before the edge.
    proxy = await startBearer(
      () => edge.url,
      () => edge.token(edge.endpoint('fixture')),
    )
    edge = await startEdge({
      resources: [entry('fixture', fixture.url), virtual('fixture', ['fixture'])],
      vars: { ALLOWED_ORIGINS: proxy.url },
    })
    await edge.lists(edge.endpoint('fixture'), ['test_simple_text', 'json_schema_2020_12_tool'])
  })
  after(async () => {
    await proxy?.close()
    await edge?.close()
    await fixture?.close()
  })

  test('every scored scenario of 2026-07-28 passes, and the header and schema scenarios', async () => {
    const report = await conform(`${proxy.url}/test/fixture/mcp`, '2026-07-28')
    assert.equal(report.required, 37)
    assert.equal(report.scored.length, 37)
    assert.deepEqual(failing(report.scored), [], explain(report.scored))
    const extra = report.unscored.filter(({ name }) => /^(http-|json-schema)/.test(name))
    assert.deepEqual(extra.map(({ name }) => name).toSorted(), [
      'http-custom-header-server-validation',
      'http-header-validation',
      'json-schema-2020-12',
    ])
    assert.deepEqual(failing(extra), [], explain(extra))
  })

  test('every scenario of 2025-11-25 passes but those that need a channel back to the client', async () => {
    const report = await conform(`${proxy.url}/test/fixture/mcp`, '2025-11-25')
    assert.equal(report.required, 30)
    assert.equal(report.scored.length, 30)
    // Both ways: one that passes by now must leave the list.
    assert.deepEqual(failing(report.scored).toSorted(), needAChannelBack.toSorted(), explain(report.scored))
  })
})
