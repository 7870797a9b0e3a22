import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publishes } from './publish.ts'

test('what its owner keeps to itself is not published, nor what the owner said unreadably', () => {
  const says = (value?: string) =>
    publishes({
      metadata: {
        namespace: 'a',
        name: 'b',
        ...(value !== undefined && { annotations: { 'waggle.dev/publish': value } }),
      },
    })
  assert.ok(says())
  assert.ok(says('true'))
  for (const value of ['false', 'no', '']) assert.equal(says(value), false)
})
