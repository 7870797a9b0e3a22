import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger } from './ledger.ts'
import { judge } from './outcome.ts'
import type { Attempt, Faults, Outcome } from './outcome.ts'
import { schedule } from './schedule.ts'

const quiet: Faults = { downs: [], cuts: [], stormy: { from: 50_000, until: 60_000 } }
const result = (text: string): Outcome => ({ kind: 'result', text, isError: false })

function attempt(outcome: Outcome, more: Partial<Attempt> = {}): Attempt {
  return { key: 'k', tool: 'work', from: 1_000, until: 2_000, outcome, library: false, ...more }
}

const refused = (reason: string | undefined): Outcome => ({ kind: 'refused', status: 200, code: 1502, reason })
const lost: Outcome = { kind: 'lost', what: 'socket hang up' }
const hung: Outcome = { kind: 'hung' }

for (const [what, made, faults, expected] of [
  ['an answer', attempt(result('k done ..')), quiet, 'ok'],
  ['the answer to another call', attempt(result('l done ..')), quiet, 'problem'],
  ['the word of another call', attempt(result('k done l'), { tool: 'ask' }), quiet, 'problem'],
  ['a caller that leaves', attempt({ kind: 'left' }), quiet, 'ok'],
  [
    'a typed failure amid faults',
    attempt(refused('backend_unavailable'), { from: 55_000, until: 56_000 }),
    quiet,
    'failed',
  ],
  ['a typed failure without any fault', attempt(refused('backend_unavailable')), quiet, 'problem'],
  ['a failure without a reason', attempt(refused(undefined), { from: 55_000, until: 56_000 }), quiet, 'problem'],
  ['an internal failure', attempt(refused('internal'), { from: 55_000, until: 56_000 }), quiet, 'problem'],
  ['a loss that nothing explains', attempt(lost), quiet, 'problem'],
  ['a loss by a cut', attempt(lost), { ...quiet, cuts: [1_500] }, 'failed'],
  ['a loss by a cut of another time', attempt(lost), { ...quiet, cuts: [9_000] }, 'problem'],
  ['a loss while the edge was down', attempt(lost), { ...quiet, downs: [{ from: 500, until: 1_100 }] }, 'failed'],
  ['a thin caller that hangs after a cut', attempt(hung), { ...quiet, cuts: [1_500] }, 'problem'],
  ['a library that hangs after a cut', attempt(hung, { library: true }), { ...quiet, cuts: [1_500] }, 'failed'],
  ['a library that hangs', attempt(hung, { library: true }), quiet, 'problem'],
] as const) {
  test(`${what} is judged ${expected}`, () => {
    assert.equal(judge(made, { ...faults, stormy: { from: 50_000, until: 60_000 } }).kind, expected)
  })
}

test('a second execution shows, unless the caller sent the call again itself', () => {
  const ledger = new Ledger()
  for (const key of ['once', 'twice', 'again']) ledger.execute(key)
  for (const key of ['twice', 'again']) ledger.execute(key)
  for (let times = 0; times < 2; times++) ledger.send('again')
  assert.deepEqual(ledger.tally(quiet).repeated, ['twice: executed 2 times'])
})

test('the same seed schedules the same faults, each kind at least twice, crashes before the end', () => {
  const faults = schedule(7, 30)
  assert.deepEqual(faults, schedule(7, 30))
  assert.notDeepEqual(faults, schedule(8, 30))
  const kinds = Map.groupBy(faults, ({ kind }) => kind)
  for (const [kind, those] of kinds) assert.ok(those.length >= 2, kind)
  assert.ok((kinds.get('crash') ?? []).every(({ atMs }) => atMs < 21_000))
})
