// The fixture itself conforms: without this, a failure through the edge would say nothing about the edge.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBearer } from '../peers/bearer.ts'
import { agree } from './agreement.ts'
import { explain, failing } from './suite.ts'
import { judge, openTarget } from './targets.ts'

test('the fixture passes every scenario of 2026-07-28, scored or not', async (t) => {
  const fixture = await openTarget('direct')
  t.after(() => fixture.close())
  const report = await judge(fixture, '2026-07-28')
  assert.equal(report.scored.length, 37)
  assert.deepEqual(failing(report.scored), [], explain(report.scored))
  assert.deepEqual(failing(report.unscored), [], explain(report.unscored))
  await agree(report, '2026-07-28', 'direct')
})

test('the fixture passes every scenario of 2025-11-25, also through the bearer proxy', async (t) => {
  const fixture = await openTarget('direct')
  t.after(() => fixture.close())
  const { origin, pathname } = new URL(fixture.url)
  const proxy = await startBearer(
    () => origin,
    () => Promise.resolve('a token'),
  )
  t.after(() => proxy.close())
  const report = await judge({ ...fixture, url: `${proxy.url}${pathname}` }, '2025-11-25')
  assert.equal(report.scored.length, 30)
  assert.deepEqual(failing(report.scored), [], explain(report.scored))
  await agree(report, '2025-11-25', 'direct')
})
