// A chaos run by hand: `node test/chaos/main.ts --seconds 130 [--callers 64] [--seed 1]`. Exits with 1 when something
// happened that must not.

import { parseArgs } from 'node:util'
import { runChaos } from './run.ts'
import { verdictOf } from './verdict.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '130' },
    callers: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    warm: { type: 'string', default: '40' },
    growth: { type: 'string', default: '0.3' },
    rest: { type: 'string', default: '90' },
  },
})
const say = (line: string): void => console.log(line)
const report = await runChaos({
  seconds: Number(values.seconds),
  callers: Number(values.callers),
  seed: Number(values.seed),
  warmSeconds: Number(values.warm),
  growth: Number(values.growth),
  restSeconds: Number(values.rest),
  say,
})
const { tally } = report
say(`faults ${JSON.stringify(report.faults)}, evicted ${JSON.stringify(report.evicted)}`)
say(
  `calls ${tally.calls}: ${tally.ok} ok, ${tally.left} left, ${tally.calls - tally.ok - tally.left} failed; executed ${tally.executed}`,
)
for (const [why, count] of tally.failed) say(`  ${count} × ${why}`)
say(
  `longest call ${tally.longestMs} ms, streams resumed ${report.resumed}, all callers again after ${report.recoveryMs} ms (last: ${report.slowest})`,
)
say(
  `listeners ${report.listening.holders}, streams opened again ${report.listening.reopened}, deaf ${report.listening.deaf.length}`,
)
say(`before ${JSON.stringify(report.before)}`)
say(`after  ${JSON.stringify(report.after)}`)
for (const [line, count] of report.complaints.slice(0, 20)) say(`stderr ${count} × ${line}`)
if (report.recoveryMs > 10_000) for (const line of report.slowestCalls.slice(0, 5)) say(`  ${report.slowest}: ${line}`)
const wrong = verdictOf(report)
// A few of each kind: what differs between them is a number.
const shown = new Map<string, number>()
for (const line of wrong) {
  const shape = line.replaceAll(/c?\d+/g, '#')
  shown.set(shape, (shown.get(shape) ?? 0) + 1)
  if ((shown.get(shape) ?? 0) <= 3) say(`WRONG ${line}`)
}
say(wrong.length === 0 ? 'everything held' : `${wrong.length} things are wrong`)
process.exit(wrong.length === 0 ? 0 : 1)
