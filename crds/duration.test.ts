import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Duration, milliseconds } from './duration.ts'

test('durations are read as Go reads them', () => {
  const cases: [text: string, ms: number | undefined][] = [
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['2m1ms', 120_001],
    ['0s', 0],
    ['', undefined],
    ['30', undefined],
    ['s', undefined],
    ['-1s', undefined],
    ['1d', undefined],
    [`${'1'.repeat(40)}s`, undefined],
  ]
  for (const [text, ms] of cases) {
    assert.equal(milliseconds(text), ms, text)
    assert.equal(Duration.safeParse(text).success, ms !== undefined, text)
  }
})
