// The ConfigMaps that resources name. They are the user's: read, never written.

import type { Resource } from '../../plan/resources.ts'

interface Place {
  readonly namespace: string
  readonly name: string
}

/** Every ConfigMap that a resource names, by whatever field: all references have the shape of Kubernetes. */
export function configMaps(resource: Resource): Place[] {
  const { namespace } = resource.metadata
  const found = new Set<string>()
  collect(resource.spec, found)
  return [...found].map((name) => ({ namespace, name }))
}

function collect(value: unknown, found: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collect(item, found)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  const fields = value as Readonly<Record<string, unknown>>
  for (const field of ['configMapRef', 'configMap', 'configMapKeyRef']) note(fields[field], found)
  if (fields['type'] === 'configmap') note(fields, found)
  for (const [field, inner] of Object.entries(fields)) if (field !== 'podTemplateSpec') collect(inner, found)
}

function note(value: unknown, found: Set<string>): void {
  if (typeof value !== 'object' || value === null) return
  const { name } = value as { readonly name?: unknown }
  if (typeof name === 'string' && name !== '') found.add(name)
}
