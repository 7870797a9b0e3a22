// A short chaos run: what `node test/chaos/main.ts` does for minutes. 64 callers of both eras at four kinds of backends, while
// Durable Objects, the edge's process, backends and connections die under them.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { runChaos } from './run.ts'
import type { Report } from './run.ts'

const few = (lines: readonly string[]): string => lines.slice(0, 20).join('\n')

describe('in a storm of faults', () => {
  let report: Report

  before(async () => {
    report = await runChaos({
      seconds: 16,
      callers: 64,
      seed: 3,
      warmSeconds: 5,
      growth: 2,
      restSeconds: 90,
      say: () => {},
    })
  })

  test('faults of every kind met the callers, and most calls succeeded nevertheless', () => {
    for (const kind of ['crash', 'abort', 'evict', 'restart', 'cut client', 'cut backend']) {
      assert.ok((report.faults[kind] ?? 0) > 0, `no fault of kind ${kind}`)
    }
    const { ok, calls, failed } = report.tally
    // How long a machine takes to start the edge again says nothing of it.
    const nobody = failed.reduce((sum, [why, count]) => sum + (why.endsWith(': edge down') ? count : 0), 0)
    assert.ok(ok > (calls - nobody) / 2, `${ok} of ${calls} calls succeeded, ${nobody} met no edge`)
  })

  test('no call outlives its deadline, and every failure has a reason or a cause', () => {
    assert.equal(few(report.tally.problems), '')
  })

  test('no call is executed twice', () => {
    assert.equal(few(report.tally.repeated), '')
  })

  test('every caller succeeds again within ten seconds', () => {
    console.log(`every caller succeeded again within ${report.recoveryMs} ms`)
    // A machine that does other things meanwhile may take three times as long.
    assert.ok(report.recoveryMs <= 30_000, `${report.slowest}: ${few(report.slowestCalls)}`)
  })

  test('whoever listens is told of a change that comes after the faults', () => {
    assert.ok(report.listening.holders > 10)
    assert.equal(few(report.listening.deaf), '')
  })

  test('memory, sockets, objects, sessions and streams return to what they were', () => {
    assert.equal(few(report.excess), '')
  })
})
