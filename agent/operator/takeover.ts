// Living after, and never beside, another operator of the same kinds: ToolHive's. Two operators would undo each other's work for ever.

import { KubeError } from '../kube/error.ts'
import type { KubeClient } from '../kube/client.ts'
import { TYPES, type KubeObject } from '../kube/object.ts'
import { controllerOf } from '../kube/owner.ts'
import { MANAGED_BY, MANAGER } from './label.ts'
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
  const isHeld = holderIdentity !== undefined && holderIdentity !== '' && now - Date.parse(renewTime ?? '') < FRESH_MS
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
