// The one door for resources: untrusted JSON in, a resource or all of its problems out. Never throws, never quotes values.
// plain copy → kind and version → old spellings → strict schema and annotations → warnings about what does nothing here.
import type * as z from 'zod'
import { normalise, type Notes } from './alias.ts'
import { checkAnnotations } from './annotation.ts'
import { explain, maxProblems } from './explain.ts'
import { allKinds, type EdgeKind, elsewhere, type Host, isEdgeKind, isKind, type Kind, kindOf, kinds } from './kinds.ts'
import { MCPExternalAuthConfig } from './mcp-external-auth-config.ts'
import { MCPGroup } from './mcp-group.ts'
import { MCPOIDCConfig } from './mcp-oidc-config.ts'
import { MCPRemoteProxy } from './mcp-remote-proxy.ts'
import { MCPServerEntry } from './mcp-server-entry.ts'
import { MCPToolConfig } from './mcp-tool-config.ts'
import { nearest } from './nearest.ts'
import { isTree, plain, type Tree } from './plain.ts'
import type { Problem } from './problem.ts'
import { ToolPolicy } from './tool-policy.ts'
import { unusedFields } from './unused.ts'
import { VirtualMCPServer } from './virtual-mcp-server.ts'

export type { Problem } from './problem.ts'

export const edgeSchemas = {
  MCPRemoteProxy,
  MCPServerEntry,
  VirtualMCPServer,
  MCPGroup,
  MCPOIDCConfig,
  MCPExternalAuthConfig,
  MCPToolConfig,
  ToolPolicy,
} as const satisfies Readonly<Record<EdgeKind, z.ZodType>>

/** A resource that an edge takes. */
export type Resource = z.infer<(typeof edgeSchemas)[EdgeKind]>

export type Parsed = Reading<Resource>

export type Reading<R> =
  | { readonly ok: true; readonly resource: R; readonly warnings: Problem[] }
  | { readonly ok: false; readonly problems: Problem[] }

/**
 * Reads one manifest for an edge. The resource has defaults applied, old spellings replaced and the current apiVersion; status and
 * metadata that a server sets are dropped, except uid and resourceVersion. Without a namespace it gets `defaultNamespace`, or `default`.
 */
export function parseManifest(input: unknown, options: { defaultNamespace?: string } = {}): Parsed {
  return read<Resource>(input, edgeSchemas, 'edge', options)
}

/** As `parseManifest`, for the kinds in `schemas` and whatever `host` makes of them. `R` is what the schemas give. */
export function read<R>(
  input: unknown,
  schemas: Readonly<Partial<Record<Kind, z.ZodType>>>,
  host: Host,
  options: { defaultNamespace?: string } = {},
): Reading<R> {
  const copied = plain(input)
  if (!copied.ok) return { ok: false, problems: [copied.problem] }
  const draft = copied.value
  if (!isTree(draft)) {
    return {
      ok: false,
      problems: [{ path: '', message: 'must be an object with apiVersion, kind, metadata and spec' }],
    }
  }
  const known = allKinds.filter((kind) => schemas[kind] !== undefined)
  const kind = readKind(draft['kind'], known)
  if (typeof kind !== 'string') return { ok: false, problems: [kind] }
  const schema = schemas[kind]
  if (schema === undefined) return { ok: false, problems: [{ path: 'kind', message: 'is not known here' }] }

  const notes: Notes = { warnings: [], problems: [] }
  readVersion(kind, draft, notes)
  clean(draft, options.defaultNamespace ?? 'default')
  if (isTree(draft['spec'])) normalise(kind, draft['spec'], notes)

  const parsed = schema.safeParse(draft)
  const metadata = draft['metadata']
  const annotations = isTree(metadata) && isTree(metadata['annotations']) ? metadata['annotations'] : {}
  const problems = [...notes.problems, ...checkAnnotations(kind, annotations)]
  if (!parsed.success) problems.push(...explain(schema, draft, parsed.error.issues))
  if (!parsed.success || problems.length > 0) return { ok: false, problems: problems.slice(0, maxProblems) }
  const unused = host === 'edge' && isTree(draft['spec']) ? unusedFields(kind, draft['spec']) : []
  return { ok: true, resource: parsed.data as R, warnings: [...notes.warnings, ...unused] }
}

function readKind(value: unknown, known: readonly Kind[]): Kind | Problem {
  const path = 'kind'
  if (typeof value !== 'string' || value === '') return { path, message: `is required: ${known.join(', ')}` }
  const kind = isKind(value) ? value : undefined
  if (kind !== undefined && known.includes(kind)) return kind
  if (kind !== undefined && !isEdgeKind(kind)) return { path, message: elsewhere[kind] }
  if (value === 'List') return { path, message: 'List holds several resources; give each of its items by itself' }
  const suggestion = kindOf(value) ?? nearest(value, allKinds)
  return {
    path,
    message: `is not a kind that the edge knows: ${known.join(', ')}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  }
}

/** Accepts the present version and ToolHive's older one; anything else is left for the schema, with a problem that names the right one. */
function readVersion(kind: Kind, draft: Tree, notes: Notes): void {
  const { apiVersion } = kinds[kind]
  const given = draft['apiVersion']
  if (given === apiVersion) return
  draft['apiVersion'] = apiVersion
  const older = apiVersion.replace('/v1beta1', '/v1alpha1')
  if (given === older) {
    notes.warnings.push({ path: 'apiVersion', message: `${older} is deprecated; use v1beta1`, suggestion: apiVersion })
    return
  }
  const message = given === undefined ? `is required: ${apiVersion}` : `must be ${apiVersion} for a ${kind}`
  notes.problems.push({ path: 'apiVersion', message, suggestion: apiVersion })
}

const serverSet = [
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generation',
  'managedFields',
  'ownerReferences',
  'selfLink',
]

/** Drops what a server or kubectl adds by itself, and fills in the namespace. */
function clean(draft: Tree, namespace: string): void {
  delete draft['status']
  const metadata = draft['metadata']
  if (!isTree(metadata)) return
  for (const field of serverSet) delete metadata[field]
  metadata['namespace'] ??= namespace
  if (isTree(metadata['annotations']))
    delete metadata['annotations']['kubectl.kubernetes.io/last-applied-configuration']
}
