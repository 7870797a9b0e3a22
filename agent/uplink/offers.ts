// Which resources of a cluster the edge may know of. Pure and fail-closed: what its owner keeps to himself, and what nobody may call in
// the cluster itself, stays there; so does what a policy is about that cannot be read.

import type { Problem } from '../../crds/problem.ts'
import { isShut } from '../../plan/guard.ts'
import { publishes } from '../../plan/publish.ts'
import { SNAPSHOT_KINDS, type SnapshotKind } from '../../protocol/snapshot.ts'
import type { Published } from '../../plan/trim.ts'

/** A resource as the cluster has it. */
export interface Seen {
  readonly kind: SnapshotKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly generation: number
  /** Undefined: it cannot be read, and `problems` say why. */
  readonly resource: Published | undefined
  readonly problems: readonly Problem[]
  /** Of a policy: `Kind/namespace/name` of what it is about, as far as that can be read. */
  readonly target: string | undefined
}

/** Why a resource is not told to the edge; undefined when it is. `shut` holds the targets of policies that cannot be read. */
export function withheld({ resource }: Seen, shut: ReadonlySet<string>): string | undefined {
  return resource === undefined ? 'it cannot be read; see its other conditions' : kept(resource, shut)
}

/** As `withheld`, of a resource that can be read. */
export function kept(resource: Published, shut: ReadonlySet<string> = new Set()): string | undefined {
  switch (resource.kind) {
    case 'MCPServer':
    case 'MCPRemoteProxy':
    case 'VirtualMCPServer':
      if (!publishes(resource)) return 'its annotation waggle.dev/publish says so'
      if (isShut(resource)) return 'its policies on callers cannot be enforced, so nobody may call it'
      if (shut.has(`${resource.kind}/${resource.metadata.namespace}/${resource.metadata.name}`))
        return 'a ToolPolicy about it cannot be read, so none of its tools may be called'
      return undefined
    default:
      return undefined
  }
}

/** What policies are about that cannot be read. */
export function shutTargets(all: Iterable<Seen>): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { resource, target } of all) if (resource === undefined && target !== undefined) found.add(target)
  return found
}

export function isSnapshotKind(kind: string): kind is SnapshotKind {
  return (SNAPSHOT_KINDS as readonly string[]).includes(kind)
}
