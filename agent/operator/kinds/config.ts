// What the kinds share that only hold settings for others: whether they are valid, a hash that tells when they changed, and
// that they stay while somebody needs them. A resource that is itself being deleted needs nothing any more.

import type { Resource } from '../../../plan/resources.ts'
import type { Observed, Plan, Planner, World } from '../kind.ts'
import { no, plan, stuck, turned, yes } from './condition.ts'

/** Whether a configuration can be acted upon; `reason` is of its condition `Valid`. */
export interface Verdict {
  readonly valid: boolean
  readonly reason: string
  readonly message: string
}

export interface ConfigKind<R extends Resource> {
  readonly kind: R['kind']
  readonly finalizer: string
  judge(resource: R, world: World): Verdict
}

const AGAIN_MS = 30_000

export function valid(message: string): Verdict {
  return { valid: true, reason: 'ConfigValid', message }
}

export function invalid(message: string): Verdict {
  return { valid: false, reason: 'ConfigInvalid', message }
}

/** Well-formed, but this version cannot do it; whoever names it refuses its callers rather than ignore it. */
export function unsupported(message: string): Verdict {
  return { valid: false, reason: 'NotSupported', message }
}

export function configPlanner<R extends Resource>(config: ConfigKind<R>): Planner<R> {
  return {
    kind: config.kind,
    plan: (observed, world) => planConfig(observed, world, config.finalizer, config.judge(observed.resource, world)),
  }
}

function planConfig<R extends Resource>(
  observed: Observed<R>,
  world: World,
  finalizer: string,
  verdict: Verdict,
): Plan {
  const { resource, deleting } = observed
  const users = deleting ? usersOf(resource, world) : []
  const { reason, message } = verdict
  const condition = verdict.valid ? yes('Valid', reason, message) : no('Valid', reason, message)
  const blocked = users.length === 0 ? [] : [yes('DeletionBlocked', 'ReferencedByWorkloads', blockers(users))]
  return plan({
    conditions: [condition, ...(verdict.valid ? [yes('Ready', reason, message)] : stuck(reason, message)), ...blocked],
    status: { configHash: configHash(resource) },
    events: blocked.flatMap((one) => turned(observed, one, 'Warning', 'DeletionBlocked')),
    finalizers: deleting && users.length === 0 ? [] : [finalizer],
    againMs: users.length === 0 ? undefined : AGAIN_MS,
  })
}

function usersOf(resource: Resource, world: World): string[] {
  const { namespace, name } = resource.metadata
  return world
    .referrers(resource.kind, namespace, name)
    .filter((user) => world.observed(user.kind, user.metadata.namespace, user.metadata.name)?.deleting !== true)
    .map((user) => `${user.kind} ${user.metadata.name}`)
    .sort()
}

function blockers(users: readonly string[]): string {
  const [first = '', second, third, ...more] = users
  const named = [first, second, third].filter((one) => one !== undefined).join(', ')
  return `still named by ${named}${more.length > 0 ? ` and ${more.length} more` : ''}; remove those references first`
}

/** Eight hexadecimal digits (FNV-1a) that differ when the spec does; the order of keys does not matter. */
export function configHash(resource: Pick<Resource, 'spec'>): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(canonical(resource.spec))) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
