// docs/conformance.md: written from results, and read back so that tests can hold it against theirs.

import { notes } from './notes.ts'
import type { Report, Revision, Scenario } from './suite.ts'
import { revisions, targets } from './targets.ts'
import type { Target } from './targets.ts'
import { forHosts } from './upstream.ts'
import type { UpstreamResult } from './upstream.ts'

/** Everything the page is made of. */
export interface Results {
  readonly versions: Readonly<Record<string, string>>
  readonly servers: ReadonlyMap<Target, ReadonlyMap<Revision, Report>>
  readonly upstream: readonly UpstreamResult[]
  /** `<revision> <scenario>`: why the suite does not score it. */
  readonly reasons: ReadonlyMap<string, string>
}

/** What the page says of one scenario. */
export function cell({ passed, failed, warned, applies }: Scenario): string {
  if (!applies) return 'nothing to check'
  const bad = [failed > 0 && `**${failed} failed**`, warned > 0 && `${warned} advised otherwise`]
  return [`${passed} passed`, ...bad.filter((part) => part !== false)].join(', ')
}

/** One column of a table of servers, by scenario. */
export function column(report: Report): Record<string, string> {
  return Object.fromEntries([...report.scored, ...report.unscored].map((one) => [one.name, cell(one)]))
}

const names: Readonly<Record<Target, string>> = {
  direct: 'no edge',
  dual: 'both eras',
  legacy: 'legacy only',
  modern: 'modern only',
}

/** The page. The same results make the same bytes. */
export function render(results: Results): string {
  const hosts = forHosts.map((name) => `\`${name}\``).join(', ')
  return [
    '# Conformance',
    '',
    '<!-- Written by `npm run conformance`. Do not edit: the tests compare it with their own runs. -->',
    '',
    'The published suite, run through the edge on workerd with a token checked at every request. There is no list of expected failures. With each scenario: how many of its checks passed.',
    '',
    ...Object.entries(results.versions).map(([name, version]) => `- \`${name}\` ${version}`),
    '',
    ...summary(results),
    ...revisions.flatMap((revision) => asServer(results, revision)),
    ...revisions.flatMap((revision) => asClient(results, revision)),
    `Not run: ${hosts}. They judge whoever loads a skill; the edge passes skills on and loads none.`,
    '',
  ].join('\n')
}

function summary({ servers, upstream }: Results): string[] {
  return [
    '## Summary',
    '',
    ...head('scored scenarios passed', ...targets.map((target) => names[target]), 'towards servers'),
    ...revisions.map((revision) => {
      const scores = targets.map((target) => score(servers.get(target)?.get(revision)?.scored ?? []))
      const own = upstream.filter((one) => one.revision === revision && one.scored).map(({ result }) => result)
      return row(revision, ...scores, score(own))
    }),
    '',
    'The columns are what is behind the edge: a server that speaks both eras (the edge then speaks the modern one to it), one of 2025-11-25 only, one of 2026-07-28 only; "no edge" is the suite against the first of them directly. ' +
      '"Towards servers" are scenarios for clients: the server is the suite\'s, a backend of the edge, and judged is how the edge calls it. Those about OAuth are not among them yet.',
    '',
  ]
}

function asServer({ servers, reasons }: Results, revision: Revision): string[] {
  const columns = targets.map((target) => {
    const report = servers.get(target)?.get(revision)
    return report === undefined ? {} : column(report)
  })
  const why = notes.filter((note) => note.revision === revision)
  return [
    `## ${servings(revision)}`,
    '',
    ...head('scenario', 'scored', ...targets.map((target) => names[target])),
    ...Object.keys(columns[0] ?? {}).map((name) => {
      const scored = reasons.get(`${revision} ${name}`) ?? 'yes'
      return row(`\`${name}\``, scored, ...columns.map((one) => one[name] ?? 'not run'))
    }),
    '',
    'Why some have not simply passed:',
    '',
    ...why.map(({ targets: where, scenarios, why: reason }) => {
      const quoted = scenarios.map((name) => `\`${name}\``).join(', ')
      return `- ${quoted} (${where.map((target) => names[target]).join(', ')}): ${reason}`
    }),
    '',
  ]
}

function asClient({ upstream, reasons }: Results, revision: Revision): string[] {
  const runs = upstream.filter((one) => one.revision === revision)
  return [
    `## ${callings(revision)}`,
    '',
    ...head('scenario', 'scored', 'result'),
    ...runs.map(({ name, result }) => row(`\`${name}\``, reasons.get(`${revision} ${name}`) ?? 'yes', cell(result))),
    '',
  ]
}

function head(...cells: readonly string[]): string[] {
  return [row(...cells), row(...cells.map(() => '---'))]
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

const servings = (revision: Revision): string => `As a server, ${revision}`
const callings = (revision: Revision): string => `As a client, ${revision}`

/** Reads one column of a table of servers back. */
export function readColumn(page: string, revision: Revision, target: Target): Record<string, string> {
  return read(page, servings(revision), 2 + targets.indexOf(target))
}

/** Reads one table of what is asked of clients back. */
export function readUpstream(page: string, revision: Revision): Record<string, string> {
  return read(page, callings(revision), 2)
}

function read(page: string, heading: string, at: number): Record<string, string> {
  const section = page.split(/^## /m).find((one) => one.startsWith(`${heading}\n`)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  const cells = rows.map((row) => row.split('|').slice(1, -1))
  return Object.fromEntries(cells.map((row) => [(row[0] ?? '').replaceAll(/[`\s]/g, ''), (row[at] ?? '').trim()]))
}

function score(list: readonly Scenario[]): string {
  return `${list.filter(({ failed }) => failed === 0).length} of ${list.length}`
}
