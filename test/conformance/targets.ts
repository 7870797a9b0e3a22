// What the suite's server scenarios are run against: the fixture itself, and the edge, token checked, in front of one fixture per era.

import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startBearer } from '../peers/bearer.ts'
import { startFixture } from '../peers/fixture.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { conform, conformOne } from './suite.ts'
import type { Report, Revision, Scenario } from './suite.ts'

/** In the order of the columns of docs/conformance.md. */
export const targets = ['direct', 'dual', 'legacy', 'modern'] as const

/** `direct`: the dual-era fixture without an edge. The others: the edge in front of a fixture that speaks both eras or one. */
export type Target = (typeof targets)[number]

export const revisions: readonly Revision[] = ['2025-11-25', '2026-07-28']

/** In no requirement set, but of a protocol extension that passes through a gateway. */
export const extensions = ['sep-2640-skills-directory', 'sep-2640-skills-enumeration', 'sep-2640-skills-manifest']

/** Where a target is, for as long as it is open. */
export interface OpenTarget {
  readonly url: string
  close(): Promise<void>
}

/** Starts a target. Behind the edge the fixture is the only server, and its names stay as they are. */
export async function openTarget(target: Target): Promise<OpenTarget> {
  const fixture = await startFixture({
    eras: target === 'direct' || target === 'dual' ? 'both' : target,
    resumable: true,
  })
  if (target === 'direct') return { url: fixture.url, close: () => fixture.close() }
  let edge: TestEdge | undefined
  // The suite checks that a local Origin is accepted; that is the proxy's, so it must exist before the edge.
  const proxy = await startBearer(
    () => edge?.url ?? '',
    async () => (await edge?.token(edge.endpoint('fixture'))) ?? '',
  )
  const close = async (): Promise<void> => {
    await proxy.close()
    await edge?.close()
    await fixture.close()
  }
  try {
    edge = await startEdge({
      resources: [entry('fixture', fixture.url), virtual('fixture', ['fixture'])],
      vars: { ALLOWED_ORIGINS: proxy.url },
    })
    await edge.lists(edge.endpoint('fixture'), ['test_simple_text', 'json_schema_2020_12_tool'])
  } catch (cause) {
    await close()
    throw cause
  }
  return { url: `${proxy.url}/test/fixture/mcp`, close }
}

/** Runs everything that the suite has for servers of a revision. */
export async function judge(target: OpenTarget, revision: Revision): Promise<Report> {
  if (revision !== '2026-07-28') return conform(target.url, revision)
  const skills = async (): Promise<Scenario[]> => {
    const seen: Scenario[] = []
    for (const name of extensions) seen.push(await conformOne(target.url, name))
    return seen
  }
  const [report, more] = await Promise.all([conform(target.url, revision), skills()])
  return { ...report, unscored: [...report.unscored, ...more] }
}
