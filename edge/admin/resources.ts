// StoredResources through the admin API: apply, list, get, delete.
// Invariant: an apply stores all of its manifests or none.

import { kindOf } from '../../crds/kinds.ts'
import type { Kind } from '../../crds/kinds.ts'
import { parseManifest } from '../../crds/manifest.ts'
import { Fault } from '../../protocol/fault.ts'
import { maxResources, planApply, planDelete } from '../documents/plan.ts'
import type { Applied, DeletePlan, Manifest, ManifestProblem } from '../documents/plan.ts'
import { referrers } from '../../plan/references.ts'
import { resourceKey } from '../../plan/resources.ts'
import { changeResources, readResources } from '../documents/resources.ts'
import type { StoredResources, StoredResource } from '../documents/resources.ts'
import { readJson } from './body.ts'
import { nameOf, queryOf } from './call.ts'
import type { Call, Reply } from './call.ts'

/** A report of more would help nobody. */
const maxProblems = 200

/** `PUT /resources[?dryRun=true]` `{resources: [manifest…]}` → `{results}`; a dry run stores nothing. */
export async function applyResources(call: Call): Promise<Reply> {
  const { host } = call
  const { dryRun = 'false' } = queryOf(call, ['dryRun'])
  if (dryRun !== 'true' && dryRun !== 'false')
    throw new Fault('invalid_request', 'The query parameter "dryRun" must be true or false.')
  const { manifests, problems } = parseAll(await readJson(call.request))
  if (problems.length > 0) {
    const message = 'Nothing was applied: see problems.'
    return { kind: 'refused', reason: 'invalid_resource', message, problems: problems.slice(0, maxProblems) }
  }
  const plan = await changeResources(host.store, (current) => {
    const result = planApply(current, manifests, host.now(), () => host.random())
    const write = result.kind === 'planned' && dryRun === 'false' && result.next !== undefined
    return write
      ? { next: result.next, result: { ...result, written: true } }
      : { result: { ...result, written: false } }
  })
  if (plan.kind === 'refused') return { ...plan, problems: plan.problems.slice(0, maxProblems) }
  if (plan.written) await host.changed()
  const detail = `${dryRun === 'true' ? 'dry run: ' : ''}${describe(plan.results)}`
  return { kind: 'done', body: { results: plan.results }, target: 'resources', detail }
}

/** `GET /resources[?kind=&namespace=]` → `{items}`, ordered, each with its status. */
export async function listResources(call: Call): Promise<Reply> {
  const query = queryOf(call, ['kind', 'namespace'])
  const kind = query.kind === undefined ? undefined : knownKind(query.kind)
  const { resources } = await readResources(call.host.store)
  const chosen = [...resources]
    .filter(([, resource]) => kind === undefined || resource.kind === kind)
    .filter(([, { metadata }]) => query.namespace === undefined || metadata.namespace === query.namespace)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const items: object[] = []
  for (const [, resource] of chosen) items.push(await show(call, resource, resources))
  return { kind: 'done', body: { items } }
}

/** `GET /resources/:kind/:namespace/:name` → the resource with its status. */
export async function getResource(call: Call): Promise<Reply> {
  queryOf(call, [])
  const target = keyOf(call)
  const { resources } = await readResources(call.host.store)
  const resource = resources.get(target)
  if (resource === undefined) return { kind: 'refused', reason: 'not_found', message: `There is no ${target}.`, target }
  return { kind: 'done', body: await show(call, resource, resources), target }
}

/** `DELETE /resources/:kind/:namespace/:name[?resourceVersion=]` → `{kind, namespace, name, warnings}`; a warning for each that still names it. */
export async function deleteResource(call: Call): Promise<Reply> {
  const { resourceVersion } = queryOf(call, ['resourceVersion'])
  const target = keyOf(call)
  const plan = await changeResources<DeletePlan>(call.host.store, (current) => {
    const result = planDelete(current, target, resourceVersion)
    return result.kind === 'planned' ? { next: result.next, result } : { result }
  })
  if (plan.kind === 'refused') return { ...plan, target }
  await call.host.changed()
  const { kind, metadata } = plan.deleted
  const warnings = referrers(plan.deleted, plan.next.resources)
    .slice(0, maxProblems)
    .map(({ resource, path }) => ({
      path,
      message: `${resourceKey(resource.kind, resource.metadata.namespace, resource.metadata.name)} still names it`,
    }))
  return { kind: 'done', body: { kind, namespace: metadata.namespace, name: metadata.name, warnings }, target }
}

function parseAll(body: unknown): { manifests: Manifest[]; problems: ManifestProblem[] } {
  const list = typeof body === 'object' && body !== null && 'resources' in body ? body.resources : undefined
  if (!Array.isArray(list))
    throw new Fault('invalid_request', 'Send {"resources": [manifest, …]}; "resources" must be a list.')
  if (list.length > maxResources)
    throw new Fault('too_large', `A request may have ${maxResources} resources. Split it into several.`)
  const manifests: Manifest[] = []
  const problems: ManifestProblem[] = []
  for (const [index, input] of list.entries()) {
    const parsed = parseManifest(input)
    if (parsed.ok) manifests.push(parsed)
    else problems.push(...parsed.problems.map((problem) => ({ index, ...problem })))
    if (problems.length >= maxProblems) break
  }
  return { manifests, problems }
}

async function show({ host }: Call, resource: StoredResource, resources: StoredResources): Promise<object> {
  return { ...resource, status: await host.status(resource, resources) }
}

function keyOf(call: Call): string {
  return resourceKey(knownKind(call.params['kind'] ?? ''), nameOf(call, 'namespace'), nameOf(call, 'name'))
}

function knownKind(word: string): Kind {
  const kind = kindOf(word)
  if (kind !== undefined) return kind
  throw new Fault(
    'invalid_request',
    `There is no kind "${word.slice(0, 64)}". Try VirtualMCPServer, or its short name vmcp.`,
  )
}

function describe(results: readonly Applied[]): string {
  const text = results.map(({ action, kind, namespace, name }) => `${action} ${resourceKey(kind, namespace, name)}`)
  const shown = text.slice(0, 20).join(', ')
  return text.length > 20 ? `${shown} and ${text.length - 20} more` : shown
}
