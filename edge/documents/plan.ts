// What an apply or a delete would do to the resources: pure, so that a dry run is the same decision without the write.
// Invariant: one refused manifest refuses them all.

import type { Problem, Resource } from '../../crds/manifest.ts'
import { clash } from './clash.ts'
import { resourceKey } from '../../plan/resources.ts'
import type { ResourceDocument, ServerMetadata, StoredResource } from './resources.ts'

export const maxResources = 5000

/** A manifest that passed its schema, with what its owner should know about it. */
export interface Manifest {
  readonly resource: Resource
  readonly warnings: readonly Problem[]
}

/** A problem of the manifest at `index` of the request. */
export interface ManifestProblem extends Problem {
  readonly index: number
}

export interface Applied {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly action: 'created' | 'configured' | 'unchanged'
  readonly resourceVersion: string
  readonly warnings: readonly Problem[]
}

export interface Refusal {
  readonly kind: 'refused'
  readonly reason: 'invalid_resource' | 'conflict' | 'not_found' | 'too_large'
  readonly message: string
  readonly problems: readonly ManifestProblem[]
}

/** `next` is absent when nothing would change. */
export type ApplyPlan =
  | { readonly kind: 'planned'; readonly next?: ResourceDocument; readonly results: readonly Applied[] }
  | Refusal

export type DeletePlan =
  | { readonly kind: 'planned'; readonly next: ResourceDocument; readonly deleted: StoredResource }
  | Refusal

/**
 * Creates or replaces each resource. A manifest that states `metadata.resourceVersion` is refused when the stored one
 * has another. `now` is in milliseconds, `random` makes a uid.
 */
export function planApply(
  current: ResourceDocument,
  manifests: readonly Manifest[],
  now: number,
  random: () => string,
): ApplyPlan {
  const conflicts: ManifestProblem[] = []
  const invalid: ManifestProblem[] = []
  const results: Applied[] = []
  const resources = new Map(current.resources)
  const seen = new Set<string>()
  const revision = current.revision + 1

  for (const [index, { resource, warnings }] of manifests.entries()) {
    const { namespace, name } = resource.metadata
    const key = resourceKey(resource.kind, namespace, name)
    if (seen.has(key)) invalid.push({ index, path: 'metadata.name', message: `${key} occurs twice in this request` })
    seen.add(key)
    const old = current.resources.get(key)
    const conflict = versionConflict(key, old, resource.metadata.resourceVersion)
    if (conflict !== undefined) conflicts.push({ index, path: 'metadata.resourceVersion', message: conflict })
    const action = old === undefined ? 'created' : same(given(old), given(resource)) ? 'unchanged' : 'configured'
    const stored = old !== undefined && action === 'unchanged' ? old : store(resource, old, revision, now, random)
    resources.set(key, stored)
    const { resourceVersion } = stored.metadata
    results.push({ kind: resource.kind, namespace, name, action, resourceVersion, warnings })
  }

  for (const [index, { resource }] of manifests.entries()) {
    const problem = clash(resource, resources)
    if (problem !== undefined) invalid.push({ index, ...problem })
  }

  if (invalid.length > 0) return refuse('invalid_resource', 'Nothing was applied: see problems.', invalid)
  if (conflicts.length > 0)
    return refuse(
      'conflict',
      'A resource was changed by somebody else. Get it again and repeat your change.',
      conflicts,
    )
  if (resources.size > maxResources)
    return refuse('too_large', `There would be ${resources.size} resources; ${maxResources} are allowed.`)
  if (results.every(({ action }) => action === 'unchanged')) return { kind: 'planned', results }
  return { kind: 'planned', next: { revision, resources }, results }
}

/** Removes one resource, if it still has `resourceVersion` where that is given. */
export function planDelete(current: ResourceDocument, key: string, resourceVersion?: string): DeletePlan {
  const deleted = current.resources.get(key)
  if (deleted === undefined) return refuse('not_found', `There is no ${key}.`)
  const conflict = versionConflict(key, deleted, resourceVersion)
  if (conflict !== undefined) return refuse('conflict', `${conflict}.`)
  const resources = new Map(current.resources)
  resources.delete(key)
  return { kind: 'planned', next: { revision: current.revision + 1, resources }, deleted }
}

function store(
  resource: Resource,
  old: StoredResource | undefined,
  revision: number,
  now: number,
  random: () => string,
): StoredResource {
  const server: ServerMetadata = {
    uid: old?.metadata.uid ?? random(),
    resourceVersion: String(revision),
    generation: old === undefined ? 1 : old.metadata.generation + (same(old.spec, resource.spec) ? 0 : 1),
    creationTimestamp: old?.metadata.creationTimestamp ?? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
  }
  return { ...resource, metadata: { ...resource.metadata, ...server } }
}

/** The part that its owner wrote. */
function given({ apiVersion, metadata, spec }: Resource): unknown {
  return { apiVersion, labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {}, spec }
}

function versionConflict(key: string, old: StoredResource | undefined, wanted: string | undefined): string | undefined {
  if (wanted === undefined) return undefined
  if (old === undefined) return `${key} does not exist (any more); leave resourceVersion out to create it`
  const stored = old.metadata.resourceVersion
  return stored === wanted ? undefined : `${key} is at resourceVersion ${stored}, not ${wanted}`
}

function refuse(reason: Refusal['reason'], message: string, problems: readonly ManifestProblem[] = []): Refusal {
  return { kind: 'refused', reason, message, problems }
}

/** Deep equality of JSON values; members that are undefined count as absent. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]))
  const left = members(a)
  const right = members(b)
  return left.size === right.size && [...left].every(([key, value]) => right.has(key) && same(value, right.get(key)))
}

function members(value: object): Map<string, unknown> {
  return new Map(Object.entries(value).filter(([, member]) => member !== undefined))
}
