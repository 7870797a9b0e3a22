// Resources as the API server has them, parsed once for each change of what they ask for.

import { readKind } from '../../crds/cluster.ts'
import type { SnapshotKind } from '../../protocol/snapshot.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Seen } from './offers.ts'

/** Reads an object, or keeps what was read before when only its status is different. */
export function see(
  kind: SnapshotKind,
  raw: KubeObject,
  before: { readonly raw: KubeObject; readonly seen: Seen } | undefined,
): Seen {
  if (before !== undefined && identity(before.raw) === identity(raw)) return before.seen
  const { namespace = '', name, uid = '', generation = 0 } = raw.metadata
  const reading = readKind(kind, raw)
  const place = { kind, namespace, name, uid, generation, target: targetOf(kind, namespace, raw.spec) }
  return reading.ok
    ? { ...place, resource: reading.resource, problems: [] }
    : { ...place, resource: undefined, problems: reading.problems }
}

function identity({ metadata }: KubeObject): string {
  const { uid, generation, annotations } = metadata
  return JSON.stringify([uid, generation, annotations])
}

/** What the API server has checked already, so that it can be believed of a policy that is wrong elsewhere. */
function targetOf(kind: SnapshotKind, namespace: string, spec: unknown): string | undefined {
  if (kind !== 'ToolPolicy') return undefined
  const { targetRef } = (spec ?? {}) as { targetRef?: { kind?: unknown; name?: unknown } }
  return typeof targetRef?.kind === 'string' && typeof targetRef.name === 'string'
    ? `${targetRef.kind}/${namespace}/${targetRef.name}`
    : undefined
}
