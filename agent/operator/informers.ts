// Which types the operator watches, and what it keeps of them: what plans read and what tells that an object was changed, no more.
// Objects that are none of its business are kept as names only, so that a large cluster does not fill its memory.

import { allKinds, isKind, kinds, type Kind } from '../../crds/kinds.ts'
import type { KubeClient } from '../kube/client.ts'
import { Informer, type InformerMetrics } from '../kube/informer.ts'
import { TYPES, type KubeObject, type ResourceType } from '../kube/object.ts'
import { byController, controllerOf } from '../kube/owner.ts'
import { names } from './label.ts'
import { commonConfigMaps, type Settings } from './settings.ts'

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
  /** Whether plans read the text of a ConfigMap now. */
  readonly reads: (namespace: string, name: string) => boolean
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
export function makeInformers(client: KubeClient, settings: Settings, { reads, ...watching }: Watching): Informers {
  const { namespaces } = settings
  const make = (type: ResourceType, options: object = {}): Informer =>
    new Informer(client, type, { namespaces, ...watching, ...options })
  const indexes = { controller: byController }
  const resources = new Map([...resourceTypes].map(([kind, type]) => [kind, make(type, { transform: lean })]))
  const owned = OWNED.map((kind) =>
    kind === 'ConfigMap'
      ? // The admin's certificates and the edge's keys stand beside the operator, watched or not; without them it has no right to look there.
        make(TYPES.ConfigMap, {
          indexes,
          transform: (object: KubeObject) => text(object, reads),
          namespaces:
            commonConfigMaps(settings).length === 0
              ? namespaces
              : namespaces && [...new Set([...namespaces, settings.namespace])],
        })
      : // Most kinds are written only: of what is there their metadata says whether it is still ours.
        make(TYPES[kind], { indexes, transform: reduced(kind), metadataOnly: kept[kind] === undefined }),
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
/** What others note on objects for themselves. The revision comes a moment after every new template, and is nobody's edit. */
const NOTES = [LAST_APPLIED, 'deployment.kubernetes.io/revision']

/** A resource without what kubectl keeps in it for itself. */
function lean(object: KubeObject): KubeObject {
  delete object.metadata.annotations?.[LAST_APPLIED]
  return object
}

/** Frames of objects, with what a plan reads of their kind. */
function reduced(kind: string): (object: KubeObject) => KubeObject {
  return (object) => {
    const { metadata } = object
    const isNone = byController(object).length === 0 && metadata.labels?.['toolhive'] !== 'true'
    const frame = { apiVersion: object.apiVersion, kind, metadata: isNone ? bare(metadata) : marked(metadata) }
    return isNone ? frame : { ...frame, ...kept[kind]?.(object) }
  }
}

/** Enough to know that a name is taken, and by whom. */
function bare({ name, namespace, uid, resourceVersion, generation }: KubeObject['metadata']): KubeObject['metadata'] {
  return {
    name,
    ...(namespace !== undefined && { namespace: share(namespace, namespace) }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(generation !== undefined && { generation }),
  }
}

/** Enough to notice every edit. Labels and owners are the same for many objects, and kept once. */
function marked(metadata: KubeObject['metadata']): KubeObject['metadata'] {
  const { labels, annotations, ownerReferences, finalizers, deletionTimestamp } = metadata
  for (const note of NOTES) delete annotations?.[note]
  return {
    ...bare(metadata),
    ...(labels !== undefined && { labels: share(JSON.stringify(labels), labels) }),
    ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations }),
    ...(ownerReferences !== undefined && { ownerReferences: share(JSON.stringify(ownerReferences), ownerReferences) }),
    ...(finalizers !== undefined && { finalizers }),
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
  }
}

const SHARED = 2_048
const shared = new Map<string, unknown>()

/** The first value that was seen under a key. Forgets everything now and then: sharing saves memory and must not cost it. */
function share<T>(key: string, value: T): T {
  const known = shared.get(key)
  // A key is the text of its value.
  if (known !== undefined) return known as T
  if (shared.size >= SHARED) shared.clear()
  shared.set(key, value)
  return value
}

type Tree = Readonly<Record<string, unknown>>

/** Parts of spec and status that plans read, by kind. */
const kept: Readonly<Record<string, (object: KubeObject) => { spec?: unknown; status?: unknown }>> = {
  Deployment: workload,
  StatefulSet: workload,
  PersistentVolumeClaim: ({ status }) => ({ status: { phase: (status as Tree | undefined)?.['phase'] } }),
}

function workload({ spec, status }: KubeObject): { spec: unknown; status: unknown } {
  const { replicas, template, podManagementPolicy, volumeClaimTemplates } = (spec ?? {}) as Tree
  const { labels } = ((template as Tree | undefined)?.['metadata'] ?? {}) as Tree
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
      template: { metadata: { labels: labels === undefined ? {} : share(JSON.stringify(labels), labels) } },
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
const MAX_KEYS = 16 * 1024

/** A ConfigMap with its text only where a plan reads it, and never with what is too long to be meant for us. */
function text({ apiVersion, kind, metadata, data }: KubeObject, reads: Watching['reads']): KubeObject {
  const { namespace = '', name } = metadata
  const owner = controllerOf({ apiVersion, kind, metadata })
  // Of what we write the public parts of keys are read back; the rest is planned anew.
  const isKeys = owner !== undefined && isKind(owner.kind) && name === names.keys(owner.name)
  const most = reads(namespace, name) ? MAX_TEXT : isKeys ? MAX_KEYS : 0
  const size = Object.values(data ?? {}).reduce((sum, value) => sum + value.length, 0)
  return {
    apiVersion,
    kind,
    metadata: marked(metadata),
    ...(data !== undefined && size <= most && { data }),
  }
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
