// The edge's own conduct as a client, judged by the suite: its scripted servers are backends of a running edge.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { committed, outdated } from './agreement.ts'
import { cell, readUpstream } from './page.ts'
import { explain } from './suite.ts'
import { revisions } from './targets.ts'
import { runUpstream, upstreamRuns } from './upstream.ts'

const [runs, page] = await Promise.all([upstreamRuns(), committed()])

describe('conformance towards servers', { concurrency: 2 }, () => {
  let edge: TestEdge

  before(async () => {
    edge = await startEdge()
  })
  after(() => edge?.close())

  test('the scenarios are those that the suite has for transport and protocol', () => {
    assert.deepEqual(
      runs.map(({ revision, name, scored }) => `${revision} ${name}${scored ? '' : ' (not scored)'}`),
      [
        '2025-11-25 initialize',
        '2025-11-25 tools_call',
        '2025-11-25 elicitation-sep1034-client-defaults',
        '2025-11-25 sse-retry',
        '2025-11-25 json-schema-2020-12-preservation (not scored)',
        '2026-07-28 tools_call',
        '2026-07-28 request-metadata',
        '2026-07-28 sep-2322-client-request-state',
        '2026-07-28 http-standard-headers',
        '2026-07-28 http-custom-headers',
        '2026-07-28 http-invalid-tool-headers',
        '2026-07-28 json-schema-ref-no-deref',
        '2026-07-28 json-schema-2020-12-preservation (not scored)',
        '2026-07-28 sep-2640-client-no-prefetch (not scored)',
      ],
    )
  })

  for (const run of runs) {
    test(`${run.name} of ${run.revision} passes with every check`, async () => {
      const { name, revision, result } = await runUpstream(edge, run)
      assert.deepEqual([result.failed, result.warned], [0, 0], explain([result]))
      assert.ok(result.passed > 0, 'a scenario that checks nothing passes nothing')
      assert.equal(cell(result), readUpstream(page, revision)[name], outdated)
    })
  }

  test('docs/conformance.md lists these scenarios and no others', () => {
    const names = (revision: string) => runs.filter((run) => run.revision === revision).map(({ name }) => name)
    for (const revision of revisions) {
      assert.deepEqual(Object.keys(readUpstream(page, revision)), names(revision), outdated)
    }
  })
})
