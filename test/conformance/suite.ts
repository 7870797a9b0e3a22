// Runs the published conformance suite and says, per scenario, how it went.
// Which scenarios count is read from the suite's own frozen requirement sets, never from our code.

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parse } from 'yaml'

export type Revision = '2025-11-25' | '2026-07-28'
export type Leg = 'server' | 'client'

export interface Scenario {
  readonly name: string
  readonly passed: number
  readonly failed: number
  /** Recommendations that were not followed. */
  readonly warned: number
  /** Whether the scenario found anything to check. */
  readonly applies: boolean
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

/** The frozen list of one revision. */
export interface Requirements {
  readonly server: readonly string[]
  readonly client: readonly string[]
  /** What the suite runs without counting it, and why it does not count. */
  readonly not_scored: readonly { readonly scenario: string; readonly leg: Leg; readonly reason: string }[]
}

/** The environment in which servers are judged: the suite waits for longer than it does by itself. */
const PATIENT = { NODE_OPTIONS: `--import ${new URL('patience.ts', import.meta.url).href}` }

const suite = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))

/** Runs every scenario of a revision against a server; gives up after `timeoutMs`. */
export async function conform(url: string, revision: Revision, timeoutMs = 240_000): Promise<Report> {
  return withOutput(async (output) => {
    const args = ['server', '--url', url, '--requirements', revision, '-o', output]
    const { printed } = await run(args, timeoutMs, PATIENT)
    const { server } = await requirements(revision)
    const names = [...printed.matchAll(/^[✓✗] ([\w-]+): \d+ passed, \d+ failed/gm)].map(([, name = '']) => name)
    if (names.length === 0) throw new Error(`the conformance suite printed no summary: ${printed}`)
    const all = await Promise.all(names.map(async (name) => verdict(name, await checks(output, `server-${name}`))))
    return {
      scored: all.filter(({ name }) => server.includes(name)),
      unscored: all.filter(({ name }) => !server.includes(name)),
      required: server.length,
    }
  })
}

/** Runs one scenario against a server, also one that no requirement set names. */
export async function conformOne(url: string, name: string, timeoutMs = 120_000): Promise<Scenario> {
  return withOutput(async (output) => {
    await run(['server', '--url', url, '--scenario', name, '-o', output], timeoutMs, PATIENT)
    return verdict(name, await checks(output, `server-${name}`))
  })
}

/** Runs one client scenario: the suite starts a scripted server and runs `command` with its URL as last argument. */
export async function conformClient(
  name: string,
  revision: Revision,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs = 40_000,
): Promise<Scenario> {
  return withOutput(async (output) => {
    const args = ['client', '--command', command.join(' '), '--scenario', name]
    // Scenarios of extensions belong to no revision; they are run at the one that is asked for.
    args.push('--spec-version', revision, '--force')
    const { code, printed } = await run(
      [...args, '-o', output, '--timeout', String(timeoutMs - 10_000)],
      timeoutMs,
      env,
    )
    const seen = verdict(name, await checks(output, name))
    if (code === 0 || seen.failed + seen.warned > 0) return seen
    // No check failed, but the driver did: the suite ends with an error then, and so must we.
    return { ...seen, failed: 1, complaints: [`the suite ended with ${code}: ${printed.slice(-2000)}`] }
  })
}

/** Names of the scenarios in `list` with a failed check; warnings are about recommendations. */
export function failing(list: readonly Scenario[]): string[] {
  return list.filter((one) => one.failed > 0).map((one) => one.name)
}

/** What failed, readable in an assertion message. */
export function explain(list: readonly Scenario[]): string {
  return list.flatMap((one) => one.complaints.map((complaint) => `${one.name}: ${complaint}`)).join('\n')
}

/** The suite's own list of what a revision requires. */
export async function requirements(revision: Revision): Promise<Requirements> {
  return parse(await readFile(join(suite, `requirements/${revision}.yaml`), 'utf8')) as Requirements
}

interface Check {
  readonly id: string
  readonly name?: string
  readonly status: string
  readonly errorMessage?: string
}

function verdict(name: string, list: readonly Check[]): Scenario {
  const count = (wanted: string, of = list): number => of.filter(({ status }) => status === wanted).length
  // Every scenario validates what is on the wire, also one that has nothing to look at otherwise.
  const own = list.filter(({ id }) => id !== 'wire-schema-valid')
  return {
    name,
    passed: count('SUCCESS'),
    failed: count('FAILURE'),
    warned: count('WARNING'),
    applies: count('SUCCESS', own) + count('FAILURE', own) + count('WARNING', own) > 0,
    complaints: list
      .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
      .map((check) => `${check.id} (${check.name ?? ''}): ${check.errorMessage ?? check.status}`),
  }
}

async function checks(output: string, prefix: string): Promise<Check[]> {
  const folder = (await readdir(output)).find(
    (name) => name.startsWith(prefix) && /^-\d{4}-\d\d-/.test(name.slice(prefix.length)),
  )
  if (folder === undefined) return [{ id: prefix, status: 'FAILURE', errorMessage: 'the scenario left no result' }]
  return JSON.parse(await readFile(join(output, folder, 'checks.json'), 'utf8')) as Check[]
}

async function run(
  args: readonly string[],
  timeoutMs: number,
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; printed: string }> {
  const child = spawn(process.execPath, [join(suite, 'dist/index.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    env: { ...process.env, ...env },
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await ended, printed: out + err }
}

async function withOutput<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const output = await mkdtemp(join(tmpdir(), 'conformance-'))
  try {
    return await action(output)
  } finally {
    await rm(output, { recursive: true, force: true })
  }
}
