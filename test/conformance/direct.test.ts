// The fixture itself conforms: without this, a failure through the edge would say nothing about the edge.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBearer } from '../peers/bearer.ts'
import { startFixture } from '../peers/fixture.ts'
import { conform, explain, failing } from './suite.ts'

test('the fixture passes every scored scenario of 2026-07-28, and the header and schema scenarios', async (t) => {
  const fixture = await startFixture()
  t.after(() => fixture.close())
  const report = await conform(fixture.url, '2026-07-28')
  assert.equal(report.scored.length, 37)
  assert.deepEqual(failing(report.scored), [], explain(report.scored))
  const extra = report.unscored.filter(({ name }) => /^(http-|json-schema)/.test(name))
  assert.equal(extra.length, 3)
  assert.deepEqual(failing(extra), [], explain(extra))
})

test('the fixture passes every scored scenario of 2025-11-25, also through the bearer proxy', async (t) => {
  const fixture = await startFixture()
  t.after(() => fixture.close())
  const proxy = await startBearer(
    () => new URL(fixture.url).origin,
    () => Promise.resolve('a token'),
  )
  t.after(() => proxy.close())
  const report = await conform(`${proxy.url}/mcp`, '2025-11-25')
  assert.equal(report.scored.length, 30)
  assert.deepEqual(failing(report.scored), [], explain(report.scored))
})
