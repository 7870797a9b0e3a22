// The long fuzz run: `node test/fuzz/main.ts --requests 100000 [--seed N] [--concurrency N] [--from INDEX] [--only GENERATOR]`,
// or one case again: `node test/fuzz/main.ts --case '<JSON as printed>'`. Exits with 1 when anything was found.

import { parseArgs } from 'node:util'
import { campaign, replay } from './campaign.ts'
import type { Report } from './campaign.ts'
import { parseCase } from './case.ts'
import { startWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    concurrency: { type: 'string', default: '48' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    case: { type: 'string' },
  },
})

function whole(name: 'requests' | 'seed' | 'concurrency' | 'from'): number {
  const number = Number(values[name])
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} must be a whole number`)
  return number
}

function line({ requests, seconds, findings, memory }: Report): string {
  return `${requests} requests in ${Math.round(seconds)} s, ${Math.round(requests / seconds)}/s, peak ${Math.round(memory.peak)} MiB, ${findings.length} findings`
}

function table(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, count]) => `  ${key.padEnd(28)}${count}`)
    .join('\n')
}

const world = await startWorld()
try {
  if (values.case !== undefined) {
    const wrong = await replay(world, parseCase(values.case))
    console.log(wrong ?? 'nothing to object to')
    process.exitCode = wrong === undefined ? 0 : 1
  } else {
    const seed = whole('seed')
    console.log(`seed ${seed}`)
    let told = 0
    const report = await campaign(world, {
      requests: whole('requests'),
      seed,
      concurrency: whole('concurrency'),
      from: whole('from'),
      only: values.only,
      settleMs: 100_000,
      onFinding: ({ what, index, one }) =>
        console.log(
          `FOUND ${what}\n  case ${index}: ${one === undefined ? 'none in particular' : JSON.stringify(one)}`,
        ),
      onProgress: (now) => {
        if (now.seconds - told < 10) return
        told = now.seconds
        console.log(line(now))
      },
    })
    const { memory, handles } = report
    console.log(`by generator and answer\n${table(report.answers)}\nby reason\n${table(report.reasons)}`)
    console.log(
      `slowest answer ${Math.round(report.slowestMs)} ms; memory ${Math.round(memory.warm)} MiB warm, ${Math.round(memory.peak)} at most, ${Math.round(memory.end)} at the end; open files ${handles.before} before, ${handles.after} after`,
    )
    console.log(line(report))
    process.exitCode = report.findings.length === 0 ? 0 : 1
  }
} finally {
  await world.close()
}
