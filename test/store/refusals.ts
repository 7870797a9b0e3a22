// The part of the Store contract about input that no adapter takes, refused alike by all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../protocol/fault.ts'
import type { Store } from '../../gateway/ports.ts'
import { fresh } from './fresh.ts'

const MIB = 1024 * 1024

/** Registers its tests in the suite that calls it. */
export function refusals(store: () => Store): void {
  test('what a backend could not hold is refused by name before it is sent', async () => {
    const key = fresh()
    const refused = async (call: () => Promise<unknown>, reason: string, word: RegExp): Promise<void> => {
      await assert.rejects(call, (error: unknown) => {
        assert.ok(error instanceof Fault)
        assert.equal(error.reason, reason)
        assert.match(error.message, word)
        return true
      })
    }
    const badKeys = ['', 'a\nb', 'a\u0000', '\ud800', 'k'.repeat(513), '漢'.repeat(171)]
    for (const bad of badKeys) {
      await refused(() => store().get(bad), 'internal', /key/)
      await refused(() => store().mget([key, bad]), 'internal', /key/)
      await refused(() => store().peek([bad]), 'internal', /key/)
      await refused(() => store().set(bad, 'x'), 'internal', /key/)
      await refused(() => store().cas(bad, null, 'x'), 'internal', /key/)
      await refused(() => store().incr(bad, 1, 1), 'internal', /key/)
      await refused(() => store().del(bad), 'internal', /key/)
    }
    await refused(() => store().set(key, 'lone \ud83d surrogate'), 'internal', /surrogate/)
    await refused(() => store().set(key, 'x'.repeat(24 * MIB + 1)), 'too_large', /24 MiB/)
    await refused(() => store().set(key, '漢'.repeat(8 * MIB + 1)), 'too_large', /24 MiB/)
    for (const ttlSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
      await refused(() => store().set(key, 'x', { ttlSeconds }), 'internal', /ttlSeconds/)
      await refused(() => store().incr(key, 1, ttlSeconds), 'internal', /ttlSeconds/)
    }
    for (const by of [0.5, Number.NaN, 2 ** 41]) await refused(() => store().incr(key, by, 60), 'internal', /increment/)
    await refused(() => store().peek(Array.from({ length: 10_001 }, () => key)), 'internal', /10000/)
    assert.equal(await store().get(key), null)
    const longest = `${key}/${'漢'.repeat(150)}`
    assert.ok(await store().set(longest, 'the longest keys are fine'))
    assert.ok(await store().get(longest))
  })
}
