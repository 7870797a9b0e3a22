// What one kind of resource means to the operator: which objects it needs and what its status says. Pure: everything that a
// plan depends on is in the world it is given, and it changes nothing.

import type { Kind } from '../../crds/kinds.ts'
import type { Problem } from '../../crds/problem.ts'
import type { Resource, Resources } from '../../plan/resources.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Settings } from './settings.ts'

/** A resource as the API server has it: parsed, with what the server keeps in its metadata. */
export interface Observed<R extends Resource = Resource> {
  readonly resource: R
  readonly uid: string
  readonly generation: number
  readonly deleting: boolean
  readonly finalizers: readonly string[]
  /** Old spellings and fields without effect. */
  readonly warnings: readonly Problem[]
  /** `.status` as it was last written. */
  readonly status: Readonly<Record<string, unknown>>
}

/** Everything the operator sees, as it was when the plan was asked for. */
export interface World {
  readonly settings: Settings
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Every valid resource of the watched namespaces. */
  readonly resources: Resources
  observed<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
  ): Observed<Extract<Resource, { kind: K }>> | undefined
  /** A built-in object: Deployment, StatefulSet, Service, ConfigMap, Pod … */
  object(kind: string, namespace: string, name: string): KubeObject | undefined
  /** The pods of a workload, by label. */
  pods(namespace: string, labels: Readonly<Record<string, string>>): readonly KubeObject[]
  /** Resources of which a field names this one. */
  referrers(kind: Kind, namespace: string, name: string): readonly Resource[]
}

export interface ConditionDraft {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

export interface EventDraft {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

/** A Secret with a fresh key, made once and never read back: its name holds the thumbprint of what is in it. */
export interface KeyDraft {
  readonly purpose: 'signing' | 'sealing'
}

export interface Plan {
  /** Every object that shall exist, complete but for its owner, in the order of making; owned objects that are not among them are deleted. */
  readonly objects: readonly KubeObject[]
  /** Nothing is deleted: the resource cannot be served as it is now, and what ran before goes on running. */
  readonly keep?: boolean
  /** Keys that do not exist yet; when they are made the resource is planned again. */
  readonly keys: readonly KeyDraft[]
  readonly conditions: readonly ConditionDraft[]
  /** Fields of `.status` besides `conditions` and `observedGeneration`. */
  readonly status: Readonly<Record<string, unknown>>
  readonly events: readonly EventDraft[]
  /** Finalizers the resource shall have; deletion goes on when none is left. */
  readonly finalizers: readonly string[]
  /** Look again although nothing changed, in milliseconds. */
  readonly againMs: number | undefined
}

/** One kind of resource. */
export interface Planner<R extends Resource = Resource> {
  readonly kind: R['kind']
  plan(observed: Observed<R>, world: World): Plan
  /**
   * Resources to plan again because `changed` did, by `Kind/namespace/name`; besides itself, its referrers, what it names and the
   * owners of objects. Asked for the resource as it was and as it is.
   */
  affected?(changed: Resource, world: World): readonly string[]
}
