// The reference pages, from the same schemas that the API server enforces.
import { type Kind, kinds } from '../kinds.ts'
import { type Field, fields, rules } from './field.ts'
import { code, table } from './markdown.ts'
import { published, publishedKinds } from './published.ts'

/** The page of `kind` in Markdown. */
export function page(kind: Kind): string {
  const { plural, shortNames, apiVersion } = kinds[kind]
  const { summary, versions } = published(kind)
  const group = apiVersion.split('/')[0] ?? ''
  const spec = fields(kind, 'spec')
  const served = versions.map(({ name, deprecated }) => {
    const version = code(`${group}/${name}`)
    return deprecated === undefined ? version : `${version} (deprecated)`
  })
  return [
    `# ${kind}`,
    summary,
    `${served.join(', ')}. For kubectl: ${[plural, ...shortNames].map(code).join(', ')}.`,
    ...section(
      'Spec',
      spec.filter(({ deprecated }) => !deprecated),
    ),
    ...section(
      'Old spellings',
      spec.filter(({ deprecated }) => deprecated),
    ),
    ...ruleSection(kind),
    ...section('Status', fields(kind, 'status')),
  ].join('\n\n')
}

/** The page that leads to all others. */
export function index(): string {
  return [
    '# Kinds',
    'Made by `node crds/generate/main.ts` from the schemas in `crds/`, which the API server enforces too.',
    table(
      ['kind', 'for kubectl', 'what it is'],
      publishedKinds.map((kind) => [
        `[${kind}](${kind.toLowerCase()}.md)`,
        [kinds[kind].plural, ...kinds[kind].shortNames].map(code).join(', '),
        published(kind).summary,
      ]),
    ),
  ].join('\n\n')
}

function section(title: string, all: readonly Field[]): string[] {
  if (all.length === 0) return []
  return [`## ${title}`, table(['field', 'type', 'meaning'], all.map(row))]
}

function row({ path, type, required, bounds, description }: Field): string[] {
  const marks = [...(required ? ['**required**'] : []), ...bounds]
  return [code(path), [type, ...marks].join('; '), description]
}

function ruleSection(kind: Kind): string[] {
  const all = rules(kind)
  if (all.length === 0) return []
  return [
    '## Rules',
    'Checked by the API server when the object is applied.',
    table(
      ['at', 'message'],
      all.map(({ path, message }) => [code(path), message]),
    ),
  ]
}
