// What the tests of the runtime make: one object of every type that an operator writes, and a kind of their own.

import type { KubeObject, OwnerReference, ResourceType } from '../../../agent/kube/object.ts'
import { TYPES } from '../../../agent/kube/object.ts'

export interface Child {
  readonly type: ResourceType
  readonly object: KubeObject
}

const selector = { matchLabels: { app: 'x' } }
const template = {
  metadata: { labels: { app: 'x' } },
  spec: { containers: [{ name: 'c', image: 'none:1', resources: { limits: { memory: '0.5Gi', cpu: '0.1' } } }] },
}
const rbac = 'rbac.authorization.k8s.io'

/** One of each, called `x`; quantities in spellings that the server changes. */
export function children(namespace: string, owner: OwnerReference): Child[] {
  const make = (type: ResourceType, rest: Record<string, unknown>): Child => {
    const metadata = { namespace, name: 'x', labels: { of: 'test' }, ownerReferences: [owner] }
    return { type, object: { apiVersion: type.apiVersion, kind: type.kind, metadata, ...rest } }
  }
  return [
    make(TYPES.ServiceAccount, { automountServiceAccountToken: false }),
    make(TYPES.ConfigMap, { data: { 'run.json': '{}' } }),
    make(TYPES.Role, { rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: ['x'], verbs: ['get'] }] }),
    make(TYPES.RoleBinding, {
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'x' },
      subjects: [{ kind: 'ServiceAccount', name: 'x', namespace }],
    }),
    make(TYPES.Service, { spec: { selector: { app: 'x' }, ports: [{ name: 'http', port: 80, targetPort: 8_080 }] } }),
    make(TYPES.Deployment, { spec: { replicas: 0, selector, template } }),
    make(TYPES.StatefulSet, { spec: { replicas: 0, serviceName: 'x', selector, template } }),
    make(TYPES.NetworkPolicy, { spec: { podSelector: selector, policyTypes: ['Ingress', 'Egress'], egress: [{}] } }),
    make(TYPES.PodDisruptionBudget, { spec: { maxUnavailable: 1, selector } }),
  ]
}

export const Widget: ResourceType = {
  apiVersion: 'test.waggle.dev/v1',
  kind: 'Widget',
  plural: 'widgets',
  namespaced: true,
}

const condition = {
  type: 'object',
  properties: { type: { type: 'string' }, status: { type: 'string' } },
  required: ['type'],
}
const conditions = {
  type: 'array',
  items: condition,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
}

export const widgetDefinition: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.waggle.dev' },
  spec: {
    group: 'test.waggle.dev',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { size: { type: 'integer' } } },
              status: { type: 'object', properties: { phase: { type: 'string' }, conditions } },
            },
          },
        },
      },
    ],
  },
}
