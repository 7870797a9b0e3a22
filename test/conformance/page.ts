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
  /** Of the dual-era fixture, the edge and what is behind it. */
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

/** One table of what is asked of clients, by scenario. */
export function upstreamColumn(results: readonly UpstreamResult[], revision: Revision): Record<string, string> {
  const rows = results.filter((one) => one.revision === revision)
  return Object.fromEntries(rows.map(({ name, result }) => [name, cell(result)]))
}

const names: Readonly<Record<Target, string>> = {
  direct: 'no edge',
  dual: 'both eras',
  legacy: 'legacy only',
  modern: 'modern only',
}

/** The page. The same results make the same bytes. */
export function render({ versions, servers, upstream, reasons }: Results): string {
  const lines = [
    '# Conformance',
    '',
    '<!-- Written by `node test/conformance/report.ts`. Do not edit: the tests compare it with their own runs. -->',
    '',
    'The published suite, run through the edge on workerd with a token checked at every request. There is no list of expected failures.',
    '',
    ...Object.entries(versions).map(([name, version]) => `- \`${name}\` ${version}`),
    '',
    '## Summary',
    '',
    `| scored scenarios passed | ${targets.map((target) => names[target]).join(' | ')} | towards servers |`,
    `| --- | ${targets.map(() => '---').join(' | ')} | --- |`,
    ...revisions.map((revision) => {
      const scores = targets.map((target) => score(servers.get(target)?.get(revision)?.scored ?? []))
      const own = upstream.filter((one) => one.revision === revision && one.scored).map(({ result }) => result)
      return `| ${revision} | ${scores.join(' | ')} | ${score(own)} |`
    }),
    '',
    'The columns are what is behind the edge: a server that speaks both eras (the edge then speaks the modern one to it), one of 2025-11-25 only, one of 2026-07-28 only; "no edge" is the suite',
    'against the first of them directly. "Towards servers" are scenarios for clients: the server is the suite\'s, a backend of the edge, and judged is how the edge calls it. Those about OAuth are not among them yet.',
    '',
  ]
  for (const revision of revisions) {
    lines.push(`## ${servings(revision)}`, '')
    lines.push(`| scenario | scored | ${targets.map((target) => names[target]).join(' | ')} |`)
    lines.push(`| --- | --- | ${targets.map(() => '---').join(' | ')} |`)
    const columns = targets.map((target) => columnOf(servers, target, revision))
    for (const name of Object.keys(columns[0] ?? {})) {
      const scored = reasons.get(`${revision} ${name}`) ?? 'yes'
      lines.push(`| \`${name}\` | ${scored} | ${columns.map((one) => one[name] ?? 'not run').join(' | ')} |`)
    }
    lines.push('')
    const why = notes.filter((note) => note.revision === revision)
    if (why.length > 0) lines.push('Why some are not as they should be:', '')
    for (const { targets: where, scenarios, why: reason } of why) {
      lines.push(
        `- ${where.map((target) => names[target]).join(' and ')}, ${scenarios.map((name) => `\`${name}\``).join(', ')}: ${reason}`,
      )
    }
    if (why.length > 0) lines.push('')
  }
  for (const revision of revisions) {
    lines.push(`## ${callings(revision)}`, '', '| scenario | scored | result |', '| --- | --- | --- |')
    for (const { name, result } of upstream.filter((one) => one.revision === revision)) {
      lines.push(`| \`${name}\` | ${reasons.get(`${revision} ${name}`) ?? 'yes'} | ${cell(result)} |`)
    }
    lines.push('')
  }
  const hosts = forHosts.map((name) => `\`${name}\``).join(', ')
  lines.push(`Not run: ${hosts}. They judge whoever loads a skill; the edge passes skills on and loads none.`, '')
  return lines.join('\n')
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

function columnOf(servers: Results['servers'], target: Target, revision: Revision): Record<string, string> {
  const report = servers.get(target)?.get(revision)
  return report === undefined ? {} : column(report)
}

function score(list: readonly Scenario[]): string {
  return `${list.filter(({ failed }) => failed === 0).length} of ${list.length}`
}
