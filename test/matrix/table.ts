// docs/matrix.md as data: the document is what the test expects, so the two cannot drift apart.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kinds } from './servers.ts'
import type { Kind } from './servers.ts'
import { revisions } from './visitors.ts'
import type { Revision } from './visitors.ts'

const path = join(import.meta.dirname, '..', '..', 'docs', 'matrix.md')

export interface Expected {
  readonly kind: Kind
  readonly revision: Revision
  readonly feature: string
  /** A word of the legend. */
  readonly word: string
}

/** One table per kind of server, a row per feature, a column per revision. Throws, naming the place, when it is not so. */
export async function readTable(): Promise<Expected[]> {
  const sections = (await readFile(path, 'utf8')).split(/^## /m).slice(1)
  return kinds.flatMap((kind) => {
    const section = sections.find((one) => one.toLowerCase().startsWith(`server: ${kind.toLowerCase()}`))
    if (section === undefined) throw new Error(`docs/matrix.md has no section "Server: ${kind}"`)
    const [head, , ...rows] = section
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map(cells)
    const columns = head?.slice(1) ?? []
    if (columns.join() !== revisions.join()) throw new Error(`docs/matrix.md, ${kind}: columns ${columns.join()}`)
    return rows.flatMap(([feature = '', ...words]) =>
      revisions.map((revision, at) => ({ kind, revision, feature, word: words[at] ?? '' })),
    )
  })
}

/** The words that the legend explains. */
export async function readLegend(): Promise<string[]> {
  const [, legend] = (await readFile(path, 'utf8')).split(/^## What the words mean$/m)
  if (legend === undefined) throw new Error('docs/matrix.md has no section "What the words mean"')
  return [...(legend.split(/^## /m)[0]?.matchAll(/^\| `([^`]+)`/gm) ?? [])].map(([, word]) => word ?? '')
}

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}
