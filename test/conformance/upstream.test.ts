// The edge's own conduct as a client, judged by the suite: its scripted servers are backends of a running edge.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { committed } from './agreement.ts'
import { readUpstream, upstreamColumn } from './page.ts'
import { explain } from './suite.ts'
import { revisions } from './targets.ts'
import { runUpstream, upstreamRuns } from './upstream.ts'
import type { UpstreamResult } from './upstream.ts'

const runs = await upstreamRuns()

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
      ],
    )
  })

  const seen: UpstreamResult[] = []
  for (const run of runs) {
    test(`${run.name} of ${run.revision} passes with every check`, async () => {
      const shown = await runUpstream(edge, run)
      seen.push(shown)
      const { result } = shown
      assert.deepEqual([result.failed, result.warned], [0, 0], explain([result]))
      assert.ok(result.passed > 0, 'a scenario that checks nothing passes nothing')
    })
  }

  after(async () => {
    const page = await committed()
    for (const revision of revisions) {
      const message = 'docs/conformance.md is not what the suite shows: node test/conformance/report.ts writes it'
      assert.deepEqual(upstreamColumn(seen, revision), readUpstream(page, revision), message)
    }
  })
})
