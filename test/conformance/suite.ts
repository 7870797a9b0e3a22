// Runs the published conformance suite against a URL and says, per scenario, how it went.
// Which scenarios count is read from the suite's own frozen requirement sets, never from our code.

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parse } from 'yaml'

export type Revision = '2025-11-25' | '2026-07-28'

export interface Scenario {
  readonly name: string
  readonly passed: number
  readonly failed: number
  /** Check ids with their messages, for whoever reads a failing test. */
  readonly complaints: readonly string[]
}

export interface Report {
  /** The scenarios that the revision requires, in the suite's order; one that never ran is missing. */
  readonly scored: readonly Scenario[]
  readonly unscored: readonly Scenario[]
  /** How many scenarios the revision requires of a server. */
  readonly required: number
}

const suite = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))

/** Runs every scenario of a revision; gives up after `timeoutMs`. */
export async function conform(url: string, revision: Revision, timeoutMs = 80_000): Promise<Report> {
  const output = await mkdtemp(join(tmpdir(), 'conformance-'))
  try {
    const args = [join(suite, 'dist/index.js'), 'server', '--url', url, '--requirements', revision, '-o', output]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    const [printed, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
    const required = await requirements(revision)
    const all = await Promise.all(
      [...printed.matchAll(/^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed/gm)].map(async (line) => {
        const [, name = '', passed = '', failed = ''] = line
        return { name, passed: Number(passed), failed: Number(failed), complaints: await complaints(output, name) }
      }),
    )
    if (all.length === 0) throw new Error(`the conformance suite printed no summary: ${printed}${complained}`)
    return {
      scored: all.filter(({ name }) => required.includes(name)),
      unscored: all.filter(({ name }) => !required.includes(name)),
      required: required.length,
    }
  } finally {
    await rm(output, { recursive: true, force: true })
  }
}

/** Names of the scenarios in `list` with a failed check, each with what was wrong. */
export function failing(list: readonly Scenario[]): string[] {
  return list.filter((one) => one.failed > 0).map((one) => one.name)
}

/** What failed, readable in an assertion message. */
export function explain(list: readonly Scenario[]): string {
  return list.flatMap((one) => one.complaints.map((complaint) => `${one.name}: ${complaint}`)).join('\n')
}

async function requirements(revision: Revision): Promise<string[]> {
  const file = parse(await readFile(join(suite, `requirements/${revision}.yaml`), 'utf8')) as { server: string[] }
  return file.server
}

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

async function complaints(output: string, scenario: string): Promise<string[]> {
  const pattern = new RegExp(`^server-${scenario}-\\d{4}-`)
  const folder = (await readdir(output)).find((name) => pattern.test(name))
  if (folder === undefined) return []
  const checks = JSON.parse(await readFile(join(output, folder, 'checks.json'), 'utf8')) as Check[]
  return checks
    .filter((check) => check.status === 'FAILURE')
    .map((check) => `${check.id}: ${check.errorMessage ?? 'failed'}`)
}
