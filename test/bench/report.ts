// Prints the results as the Markdown of docs/benchmarks.md. Every number stands beside its baseline of the same run.
// The report lives between two markers; words outside them are written by people and stay.
import { SIZED_TOOLS } from './manifests.ts'
import { added, bars, cost, fixed, linkCost, perTool } from './results.ts'
import type { Asks, Calls, LinkResults, Lists, Results, Streams } from './results.ts'
import type { Row } from './rounds.ts'
import { ratio } from './stats.ts'
import type { Ratio } from './stats.ts'

const BEGIN = '<!-- npm run bench writes from here -->'
const END = '<!-- to here -->'
const LIST_COLUMNS = [
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
]

export function report(results: Results): string {
  const { machine, startup, rest, refreshes, audit, streams } = results
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

## Legacy sessions with a channel

A tool that asks its caller before it answers: two requests of the client and two events of the server per operation. Towards a legacy server the
question passes, towards a modern one its \`input_required\` is bridged; both are compared with the relay in front of the legacy server.

${table(['server', 'users', 'side', 'calls/s', 'p50 ms', 'p99 ms', 'CPU ms per call', 'CPU × relay'], results.asks.flatMap(askRows))}

${linkReport(results.link)}

## Idle streams

Every stream has a user, a token and (legacy) a session of its own. CPU at rest is that of the whole process; ${streams.objects} Durable Objects hold all
of them.

${table(
  [
    'streams',
    'opened in s',
    'CPU ms to open one',
    'KiB per stream',
    'CPU ms/s at rest before',
    'with them',
    'CPU µs/s per stream',
  ],
  streams.held.map(heldRow),
)}

The same calls at two equal gateways, one without any stream and one that holds all of the above:

${table(
  ['era', 'users', 'side', 'calls/s', 'p50 ms', 'p99 ms', 'CPU ms per call', 'CPU × without'],
  streams.calls.flatMap(({ era, users, rows }) =>
    rows.map((row) => [...plainRow(era, users, row), row.name === 'with' ? spread(cost(rows)) : '1']),
  ),
)}

## tools/list

${table(
  ['era', ...LIST_COLUMNS],
  results.lists.flatMap((lists) => lists.rows.map((row) => listRow(lists, row))),
)}

## tools/list as servers grow

Every virtual server has ${SIZED_TOOLS} tools in all, spread evenly over its servers; the first page is measured.

${table(
  ['servers', ...LIST_COLUMNS],
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

function plainRow(first: string, users: number, row: Row): string[] {
  return [
    first,
    String(users),
    row.name,
    Math.round(row.perSecond).toString(),
    fixed(row.p50),
    fixed(row.p99),
    row.name === 'direct' ? '–' : row.cpuMs.toFixed(3),
  ]
}

/** The section of the link, which can be measured alone. */
export function linkReport({ calls, flows, streams }: LinkResults): string {
  return `## Over the link

The same proxy of a cluster, called by direct HTTP from the edge and over the link of an uplink, each through the whole gateway: a
proxy process in front of the backend, one uplink, one hub. The linked calls carry an assertion, which the proxy verifies.

${table(
  ['era', 'users', 'side', 'calls/s', 'p50 ms', 'p99 ms', 'edge CPU ms per call', 'p50 × http', 'calls/s × http'],
  calls.flatMap((each) =>
    each.rows.map((row) => [
      ...plainRow(each.era, each.users, row),
      ...(row.name === 'http' ? ['1', '1'] : [fixed(linkCost(each).p50), fixed(linkCost(each).rate)]),
    ]),
  ),
)}

${streams} streams at once with an event every 500 ms each; results of 20 MB, one after the other; then a stream of which the caller reads nothing
after its beginning: what the server could send of it, and what the processes grew by until then.

${table(
  ['side', 'event delay p50 ms', 'p99 ms', 'large results MiB/s', 'sent to a reader that stopped, MiB', 'grown by MiB'],
  flows.map(({ name, delay, blobMibPerSecond, flood }) => [
    name,
    fixed(delay.p50),
    fixed(delay.p99),
    blobMibPerSecond.toFixed(0),
    flood.sentMib.toFixed(1),
    Object.entries(flood.grownMib)
      .map(([process, mib]) => `${process} ${mib.toFixed(1)}`)
      .join(', '),
  ]),
)}`
}

function askRows({ server, users, rows }: Asks): string[][] {
  return rows.map((row) => [
    ...plainRow(row.name === 'gateway' ? server : 'legacy', users, row),
    row.name === 'gateway' ? spread(cost(rows)) : row.name === 'relay' ? '1' : '–',
  ])
}

function heldRow(held: Streams): string[] {
  const { before, after } = held.cpuMsPerSecond
  return [
    `${held.streams} × ${held.era === 'legacy' ? 'GET (legacy)' : '`subscriptions/listen` (modern)'}`,
    fixed(held.openSeconds),
    fixed(held.openCpuMs),
    held.kibPerStream.toFixed(1),
    fixed(before),
    fixed(after),
    fixed(((after - before) * 1000) / held.streams),
  ]
}

function callRows(calls: Calls): string[][] {
  return calls.rows.map((row, index) => [
    ...plainRow(calls.era, calls.users, row),
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
