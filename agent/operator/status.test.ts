import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { ConditionDraft } from './kind.ts'
import { composeStatus, invalidStatus, readConditions, type StatusDraft } from './status.ts'

const draft = (conditions: readonly ConditionDraft[], more: Partial<StatusDraft> = {}): StatusDraft => ({
  generation: 3,
  conditions,
  fields: { phase: 'Ready' },
  warnings: [],
  failure: undefined,
  ...more,
})
const condition = (type: string, status: ConditionDraft['status'], reason = 'Because'): ConditionDraft => ({
  type,
  status,
  reason,
  message: 'words',
})
const verdicts = (status: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(readConditions(status).map((one) => [one.type, one.status]))

test('Ready, Reconciling and Stalled follow from what a planner says', () => {
  const compose = (...conditions: ConditionDraft[]) => verdicts(composeStatus(draft(conditions), {}, 0))
  assert.deepEqual(compose(condition('Ready', 'True')), { Ready: 'True', Stalled: 'False', Reconciling: 'False' })
  assert.deepEqual(compose(condition('Ready', 'False')), { Ready: 'False', Stalled: 'False', Reconciling: 'True' })
  const stalled = compose(condition('Ready', 'False'), condition('Stalled', 'True'))
  assert.deepEqual(stalled, { Ready: 'False', Stalled: 'True', Reconciling: 'False' })
  const rolling = compose(condition('Ready', 'True'), condition('Reconciling', 'True'))
  assert.deepEqual(rolling, { Ready: 'True', Reconciling: 'True', Stalled: 'False' })
})

test('at most one of Ready without a change, Reconciling and Stalled is true, whatever a planner says', () => {
  const status = fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const)
  fc.assert(
    fc.property(status, status, status, fc.boolean(), (ready, reconciling, stalled, fails) => {
      const conditions = [
        condition('Ready', ready),
        condition('Reconciling', reconciling),
        condition('Stalled', stalled),
      ]
      const failure = fails ? { reason: 'ApplyFailed', message: 'no', stalled: false } : undefined
      const made = verdicts(composeStatus(draft(conditions, { failure }), {}, 0))
      assert.ok(made['Stalled'] !== 'True' || (made['Reconciling'] !== 'True' && made['Ready'] !== 'True'))
      assert.ok(made['Ready'] === 'True' || made['Stalled'] === 'True' || made['Reconciling'] === 'True')
      if (fails) assert.equal(made['Ready'], 'False')
    }),
  )
})

test('the time of transition stays unless a status flips, and everything carries the generation', () => {
  const first = composeStatus(draft([condition('Ready', 'False')]), {}, 0)
  const second = composeStatus(draft([condition('Ready', 'False', 'Other')]), first, 60_000)
  const third = composeStatus(draft([condition('Ready', 'True')]), second, 120_000)
  const time = (status: Record<string, unknown>) =>
    readConditions(status).find(({ type }) => type === 'Ready')?.lastTransitionTime
  assert.deepEqual(
    [time(first), time(second), time(third)],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00Z', '1970-01-01T00:02:00Z'],
  )
  assert.equal(third['observedGeneration'], 3)
  assert.ok(readConditions(third).every(({ observedGeneration }) => observedGeneration === 3))
})

test('what cannot be read says so, keeps what it said before, and waits for a human', () => {
  const before = composeStatus(
    draft([condition('Ready', 'True'), condition('Valid', 'True')], { fields: { phase: 'Ready', url: 'u' } }),
    {},
    0,
  )
  const problems = [{ path: 'spec.resources.limits.cpu', message: 'must be a quantity' }]
  const after = composeStatus({ ...invalidStatus(before, problems), generation: 4 }, before, 0)
  assert.deepEqual(verdicts(after), { Ready: 'False', Stalled: 'True', Reconciling: 'False', Valid: 'False' })
  assert.deepEqual([after['phase'], after['url'], after['observedGeneration']], ['Failed', 'u', 4])
  assert.match(
    readConditions(after).find(({ type }) => type === 'Ready')?.message ?? '',
    /^spec\.resources\.limits\.cpu must be/,
  )
})
