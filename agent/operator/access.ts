// Who a pod is in the cluster. A proxy may read its own ConfigMap and nothing else; a server may do nothing at all.

import type { KubeObject } from '../kube/object.ts'
import { names, proxyLabels, serverLabels, type ProxiedKind } from './label.ts'

export interface AccountDraft {
  readonly kind: ProxiedKind
  readonly namespace: string
  readonly name: string
  /** A ServiceAccount that exists already and shall be used; only the right to the ConfigMap is added. */
  readonly given?: string | undefined
  readonly imagePullSecrets: readonly string[]
}

/** ServiceAccount, Role and RoleBinding of a proxy. */
export function proxyAccess({ kind, namespace, name, given, imagePullSecrets }: AccountDraft): KubeObject[] {
  const account = names.account(kind, name)
  const metadata = { name: account, namespace, labels: proxyLabels(kind, name) }
  const role: KubeObject = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata,
    // Listing is what a watch starts with where the API server is older; by name it shows the same one object.
    rules: [
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: [names.config(kind, name)],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  }
  const binding: KubeObject = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
    subjects: [{ kind: 'ServiceAccount', name: given ?? account, namespace }],
  }
  return given === undefined ? [serviceAccount(metadata, imagePullSecrets), role, binding] : [role, binding]
}

/** The ServiceAccount of the pods of a server: no rights, and no token in the pod. */
export function serverAccess(namespace: string, name: string, imagePullSecrets: readonly string[]): KubeObject {
  const metadata = { name: names.serverAccount(name), namespace, labels: serverLabels(name) }
  return serviceAccount(metadata, imagePullSecrets)
}

function serviceAccount(metadata: KubeObject['metadata'], imagePullSecrets: readonly string[]): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata,
    automountServiceAccountToken: false,
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
  }
}
