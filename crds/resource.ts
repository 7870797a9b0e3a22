// The frame all kinds share: apiVersion, kind, metadata, spec. What a server sets by itself is dropped before (see manifest.ts).
import * as z from 'zod'
import { filled, map, text } from './bound.ts'
import { Name, Namespace } from './name.ts'

export const toolhive = 'toolhive.stacklok.dev/v1beta1'
export const toolhiveAlpha = 'toolhive.stacklok.dev/v1alpha1'
export const waggle = 'waggle.dev/v1alpha1'

const Metadata = z.strictObject({
  name: Name,
  namespace: Namespace,
  labels: map(text(63), 128, filled(317)).optional(),
  annotations: map(text(32_768), 128, filled(317)).optional(),
  resourceVersion: filled(128).optional(),
  uid: filled(128).optional(),
})

/** The schema of a kind from the schema of its spec. */
export function resource<V extends string, K extends string, S extends z.ZodType>(apiVersion: V, kind: K, spec: S) {
  return z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata: Metadata, spec })
}
