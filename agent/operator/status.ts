// What is written into a resource's status: the planner's conditions and fields, completed so that `kubectl wait`, kstatus and Argo CD
// understand them: Ready, Reconciling and Stalled are always there and never contradict each other.

import type { Problem } from '../../crds/problem.ts'
import { setCondition, type Condition, type NewCondition } from '../kube/condition.ts'
import { EDGE_REGISTERED } from '../uplink/condition.ts'
import type { ConditionDraft } from './kind.ts'

/** Why a turn could not finish. `stalled`: trying again does not help before somebody changes something. */
export interface Failure {
  readonly reason: string
  readonly message: string
  readonly stalled: boolean
}

export interface StatusDraft {
  readonly generation: number
  readonly conditions: readonly ConditionDraft[]
  readonly fields: Readonly<Record<string, unknown>>
  readonly warnings: readonly Problem[]
  readonly failure: Failure | undefined
}

/** The whole status; `previous` gives the times of transition. */
export function composeStatus(
  draft: StatusDraft,
  previous: Readonly<Record<string, unknown>>,
  now: number,
): Record<string, unknown> {
  const { generation, failure, fields } = draft
  const drafts = new Map(draft.conditions.map((condition) => [condition.type, condition]))
  if (failure !== undefined) {
    drafts.set('Ready', { type: 'Ready', status: 'False', reason: failure.reason, message: failure.message })
    if (failure.stalled) drafts.set('Stalled', stalled(failure.reason, failure.message))
  }
  const ready = drafts.get('Ready')
  const isReady = ready?.status === 'True'
  const isStalled = !isReady && drafts.get('Stalled')?.status === 'True'
  if (!isStalled) drafts.set('Stalled', { type: 'Stalled', status: 'False', reason: 'NotStalled', message: '' })
  // Somebody may be served already while a change is still being rolled out.
  const rolling = isReady ? drafts.get('Reconciling') : undefined
  const isBusy = (ready !== undefined && !isReady && !isStalled) || rolling?.status === 'True'
  const busy = rolling?.status === 'True' ? rolling : ready
  drafts.set('Reconciling', {
    type: 'Reconciling',
    status: isBusy ? 'True' : 'False',
    reason: isBusy ? (busy?.reason ?? 'Reconciling') : isStalled ? 'Stalled' : 'Done',
    message: isBusy ? (busy?.message ?? '') : '',
  })
  if (draft.warnings.length > 0) drafts.set('OldFields', warned(draft.warnings))
  const before = readConditions(previous)
  let conditions: Condition[] = []
  for (const { type, status, reason, message } of drafts.values()) {
    const next: NewCondition = { type, status, reason: reasonOf(reason), message, observedGeneration: generation }
    const old = before.find((one) => one.type === type)
    conditions = setCondition(old === undefined ? conditions : [...conditions, old], next, now)
  }
  return { ...fields, observedGeneration: generation, conditions }
}

/** The conditions of a status, whoever wrote it. */
export function readConditions(status: Readonly<Record<string, unknown>>): readonly Condition[] {
  const conditions = status['conditions']
  return Array.isArray(conditions) ? (conditions as Condition[]) : []
}

/** What a resource that cannot be read says of itself. What ran before goes on, and its status fields stay. */
export function invalidStatus(
  previous: Readonly<Record<string, unknown>>,
  problems: readonly Problem[],
): Pick<StatusDraft, 'conditions' | 'fields' | 'failure' | 'warnings'> {
  const message = problems.map(describe).join('; ')
  const { conditions: _conditions, observedGeneration: _generation, ...fields } = previous
  // What the uplink says is the uplink's to say.
  const kept = readConditions(previous).filter(({ type }) => type !== 'OldFields' && type !== EDGE_REGISTERED)
  const valid = kept.some(({ type }) => type === 'Valid')
    ? [{ type: 'Valid', status: 'False' as const, reason: 'ConfigInvalid', message }]
    : []
  return {
    conditions: [...kept, ...valid],
    fields: 'phase' in fields ? { ...fields, phase: 'Failed', ...('message' in fields && { message }) } : fields,
    failure: { reason: 'Invalid', message, stalled: true },
    warnings: [],
  }
}

export function describe({ path, message, suggestion }: Problem): string {
  return `${path} ${message}${suggestion === undefined ? '' : ` (${suggestion})`}`
}

function stalled(reason: string, message: string): ConditionDraft {
  return { type: 'Stalled', status: 'True', reason, message }
}

function warned(warnings: readonly Problem[]): ConditionDraft {
  return { type: 'OldFields', status: 'True', reason: 'OldSpelling', message: warnings.map(describe).join('; ') }
}

/** What the API server takes for a reason. */
function reasonOf(reason: string): string {
  return /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(reason) ? reason : 'Unknown'
}
