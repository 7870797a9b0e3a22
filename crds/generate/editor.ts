// JSON Schemas for editors (yaml-language-server and others). They are stricter than they have to be nowhere: what they mark as wrong
// is refused by the API server too.
import { type Kind, kinds } from '../kinds.ts'
import { published } from './published.ts'
import { inputSchema } from './structural.ts'

/** The JSON Schema, draft 7, of a manifest of `kind`. */
export function editorSchema(kind: Kind): object {
  const { summary, versions, written } = published(kind)
  const group = kinds[kind].apiVersion.split('/')[0] ?? ''
  const spec = readable(inputSchema(written)) as Record<string, unknown>
  delete spec['$schema']
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: kind,
    description: summary,
    type: 'object',
    required: ['apiVersion', 'kind', 'metadata', ...(written.safeParse(undefined).success ? [] : ['spec'])],
    properties: {
      apiVersion: { enum: versions.map(({ name }) => `${group}/${name}`) },
      kind: { const: kind },
      metadata: { type: 'object' },
      spec,
      status: { type: 'object' },
    },
    additionalProperties: false,
  }
}

/** Without what only an API server understands, and without the bounds of JavaScript's integers. */
function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, child]) => !key.startsWith('x-kubernetes-') && Math.abs(Number(child)) !== Number.MAX_SAFE_INTEGER)
      .map(([key, child]) => [key, readable(child)]),
  )
}
