// What a run must have shown: no call hung, none executed twice, failures typed, everybody served again, nothing left behind.

import type { Report } from './run.ts'

const RECOVERY_MS = 10_000

/** What is wrong, one line each. */
export function verdictOf(report: Report): string[] {
  const wrong = [...report.tally.problems, ...report.tally.repeated, ...report.excess]
  if (report.recoveryMs > RECOVERY_MS) {
    wrong.push(`${report.slowest} succeeded only ${report.recoveryMs} ms after the last fault`)
  }
  for (const one of report.listening.deaf) wrong.push(`not told of a change: ${one}`)
  if (report.tally.ok < report.tally.calls / 2) wrong.push('most calls failed: the run shows nothing')
  for (const kind of ['crash', 'abort', 'evict', 'restart', 'cut client', 'cut backend']) {
    if (report.faults[kind] === undefined) wrong.push(`no fault of kind ${kind} met anything`)
  }
  return wrong
}
