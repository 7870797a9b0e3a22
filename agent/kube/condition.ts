// Conditions as Kubernetes means them: one a type, and `lastTransitionTime` is when its status last flipped.

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration?: number
  readonly lastTransitionTime: string
}

export type NewCondition = Omit<Condition, 'lastTransitionTime'>

/** What metav1.Condition allows. */
const MAX_MESSAGE = 32_768

/**
 * The conditions with this one set: in its old place when there was one, else last. `now` is in milliseconds since the
 * epoch. The time of transition stays unless the status flips; too long a message is cut.
 */
export function setCondition(conditions: readonly Condition[], next: NewCondition, now: number): Condition[] {
  const old = conditions.find((condition) => condition.type === next.type)
  const flipped = old === undefined || old.status !== next.status
  const condition: Condition = {
    ...next,
    message: next.message.length <= MAX_MESSAGE ? next.message : `${next.message.slice(0, MAX_MESSAGE - 1)}…`,
    lastTransitionTime: flipped ? timestamp(now) : old.lastTransitionTime,
  }
  if (old === undefined) return [...conditions, condition]
  return conditions.map((each) => (each.type === next.type ? condition : each))
}

export function removeCondition(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type)
}

export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type)
}

/** metav1.Time: RFC 3339 in whole seconds. */
export function timestamp(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`
}
