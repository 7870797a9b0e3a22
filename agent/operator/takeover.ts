// Living after, and never beside, another operator of the same kinds: ToolHive's. Two operators would undo each other's work for ever.

import { KubeError } from '../kube/error.ts'
import type { KubeClient } from '../kube/client.ts'
import { TYPES, type KubeObject } from '../kube/object.ts'
import { controllerOf } from '../kube/owner.ts'
import type { OwnerReference, ResourceType } from '../kube/object.ts'
import { MANAGED_BY, MANAGER } from './label.ts'
import { isTree, merge, type Tree } from './strategic.ts'
import { KEPT } from './workload.ts'
import type { Settings } from './settings.ts'

const LEASE = 'toolhive-operator-leader-election'
/** ToolHive's operator renews every two seconds. */
const FRESH_MS = 60_000

/** Why the operator must not start: a ToolHive operator runs. Undefined when none is seen. */
export async function rival(
  client: KubeClient,
  settings: Settings,
  now: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const namespaces =
    settings.namespaces === undefined ? [undefined] : [...new Set([settings.namespace, ...settings.namespaces])]
  for (const namespace of namespaces) {
    const deployments = await allowed(
      client.list(TYPES.Deployment, { namespace, labelSelector: 'app.kubernetes.io/name=toolhive-operator', signal }),
    )
    const running = deployments?.items.find(isRunning)
    if (running !== undefined) return `the Deployment ${running.metadata.namespace}/${running.metadata.name}`
  }
  const lease = await allowed(client.get({ type: TYPES.Lease, namespace: settings.namespace, name: LEASE }, { signal }))
  const { holderIdentity, renewTime } = (lease?.spec ?? {}) as { holderIdentity?: string; renewTime?: string }
  // A time that is still to come was written by nobody's clock.
  const isFresh = Math.abs(now - Date.parse(renewTime ?? '')) < FRESH_MS
  const isHeld = holderIdentity !== undefined && holderIdentity !== '' && isFresh
  return isHeld ? `the holder of the Lease ${settings.namespace}/${LEASE}` : undefined
}

function isRunning({ spec, status }: KubeObject): boolean {
  const replicas = (spec as { replicas?: number } | undefined)?.replicas ?? 1
  const existing = (status as { replicas?: number } | undefined)?.replicas ?? 0
  const containers = (spec as { template?: { spec?: { containers?: { image?: string }[] } } } | undefined)?.template
    ?.spec?.containers
  return (
    (replicas > 0 || existing > 0) &&
    containers?.some(({ image }) => image?.includes('toolhive/operator') === true) === true
  )
}

/** What there is no right to see, or does not exist, is not there. */
async function allowed<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof KubeError && (error.status === 403 || error.status === 404)) return undefined
    throw error
  }
}

/** Whether an object that stands where ours shall stand may become ours. */
export function adoption(settings: Settings): (existing: KubeObject, desired: KubeObject) => boolean {
  return (existing, desired) => {
    const { labels = {} } = existing.metadata
    const isSame = labels['toolhive-name'] === desired.metadata.labels?.['toolhive-name']
    if (!isSame || desired.metadata.labels?.['toolhive-name'] === undefined) return false
    const owner = controllerOf(existing)
    // Left behind when its owner was deleted without its objects.
    if (owner === undefined && labels[MANAGED_BY] === MANAGER) return true
    return settings.takeOver && labels['toolhive'] === 'true' && (owner === undefined || owner.kind === 'StatefulSet')
  }
}

/**
 * Makes an object of ToolHive's ours before it is applied: it gets our resource as its controller, and what ToolHive's managers set in
 * it counts as set by us, so that applying takes away what we do not want. A StatefulSet that keeps its template waits with the latter.
 */
export async function claim(
  client: KubeClient,
  type: ResourceType,
  existing: KubeObject,
  desired: KubeObject,
  owner: OwnerReference,
  signal?: AbortSignal,
): Promise<void> {
  const { labels = {}, annotations = {}, name, namespace } = existing.metadata
  if (labels['toolhive'] !== 'true') return
  const isFirst = labels[MANAGED_BY] !== MANAGER
  const keeps = desired.metadata.annotations?.[KEPT] !== undefined
  const inherits = !keeps && (isFirst || annotations[KEPT] !== undefined)
  if (!isFirst && !inherits) return
  const live = await client.get({ type, name, namespace }, { signal })
  const { resourceVersion, managedFields } = live.metadata
  const fields = inherits && Array.isArray(managedFields) ? { managedFields: inherited(managedFields, type) } : {}
  const patch = { metadata: { resourceVersion, ownerReferences: [owner], ...fields } }
  await client.patch({ type, name, namespace }, patch, { manager: MANAGER, signal })
}

/** All that anybody set, except by way of a subresource, as set by our applying. */
function inherited(entries: readonly unknown[], type: ResourceType): unknown[] {
  const trees = entries.filter(isTree)
  const others = trees.filter((entry) => entry['subresource'] !== undefined && entry['subresource'] !== '')
  const fieldsV1 = trees
    .filter((entry) => !others.includes(entry))
    .reduce<Tree>((sum, { fieldsV1: one }) => merge(sum, isTree(one) ? one : {}), {})
  const ours = { manager: MANAGER, operation: 'Apply', apiVersion: type.apiVersion, fieldsType: 'FieldsV1', fieldsV1 }
  return [ours, ...others]
}
