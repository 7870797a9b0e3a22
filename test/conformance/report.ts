// Runs the whole suite and writes docs/conformance.md: node test/conformance/report.ts

import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startEdge } from '../edge.ts'
import { render } from './page.ts'
import { requirements } from './suite.ts'
import type { Report, Revision } from './suite.ts'
import { extensions, judge, openTarget, revisions, targets } from './targets.ts'
import type { Target } from './targets.ts'
import { extension, runUpstream, upstreamRuns } from './upstream.ts'
import type { UpstreamResult } from './upstream.ts'

const root = join(import.meta.dirname, '../..')
const path = join(root, 'docs/conformance.md')

async function judged(target: Target): Promise<Map<Revision, Report>> {
  const open = await openTarget(target)
  try {
    const reports = new Map<Revision, Report>()
    for (const revision of revisions) {
      console.log(`servers: ${target} ${revision}`)
      reports.set(revision, await judge(open, revision))
    }
    return reports
  } finally {
    await open.close()
  }
}

async function called(): Promise<UpstreamResult[]> {
  const edge = await startEdge()
  try {
    const results: UpstreamResult[] = []
    for (const run of await upstreamRuns()) {
      console.log(`clients: ${run.name} ${run.revision}`)
      results.push(await runUpstream(edge, run))
    }
    return results
  } finally {
    await edge.close()
  }
}

async function reasons(): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const revision of revisions) {
    for (const { scenario, reason } of (await requirements(revision)).not_scored) {
      found.set(`${revision} ${scenario}`, reason.replaceAll('-', ' '))
    }
    for (const name of [...extensions, extension]) found.set(`${revision} ${name}`, 'extension')
  }
  return found
}

/** Versions are pinned, so the manifest of the project tells them. */
async function versions(): Promise<Record<string, string>> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const used = ['@modelcontextprotocol/conformance', '@modelcontextprotocol/server', '@modelcontextprotocol/client']
  return Object.fromEntries(used.map((name) => [name, manifest.devDependencies[name] ?? '']))
}

const servers = new Map<Target, Map<Revision, Report>>()
for (const target of targets) servers.set(target, await judged(target))
const results = { versions: await versions(), servers, upstream: await called(), reasons: await reasons() }
await writeFile(path, render(results))
execFileSync(join(root, 'node_modules/.bin/oxfmt'), [path])
console.log(`wrote ${path}`)
