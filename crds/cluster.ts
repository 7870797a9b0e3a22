// Resources as a cluster has them: all kinds, with the metadata and the status that an API server returns. Never throws; what the API
// server let through and the operator can't act on comes back as problems, for conditions.
import * as z from 'zod'
import { edgeSchemas, read, type Reading } from './manifest.ts'
import type { EdgeKind } from './kinds.ts'
import { MCPServer } from './mcp-server.ts'
import { MCPServerStatus } from './status.ts'

export const schemas = { ...edgeSchemas, MCPServer } as const

export const statuses = { MCPServer: MCPServerStatus } as const

export type ClusterKind = keyof typeof schemas

const OwnerReference = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
})

const ServerSet = z.object({
  generation: z.int().optional().catch(undefined),
  creationTimestamp: z.string().optional().catch(undefined),
  deletionTimestamp: z.string().optional().catch(undefined),
  finalizers: z.array(z.string()).optional().catch(undefined),
  ownerReferences: z.array(OwnerReference).optional().catch(undefined),
})

type StatusOf<K> = K extends keyof typeof statuses ? z.infer<(typeof statuses)[K]> : Record<string, unknown>

/** A resource of kind `K` as the operator works with it. `status` is undefined when nobody wrote one that can be read. */
export type ClusterResource<K extends ClusterKind = ClusterKind> = {
  [T in K]: Omit<z.infer<(typeof schemas)[T]>, 'metadata'> & {
    readonly metadata: z.infer<(typeof schemas)[T]>['metadata'] & z.infer<typeof ServerSet>
    readonly status?: StatusOf<T>
  }
}[K]

/** Reads an object that an API server returned. */
export function readResource(raw: unknown): Reading<ClusterResource> {
  return readAs(raw)
}

/** As `readResource`, when the object can only be of `kind`. */
export function readKind<K extends ClusterKind>(kind: K, raw: unknown): Reading<ClusterResource<K>> {
  return readAs(raw, kind)
}

function readAs<K extends ClusterKind>(raw: unknown, kind?: K): Reading<ClusterResource<K>> {
  const wanted = kind === undefined ? schemas : { [kind]: schemas[kind] }
  const parsed = read<z.infer<(typeof schemas)[EdgeKind]>>(raw, wanted, 'cluster')
  if (!parsed.ok) return parsed
  const { resource, warnings } = parsed
  const given = raw as { readonly metadata: unknown; readonly status?: unknown }
  const set = ServerSet.safeParse(given.metadata).data ?? {}
  const status = Object.hasOwn(statuses, resource.kind)
    ? statuses[resource.kind as keyof typeof statuses].safeParse(given.status).data
    : undefined
  return {
    ok: true,
    resource: {
      ...resource,
      metadata: { ...resource.metadata, ...set },
      ...(status === undefined ? {} : { status }),
    } as unknown as ClusterResource<K>,
    warnings,
  }
}
