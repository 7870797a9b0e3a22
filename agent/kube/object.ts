// What the API server speaks, as raw JSON: objects, their types and their addresses.
// No model classes: a serializer that knows fewer fields than the server would silently delete the others.

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface Meta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  [field: string]: unknown
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: Meta
  spec?: unknown
  status?: unknown
  data?: Record<string, string>
  [field: string]: unknown
}

export interface ResourceType {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
}

/** Names one object of a type; `namespace` is absent for cluster-scoped types. */
export interface Reference {
  readonly type: ResourceType
  readonly name: string
  readonly namespace?: string | undefined
}

/** One line of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, or `ERROR` with a Status as its object. */
export interface WatchEvent {
  readonly type: string
  readonly object: KubeObject
}

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: true,
})
const clusterWide = (apiVersion: string, kind: string, plural: string): ResourceType => ({
  apiVersion,
  kind,
  plural,
  namespaced: false,
})

/** The built-in types that the agent reads or writes, by kind. */
export const TYPES = {
  ConfigMap: namespaced('v1', 'ConfigMap', 'configmaps'),
  Namespace: clusterWide('v1', 'Namespace', 'namespaces'),
  PersistentVolumeClaim: namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  Pod: namespaced('v1', 'Pod', 'pods'),
  Secret: namespaced('v1', 'Secret', 'secrets'),
  Service: namespaced('v1', 'Service', 'services'),
  ServiceAccount: namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  Deployment: namespaced('apps/v1', 'Deployment', 'deployments'),
  StatefulSet: namespaced('apps/v1', 'StatefulSet', 'statefulsets'),
  Job: namespaced('batch/v1', 'Job', 'jobs'),
  HorizontalPodAutoscaler: namespaced('autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers'),
  PodDisruptionBudget: namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  NetworkPolicy: namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  Role: namespaced('rbac.authorization.k8s.io/v1', 'Role', 'roles'),
  RoleBinding: namespaced('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings'),
  ClusterRole: clusterWide('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles'),
  ClusterRoleBinding: clusterWide('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings'),
  Lease: namespaced('coordination.k8s.io/v1', 'Lease', 'leases'),
  Event: namespaced('events.k8s.io/v1', 'Event', 'events'),
  EndpointSlice: namespaced('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices'),
  CustomResourceDefinition: clusterWide(
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'customresourcedefinitions',
  ),
} as const satisfies Record<string, ResourceType>

/** `namespace/name`, or `/name` for a cluster-scoped object: the key of stores and queues. */
export function keyOf(object: { readonly metadata: Pick<Meta, 'name' | 'namespace'> }): string {
  return objectKey(object.metadata.namespace, object.metadata.name)
}

export function objectKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`
}

/** The type's name in metrics and messages, such as `deployments.apps`. */
export function typeName(type: ResourceType): string {
  const slash = type.apiVersion.indexOf('/')
  return slash < 0 ? type.plural : `${type.plural}.${type.apiVersion.slice(0, slash)}`
}

/** The path of a collection: all namespaces when none is given. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.apiVersion.includes('/') ? '/apis' : '/api'
  const scope = type.namespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : ''
  return `${root}/${type.apiVersion}${scope}/${type.plural}`
}

/** The path of one object, with an optional subresource such as `status`. */
export function objectPath(reference: Reference, subresource?: string): string {
  const { type, name, namespace } = reference
  if (type.namespaced && (namespace === undefined || namespace === '')) {
    throw new TypeError(`metadata.namespace: ${type.kind} "${name}" needs one`)
  }
  const path = `${collectionPath(type, namespace)}/${segment(name)}`
  return subresource === undefined ? path : `${path}/${subresource}`
}

/** A name never climbs out of its place in a path, whatever it holds. */
function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') throw new TypeError(`metadata.name: "${name}" is not a name`)
  return encodeURIComponent(name)
}
