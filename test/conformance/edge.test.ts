// The edge conforms, with a checked token on every request, whatever era the server behind it speaks.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { agree } from './agreement.ts'
import { explain, failing } from './suite.ts'
import type { Report } from './suite.ts'
import { judge, openTarget } from './targets.ts'
import type { OpenTarget, Target } from './targets.ts'

const behind: Readonly<Record<Exclude<Target, 'direct'>, string>> = {
  dual: 'a server of both eras',
  legacy: 'a server of 2025-11-25',
  modern: 'a server of 2026-07-28',
}

for (const target of ['dual', 'legacy', 'modern'] as const) {
  describe(`conformance through the edge, in front of ${behind[target]}`, () => {
    let open: OpenTarget
    const reports = new Map<string, Report>()

    before(async () => {
      open = await openTarget(target)
    })
    after(() => open?.close())

    test('every scored scenario of 2025-11-25 passes', async () => {
      const report = await judge(open, '2025-11-25')
      reports.set('2025-11-25', report)
      assert.equal(report.required, 30)
      assert.equal(report.scored.length, 30)
      assert.deepEqual(failing(report.scored), [], explain(report.scored))
    })

    // A legacy server cannot ask a modern client, see notes.ts.
    test(
      target === 'legacy'
        ? 'the scenarios of 2026-07-28 run, and those in which nobody is asked pass'
        : 'every scored scenario of 2026-07-28 passes, and the header and schema scenarios',
      async () => {
        const report = await judge(open, '2026-07-28')
        reports.set('2026-07-28', report)
        assert.equal(report.required, 37)
        assert.equal(report.scored.length, 37)
        if (target !== 'legacy') assert.deepEqual(failing(report.scored), [], explain(report.scored))
        const extra = report.unscored.filter(({ name }) => /^(http-|json-schema)/.test(name))
        assert.deepEqual(extra.map(({ name }) => name).toSorted(), [
          'http-custom-header-server-validation',
          'http-header-validation',
          'json-schema-2020-12',
        ])
        assert.deepEqual(failing(extra), [], explain(extra))
      },
    )

    for (const revision of ['2025-11-25', '2026-07-28'] as const) {
      test(`docs/conformance.md says of ${revision} what this run has shown`, async () => {
        const report = reports.get(revision)
        assert.ok(report, 'the run came to an end')
        await agree(report, revision, target)
      })
    }
  })
}
