// Holds what a run has shown against what docs/conformance.md says, and against the reasons given for what is not as it should be.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { notes } from './notes.ts'
import { column, readColumn } from './page.ts'
import type { Report, Revision } from './suite.ts'
import type { Target } from './targets.ts'

/** The committed page. */
export function committed(): Promise<string> {
  return readFile(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8')
}

export const outdated = 'docs/conformance.md is not what the suite shows: npm run conformance writes it'

/** Throws when the page or the notes say something else than the run. */
export async function agree(report: Report, revision: Revision, target: Target): Promise<void> {
  const because = notes.filter((note) => note.revision === revision && note.targets.includes(target))
  const all = [...report.scored, ...report.unscored]
  const odd = all.filter(({ failed, warned, applies }) => failed + warned > 0 || !applies).map(({ name }) => name)
  assert.deepEqual(
    odd.toSorted(),
    because.flatMap(({ scenarios }) => scenarios).toSorted(),
    'test/conformance/notes.ts',
  )
  assert.deepEqual(column(report), readColumn(await committed(), revision, target), outdated)
}
