// Which types the operator watches, and what it keeps of them: what plans read and what tells that an object was changed, no more.
// Objects that are none of its business are kept as names only, so that a large cluster does not fill its memory.

import { allKinds, kinds, type Kind } from '../../crds/kinds.ts'
import type { KubeClient } from '../kube/client.ts'
import { Informer, type InformerMetrics } from '../kube/informer.ts'
import { TYPES, type KubeObject, type ResourceType } from '../kube/object.ts'
import { byController } from '../kube/owner.ts'
import type { Settings } from './settings.ts'

export interface Informers {
  /** Of our kinds. */
  readonly resources: ReadonlyMap<Kind, Informer>
  /** Of built-in kinds, by kind. */
  readonly objects: ReadonlyMap<string, Informer>
  /** Those of `objects` that resources own, indexed by `controller`. */
  readonly owned: readonly Informer[]
  readonly all: readonly Informer[]
}

export interface Watching {
  readonly metrics?: InformerMetrics
  readonly onError?: (error: unknown) => void
}

/** The types of our kinds. */
export const resourceTypes: ReadonlyMap<Kind, ResourceType> = new Map(
  allKinds.map((kind) => {
    const { apiVersion, plural } = kinds[kind]
    return [kind, { apiVersion, kind, plural, namespaced: true }]
  }),
)

const OWNED = [
  'ConfigMap',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'NetworkPolicy',
  'Service',
  'StatefulSet',
  'Deployment',
  'PodDisruptionBudget',
] as const

/** Makes the informers; nothing is asked of the API server before they are started. */
export function makeInformers(client: KubeClient, settings: Settings, watching: Watching): Informers {
  const { namespaces } = settings
  const make = (type: ResourceType, options: object = {}): Informer =>
    new Informer(client, type, { namespaces, ...watching, ...options })
  const indexes = { controller: byController }
  const resources = new Map([...resourceTypes].map(([kind, type]) => [kind, make(type, { transform: lean })]))
  const owned = OWNED.map((kind) =>
    kind === 'ConfigMap'
      ? // The admin's certificates stand beside the operator, watched or not; without them it has no right to look there.
        make(TYPES.ConfigMap, {
          indexes,
          transform: text,
          namespaces:
            settings.extraCaConfigMap === undefined ? namespaces : namespaces && [...namespaces, settings.namespace],
        })
      : make(TYPES[kind], { indexes, transform: reduced(kind) }),
  )
  const objects = new Map<string, Informer>(owned.map((informer) => [informer.type.kind, informer]))
  objects.set(
    'Pod',
    make(TYPES.Pod, { labelSelector: 'toolhive=true', indexes: { name: byToolHiveName }, transform: pod }),
  )
  objects.set(
    'PersistentVolumeClaim',
    make(TYPES.PersistentVolumeClaim, { transform: reduced('PersistentVolumeClaim') }),
  )
  // By name and version only: what is in a Secret never comes here, whatever the right to watch them would give.
  if (settings.rollOnSecretChange) objects.set('Secret', make(TYPES.Secret, { metadataOnly: true, transform: secret }))
  return { resources, objects, owned, all: [...resources.values(), ...objects.values()] }
}

function byToolHiveName({ metadata }: KubeObject): string[] {
  const name = metadata.labels?.['toolhive-name']
  return name === undefined ? [] : [`${metadata.namespace}/${name}`]
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** A resource without what kubectl keeps in it for itself. */
function lean(object: KubeObject): KubeObject {
  delete object.metadata.annotations?.[LAST_APPLIED]
  return object
}

/** Frames of objects, with what a plan reads of their kind. */
function reduced(kind: string): (object: KubeObject) => KubeObject {
  return (object) => {
    const { apiVersion, metadata } = object
    delete metadata.annotations?.[LAST_APPLIED]
    if (byController(object).length === 0 && metadata.labels?.['toolhive'] !== 'true')
      return { apiVersion, kind, metadata: bare(metadata) }
    return { apiVersion, kind, metadata, ...kept[kind]?.(object) }
  }
}

/** Enough to know that a name is taken, and by whom. */
function bare({ name, namespace, uid, resourceVersion, generation }: KubeObject['metadata']): KubeObject['metadata'] {
  return Object.fromEntries(
    Object.entries({ name, namespace, uid, resourceVersion, generation }).filter(([, value]) => value !== undefined),
  ) as KubeObject['metadata']
}

type Tree = Readonly<Record<string, unknown>>

/** Parts of spec and status that plans read, by kind. */
const kept: Readonly<Record<string, (object: KubeObject) => { spec?: unknown; status?: unknown }>> = {
  Deployment: workload,
  StatefulSet: workload,
  PersistentVolumeClaim: ({ status }) => ({ status: { phase: (status as Tree | undefined)?.['phase'] } }),
  Service: ({ spec }) => ({
    spec: { type: (spec as Tree | undefined)?.['type'], ports: (spec as Tree | undefined)?.['ports'] },
  }),
}

function workload({ spec, status }: KubeObject): { spec: unknown; status: unknown } {
  const { replicas, template, podManagementPolicy, volumeClaimTemplates } = (spec ?? {}) as Tree
  const { labels, annotations } = ((template as Tree | undefined)?.['metadata'] ?? {}) as Tree
  const fields = [
    'observedGeneration',
    'replicas',
    'readyReplicas',
    'updatedReplicas',
    'availableReplicas',
    'conditions',
  ]
  return {
    spec: {
      replicas,
      podManagementPolicy,
      template: { metadata: { labels, annotations } },
      ...(volumeClaimTemplates !== undefined && { volumeClaimTemplates }),
    },
    status: Object.fromEntries(
      fields.flatMap((field) => {
        const value = (status as Tree | undefined)?.[field]
        return value === undefined ? [] : [[field, value]]
      }),
    ),
  }
}

/** Above this a text is nobody's policy, certificate or run config. */
const MAX_TEXT = 512 * 1024

/** A ConfigMap without binary data and without what is too long to be meant for us. */
function text({ apiVersion, kind, metadata, data }: KubeObject): KubeObject {
  delete metadata.annotations?.[LAST_APPLIED]
  // What we write is planned anew, never read back.
  const isOurs = metadata.labels?.['toolhive.stacklok.io/component'] === 'run-config'
  const size = Object.values(data ?? {}).reduce((sum, value) => sum + value.length, 0)
  return { apiVersion, kind, metadata, ...(data !== undefined && !isOurs && size <= MAX_TEXT && { data }) }
}

function secret({ apiVersion, metadata }: KubeObject): KubeObject {
  return { apiVersion, kind: 'Secret', metadata: bare(metadata) }
}

function pod({ apiVersion, kind, metadata, status }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp, creationTimestamp } = metadata
  const { phase, conditions, containerStatuses, initContainerStatuses } = (status ?? {}) as Tree
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...Object.fromEntries(
        Object.entries({ namespace, uid, resourceVersion, labels, deletionTimestamp, creationTimestamp }).filter(
          ([, value]) => value !== undefined,
        ),
      ),
    },
    status: { phase, conditions, containerStatuses, initContainerStatuses },
  }
}
