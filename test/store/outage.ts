// How every Store adapter fails when its backend cannot be reached.

import assert from 'node:assert/strict'
import { Fault } from '../../protocol/fault.ts'

/** Asserts that a call ends in `store_unavailable` within 4 s, a busy machine apart; its detail must not hold any of `secrets`. */
export async function unavailable(call: () => Promise<unknown>, secrets: readonly string[] = []): Promise<void> {
  const start = Date.now()
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof Fault, String(error))
    assert.equal(error.reason, 'store_unavailable')
    assert.equal(error.data?.retryAfterSeconds, 2)
    for (const secret of secrets) assert.ok(!`${error.message} ${error.detail} ${error.stack}`.includes(secret))
    assert.equal(error.cause, undefined)
    return true
  })
  assert.ok(Date.now() - start < 12_000, `took ${Date.now() - start} ms`)
}
