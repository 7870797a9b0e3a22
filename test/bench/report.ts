// Prints the results as the Markdown of docs/benchmarks.md. Every number stands beside its baseline of the same run.
// The report lives between two markers; words outside them are written by people and stay.
import { SIZED_TOOLS } from './manifests.ts'
import { added, bars, cost, fixed, perTool } from './results.ts'
import type { Calls, Lists, Results } from './results.ts'
import type { Row } from './rounds.ts'
import { ratio } from './stats.ts'
import type { Ratio } from './stats.ts'

const BEGIN = '<!-- npm run bench writes from here -->'
const END = '<!-- to here -->'

export function report(results: Results): string {
  const { machine, startup, rest, refreshes, audit } = results
  return `${BEGIN}
## The bars

${table(
  ['what', 'bar', 'measured', 'met'],
  bars(results).map((bar) => [bar.what, bar.bar, bar.measured, bar.met ? 'yes' : 'no']),
)}

Machine: ${machine.cores} cores, Node ${machine.node}, workerd ${machine.workerd}. ${results.rounds} rounds per row.

## tools/call

${table(['era', 'users', 'side', 'calls/s', 'p50 ms', 'p99 ms', 'CPU ms per call', 'CPU × relay'], results.calls.flatMap(callRows))}

${results.calls
  .filter((calls) => calls.users === 1)
  .map((calls) => {
    const { relay, gateway } = added(calls)
    return `One ${calls.era} user: the relay adds ${fixed(relay)} ms of p50 to the direct call, the gateway ${fixed(gateway)} ms.`
  })
  .join('\n')}
The gateway wrote ${audit.events} audit events for ${audit.requests} requests, those of warming up and of opening sessions included.

## tools/list

${table(
  [
    'era',
    'tools',
    'KiB',
    'users',
    'side',
    'lists/s',
    'p50 ms',
    'p99 ms',
    'CPU ms per list',
    'CPU µs per tool',
    'CPU × static',
  ],
  results.lists.flatMap((lists) => lists.rows.map((row) => listRow(lists, row))),
)}

## tools/list as servers grow

Every virtual server has ${SIZED_TOOLS} tools in all, spread evenly over its servers; the first page is measured.

${table(
  [
    'servers',
    'tools',
    'KiB',
    'users',
    'side',
    'lists/s',
    'p50 ms',
    'p99 ms',
    'CPU ms per list',
    'CPU µs per tool',
    'CPU × static',
  ],
  results.sizes.flatMap((lists) => lists.rows.map((row) => [String(lists.servers), ...listRow(lists, row).slice(1)])),
)}

The backends got ${refreshes.seen} list requests (background refreshes) while the gateway answered ${refreshes.served} lists.
From applying these ${results.sizes.reduce((sum, each) => sum + each.servers, 0)} servers to complete catalogs: ${fixed(rest.discoverySeconds)} s. At rest
the gateway then uses ${fixed(rest.cpuMsPerSecond)} ms of CPU per second; ${Math.round(rest.residentMib)} MiB are resident (the bare relay after its calls: ${Math.round(rest.relayResidentMib)} MiB).

## Start

${table(
  ['what', 'gateway', 'static Worker'],
  [
    ['spawn of workerd to the first 200', `${Math.round(startup.gatewayMs)} ms`, `${Math.round(startup.staticMs)} ms`],
    ['bundle', `${kib(startup.bundleBytes)} KiB (gzip ${kib(startup.gzipBytes)} KiB)`, '–'],
    [
      '`wrangler check startup`, active',
      startup.activeMs === undefined ? 'not available' : `${fixed(startup.activeMs)} ms`,
      '–',
    ],
  ],
)}
${END}`
}

/** Puts a report into a document: in place of the one it holds, else at the end. */
export function splice(document: string, fresh: string): string {
  const [before, rest] = document.split(BEGIN)
  if (rest === undefined) return `${document.trimEnd()}\n\n${fresh}\n`
  const after = rest.split(END)[1] ?? '\n'
  return `${before}${fresh}${after}`
}

function callRows(calls: Calls): string[][] {
  return calls.rows.map((row, index) => [
    calls.era,
    String(calls.users),
    row.name,
    Math.round(row.perSecond).toString(),
    fixed(row.p50),
    fixed(row.p99),
    row.name === 'direct' ? '–' : row.cpuMs.toFixed(3),
    index === calls.rows.length - 1 ? spread(cost(calls.rows)) : row.name === 'relay' ? '1' : '–',
  ])
}

function listRow(lists: Lists, row: Row): string[] {
  const last = row === lists.rows.at(-1)
  return [
    lists.era,
    String(lists.tools),
    kib(row.bytes),
    String(lists.users),
    row.name,
    Math.round(row.perSecond).toString(),
    fixed(row.p50),
    fixed(row.p99),
    row.cpuMs.toFixed(3),
    fixed(perTool(lists, row)),
    last ? spread(ratio(row.cpuMsByRound, lists.rows[0]?.cpuMsByRound ?? [])) : '1',
  ]
}

/** The ratio, with the least and the most of the thirds of the run. */
function spread(value: Ratio): string {
  return `**${fixed(value.median)}** (${fixed(value.least)}–${fixed(value.most)})`
}

function kib(bytes: number): string {
  return (bytes / 1024).toFixed(1)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
