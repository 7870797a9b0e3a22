// The client scenarios that judge how the edge behaves towards its servers: every one of the suite that is not about OAuth.

import { join } from 'node:path'
import type { TestEdge } from '../edge.ts'
import { writeBrief } from './brief.ts'
import { conformClient, requirements } from './suite.ts'
import type { Revision, Scenario } from './suite.ts'

/** One scenario as a revision has it. */
export interface UpstreamRun {
  readonly revision: Revision
  readonly name: string
  /** Whether the revision requires it. */
  readonly scored: boolean
}

export interface UpstreamResult extends UpstreamRun {
  readonly result: Scenario
}

/** In no requirement set, but judges anybody between a client and a skill. */
export const extension = 'sep-2640-client-no-prefetch'

/** Judge whoever reads skills, which the edge does not: it passes them on. */
export const forHosts = [
  'sep-2640-client-verify-digest',
  'sep-2640-client-verify-size',
  'sep-2640-client-verify-frontmatter',
]

const driver = join(import.meta.dirname, 'driver.ts')

/** What the revisions require or report of a client, and of the extensions what concerns a gateway; OAuth is apart. */
export async function upstreamRuns(): Promise<UpstreamRun[]> {
  const runs: UpstreamRun[] = []
  for (const revision of ['2025-11-25', '2026-07-28'] as const) {
    const { client, not_scored } = await requirements(revision)
    const unscored = not_scored.filter(({ leg }) => leg === 'client').map(({ scenario }) => scenario)
    for (const name of client) runs.push({ revision, name, scored: true })
    for (const name of unscored) runs.push({ revision, name, scored: false })
  }
  runs.push({ revision: '2026-07-28', name: extension, scored: false })
  return runs.filter(({ name }) => !name.startsWith('auth/'))
}

/** Runs one against a running edge, which may serve others meanwhile. */
export async function runUpstream(edge: TestEdge, { revision, name, scored }: UpstreamRun): Promise<UpstreamResult> {
  const server = `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}-${revision}`
  const [token, adminToken] = await Promise.all([edge.token(edge.endpoint(server)), edge.adminToken()])
  const env = writeBrief({ edge: edge.url, name: server, token, adminToken })
  const result = await conformClient(name, revision, [process.execPath, driver], env)
  return { revision, name, scored, result }
}
