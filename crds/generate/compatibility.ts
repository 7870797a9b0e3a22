// docs/compatibility.md: what becomes of every field of ToolHive's kinds here.
import type { Kind } from '../kinds.ts'
import { code, table } from './markdown.ts'
import { type Stated, readStatements, stated, statedKinds } from './statement.ts'

/** The page in Markdown. Throws when a field has no statement. */
export function compatibility(): string {
  const all = readStatements()
  const sections = statedKinds(all).map((kind) => section(kind, stated(kind, all[kind] ?? {})))
  return [
    '# Compatibility',
    "Every field of ToolHive's kinds and what it does in a cluster with Waggle. Made by `node crds/generate/main.ts` from the schemas and `crds/generate/compatibility.yaml`; a test holds it to the truth.",
    '**works**: as in ToolHive, shown by the test. **differs**: something else is done, for the reason that stands there. What acts at the edge is in [configuration.md](configuration.md#resources). Old spellings, which are read and reported, are on the pages of [the reference](reference/README.md).',
    ...sections,
  ].join('\n\n')
}

function section(kind: Kind, lines: readonly Stated[]): string {
  const page = `reference/${kind.toLowerCase()}.md`
  const rows = [...grouped(lines).values()].map((group) => {
    const [{ statement }] = group
    return [
      paths(group, page),
      'works' in statement ? 'works' : 'differs',
      'works' in statement
        ? [statement.note, proof(statement.works)].filter((part) => part !== undefined).join(' ')
        : [statement.instead, ...(statement.test === undefined ? [] : [proof(statement.test)])].join(' '),
    ]
  })
  return `## [${kind}](${page})\n\n${table(['field', '', 'shown by, or instead'], rows)}`
}

type Group = [Stated, ...Stated[]]

/** Fields that one statement speaks for share a row. */
function grouped(lines: readonly Stated[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const line of lines) {
    const group = groups.get(line.key)
    if (group === undefined) groups.set(line.key, [line])
    else group.push(line)
  }
  return groups
}

const MANY = 24

/** A field, and those below it without what all of their paths begin with; only how many when nobody would read them. */
function paths([first, ...below]: Group, page: string): string {
  const { path } = first.field
  if (below.length === 0) return code(path)
  if (below.length > MANY) return `${code(path)} and [its ${below.length} fields](${page})`
  return `${code(path)}: ${below.map(({ field }) => code(field.path.slice(path.length).replace(/^\./, ''))).join(', ')}`
}

function proof(test: string): string {
  const [file = '', title = ''] = test.split(/: (.*)/s)
  return `[${title}](../${file})`
}
