// Certificates that a resource wants trusted: a key of a ConfigMap of its namespace.

import { valueOf } from '../../../plan/site.ts'
import type { World } from '../kind.ts'

export interface BundleRef {
  readonly configMapRef?:
    | { readonly name: string; readonly key: string; readonly optional?: boolean | undefined }
    | undefined
}

/** What is wrong with the certificates that `ref` at `path` names, for its author; undefined when they are there. */
export function bundleProblem(
  path: string,
  ref: BundleRef | undefined,
  namespace: string,
  world: World,
): string | undefined {
  if (ref === undefined) return undefined
  const { configMapRef } = ref
  if (configMapRef === undefined || configMapRef.name === '')
    return `${path}.configMapRef.name is required: the ConfigMap that holds the certificates`
  const { name, key, optional = false } = configMapRef
  const held = world.object('ConfigMap', namespace, name)
  const certificates = valueOf(held?.data, key)
  if (certificates === undefined) {
    if (optional) return undefined
    const what = held === undefined ? 'does not exist' : `has no key "${key}"`
    return `${path}: the ConfigMap ${namespace}/${name} ${what}`
  }
  return certificates.includes('-----BEGIN CERTIFICATE-----')
    ? undefined
    : `${path}: the key "${key}" of the ConfigMap ${namespace}/${name} holds no PEM certificate`
}
