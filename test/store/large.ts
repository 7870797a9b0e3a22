// The part of the Store contract about values that no backend holds in one piece: whole or not at all, for every reader.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entry, Store } from '../../gateway/ports.ts'
import { fresh } from './fresh.ts'

const MIB = 1024 * 1024

/** Registers its tests in the suite that calls it. */
export function large(store: () => Store): void {
  for (const [what, letter, bytes] of [
    ['5 MB of ASCII', 'x', 5_000_000],
    ['20 MB of ASCII', 'x', 20_000_000],
    ['20 MB of emoji', '🐝', 20_000_000],
    ['24 MiB of CJK, the most there may be,', '漢', 24 * MIB],
  ] as const) {
    test(`${what} comes back whole, is replaced, and is deleted`, async () => {
      const key = fresh('large')
      const width = Buffer.byteLength(letter)
      const value = letter.repeat(bytes / width)
      const version = await store().set(key, value)
      assert.ok(version)
      const entry = await store().get(key)
      assert.equal(entry?.version, version)
      assert.ok(entry.value === value, 'value differs')
      assert.deepEqual(await store().peek([key]), [version])
      const small = await store().cas(key, version, 'small')
      assert.deepEqual(await store().get(key), { value: 'small', version: small })
      await store().del(key)
      assert.equal(await store().get(key), null)
    })
  }

  test('text full of quotes and escapes is not cut by what escaping adds', async () => {
    const key = fresh()
    const value = JSON.stringify('"\\\u0001🐝'.repeat(150_000))
    await store().set(key, value)
    assert.ok((await store().get(key))?.value === value, 'value differs')
  })

  test('mget reads large and small values together, more than fits in one reply', async () => {
    const large = [fresh(), fresh(), fresh()]
    const small = fresh()
    const value = 'm'.repeat(12_000_000)
    for (const key of large) await store().set(key, value)
    await store().set(small, 'small')
    const found = await store().mget([large[0] ?? '', small, large[1] ?? '', fresh(), large[2] ?? ''])
    assert.deepEqual(
      found.map((entry) => entry?.value.length ?? null),
      [12_000_000, 5, 12_000_000, null, 12_000_000],
    )
    for (const key of large) await store().del(key)
  })

  test('a large value with a time to live expires as a whole', async () => {
    const key = fresh()
    await store().set(key, 'x'.repeat(3_000_000), { ttlSeconds: 1 })
    await sleep(1050)
    assert.equal(await store().get(key), null)
    assert.ok(await store().set(key, 'y'.repeat(3_000_000), { absent: true }))
  })

  test('readers see whole values while writers replace them, each under its own version', async () => {
    const key = fresh()
    const sizes = [10, 90_000, 1_500_000, 3_100_000]
    const written = new Map<string, string>()
    const value = (tag: string, size: number): string => `${tag}|${size}|${tag.repeat(size / tag.length)}`
    written.set((await store().set(key, value('..', 10))) ?? '', '..')
    const writing = new AbortController()
    const writer = async (who: string): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        const tag = `${who}${round}`
        const text = value(tag, sizes[(round + who.charCodeAt(0)) % sizes.length] ?? 10)
        written.set((await store().set(key, text)) ?? '', tag)
      }
    }
    const seen: { entry: Entry; tag: string }[] = []
    const reader = async (): Promise<void> => {
      while (!writing.signal.aborted) {
        const entry = await store().get(key)
        assert.ok(entry)
        const [tag = '', size = ''] = entry.value.slice(0, 20).split('|')
        assert.ok(entry.value === value(tag, Number(size)), 'a torn value was read')
        seen.push({ entry: { version: entry.version, value: '' }, tag })
      }
    }
    const readers = Promise.all([reader(), reader(), reader()])
    await Promise.all(['a', 'b', 'c'].map(writer)).finally(() => writing.abort())
    await readers
    assert.ok(new Set(seen.map(({ tag }) => tag)).size > 3, 'readers saw too few values to prove anything')
    for (const { entry, tag } of seen) assert.equal(written.get(entry.version), tag)
  })
}
