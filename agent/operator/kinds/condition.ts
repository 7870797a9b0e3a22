// Conditions and plans as the kinds write them.
// Invariant: an event is told once, when the condition behind it turns, never again while it stays. The core tells by itself when
// a resource becomes ready or stalls.

import type { ConditionDraft, EventDraft, Observed, Plan } from '../kind.ts'

export function yes(type: string, reason: string, message: string): ConditionDraft {
  return { type, status: 'True', reason, message }
}

export function no(type: string, reason: string, message: string): ConditionDraft {
  return { type, status: 'False', reason, message }
}

/** Not ready, and nothing will change until a human acts. */
export function stuck(reason: string, message: string): ConditionDraft[] {
  return [no('Ready', reason, message), yes('Stalled', reason, message)]
}

/** A plan in which only what a kind has to say differs from nothing. */
export function plan(part: Partial<Plan> & Pick<Plan, 'conditions'>): Plan {
  return { objects: [], keys: [], status: {}, events: [], finalizers: [], againMs: undefined, ...part }
}

/** The condition of a type as it was last written. */
export function lastCondition(
  observed: Pick<Observed, 'status'>,
  type: string,
): { readonly status: string; readonly reason: string } | undefined {
  const { conditions } = observed.status
  if (!Array.isArray(conditions)) return undefined
  for (const one of conditions as unknown[]) {
    if (typeof one !== 'object' || one === null || !('type' in one) || one.type !== type) continue
    const status = 'status' in one && typeof one.status === 'string' ? one.status : ''
    const reason = 'reason' in one && typeof one.reason === 'string' ? one.reason : ''
    return { status, reason }
  }
  return undefined
}

/** The event that tells of a condition, unless it was like this before. */
export function turned(
  observed: Pick<Observed, 'status'>,
  condition: ConditionDraft,
  type: EventDraft['type'],
  reason: string = condition.reason,
): EventDraft[] {
  const last = lastCondition(observed, condition.type)
  if (last?.status === condition.status && last.reason === condition.reason) return []
  return [{ type, reason, message: condition.message }]
}

/** A status is no log: of many, the first are named. */
const MOST_NAMED = 16

export function some(names: readonly string[]): string {
  const rest = names.length - MOST_NAMED
  return `${names.slice(0, MOST_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
