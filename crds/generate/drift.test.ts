import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drift } from './drift.ts'

test('what is made from the schemas is committed as the schemas say it', () => {
  assert.deepEqual(drift(), { stale: [], orphans: [] }, 'run: node crds/generate/main.ts')
})
