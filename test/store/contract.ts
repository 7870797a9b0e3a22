// What every Store adapter promises, as tests that any of them can be put through.
// Keys are fresh in each test, so adapters may keep their data between tests.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '../../gateway/ports.ts'
import { fresh } from './fresh.ts'
import { large } from './large.ts'
import { refusals } from './refusals.ts'

/** An adapter under test with what it runs on. */
interface Subject {
  readonly store: Store
  close(): Promise<void>
}

export function contract(name: string, open: () => Promise<Subject>): void {
  describe(`${name}: as a Store`, () => {
    let subject: Subject
    let store: Store
    before(async () => {
      subject = await open()
      store = subject.store
    })
    after(() => subject?.close())

    test('a key that was never written is null in get, mget and peek', async () => {
      const key = fresh()
      assert.equal(await store.get(key), null)
      assert.deepEqual(await store.mget([key, key]), [null, null])
      assert.deepEqual(await store.peek([key]), [null])
      assert.deepEqual(await store.mget([]), [])
      assert.deepEqual(await store.peek([]), [])
    })

    test('a written value comes back with the version that the write returned', async () => {
      const key = fresh()
      const version = await store.set(key, 'one')
      assert.ok(version)
      assert.deepEqual(await store.get(key), { value: 'one', version })
      assert.deepEqual(await store.peek([key]), [version])
    })

    test('mget and peek answer in the order asked, with gaps and repetitions', async () => {
      const [a, b, gap] = [fresh(), fresh(), fresh()]
      const va = await store.set(a, 'A')
      const vb = await store.set(b, 'B')
      const found = await store.mget([b, gap, a, b])
      assert.deepEqual(
        found.map((entry) => entry?.value ?? null),
        ['B', null, 'A', 'B'],
      )
      assert.deepEqual(await store.peek([b, gap, a, b]), [vb, null, va, vb])
    })

    test('three thousand keys are read at once', async () => {
      const prefix = fresh('many')
      const many = Array.from({ length: 3000 }, (_, nth) => `${prefix}/${nth}`)
      const written = many.filter((_, nth) => nth % 100 === 7)
      const versions = new Map<string, string | null>()
      for (const key of written) versions.set(key, await store.set(key, `value of ${key}`))
      const expected = many.map((key) => versions.get(key) ?? null)
      assert.deepEqual(await store.peek(many), expected)
      assert.deepEqual(
        (await store.mget(many)).map((entry) => entry?.version ?? null),
        expected,
      )
    })

    test('each write changes the version, also one of the same value', async () => {
      const key = fresh()
      const versions = [await store.set(key, 'x'), await store.set(key, 'x'), await store.set(key, 'y')]
      assert.equal(new Set(versions).size, 3)
      assert.equal((await store.get(key))?.version, versions[2])
    })

    test('set with absent writes once and then refuses', async () => {
      const key = fresh()
      assert.ok(await store.set(key, 'first', { absent: true }))
      assert.equal(await store.set(key, 'second', { absent: true }), null)
      assert.equal((await store.get(key))?.value, 'first')
    })

    test('cas writes only over the version it expects', async () => {
      const key = fresh()
      assert.equal(await store.cas(key, 'never-a-version', 'x'), null)
      assert.equal(await store.get(key), null)
      const first = await store.cas(key, null, 'one')
      assert.ok(first)
      assert.equal(await store.cas(key, null, 'two'), null)
      const second = await store.cas(key, first, 'two')
      assert.ok(second)
      assert.equal(await store.cas(key, first, 'three'), null)
      assert.deepEqual(await store.get(key), { value: 'two', version: second })
    })

    test('cas takes no version to mean something special', async () => {
      const key = fresh()
      for (const odd of ['', '*', '0', 'null']) assert.equal(await store.cas(key, odd, 'x'), null)
      assert.equal(await store.get(key), null)
      const version = await store.set(key, 'kept')
      for (const odd of ['', '*', '0', 'null']) assert.equal(await store.cas(key, odd, 'x'), null)
      assert.equal((await store.get(key))?.version, version)
    })

    test('del removes the value and the counter, and a key that is not there is fine', async () => {
      const key = fresh()
      await store.del(key)
      await store.set(key, 'x')
      await store.incr(key, 5, 60)
      await store.del(key)
      assert.equal(await store.get(key), null)
      assert.deepEqual(await store.peek([key]), [null])
      assert.equal(await store.incr(key, 1, 60), 1)
    })

    test('versions do not come back after del or expiry', async () => {
      const key = fresh()
      const seen = new Set<string | null>()
      for (let round = 0; round < 5; round++) {
        seen.add(await store.set(key, 'x'))
        await store.del(key)
        seen.add(await store.set(key, 'x', { ttlSeconds: 0.02 }))
        await sleep(40)
        assert.equal(await store.get(key), null)
      }
      assert.equal(seen.size, 10)
      assert.ok(!seen.has(null))
      for (const version of seen) assert.equal(await store.cas(key, version, 'stale'), null)
    })

    test('a value with a time to live is gone after it, for every operation', async () => {
      const key = fresh()
      const version = await store.set(key, 'brief', { ttlSeconds: 2 })
      assert.equal((await store.get(key))?.value, 'brief')
      await sleep(2_050)
      assert.equal(await store.get(key), null)
      assert.deepEqual(await store.mget([key]), [null])
      assert.deepEqual(await store.peek([key]), [null])
      assert.equal(await store.cas(key, version, 'late'), null)
      assert.ok(await store.set(key, 'again', { absent: true }))
    })

    test('a later write without a time to live makes the value stay, and cas can give one', async () => {
      const [kept, brief] = [fresh(), fresh()]
      await store.set(kept, 'brief', { ttlSeconds: 0.2 })
      await store.set(kept, 'kept')
      const version = await store.set(brief, 'kept')
      await store.cas(brief, version, 'brief', { ttlSeconds: 0.2 })
      await sleep(250)
      assert.equal((await store.get(kept))?.value, 'kept')
      assert.equal(await store.get(brief), null)
    })

    test('incr counts up and down, apart from the text of the same key', async () => {
      const key = fresh()
      await store.set(key, 'text')
      assert.equal(await store.incr(key, 3, 60), 3)
      assert.equal(await store.incr(key, -5, 60), -2)
      assert.equal(await store.incr(key, 0, 60), -2)
      assert.equal(await store.incr(key, 2 ** 40, 60), 2 ** 40 - 2)
      assert.equal((await store.get(key))?.value, 'text')
    })

    test('a counter ends its time to live after the first increment, not the last', async () => {
      const key = fresh()
      assert.equal(await store.incr(key, 1, 2), 1)
      await sleep(500)
      assert.equal(await store.incr(key, 1, 60), 2)
      await sleep(1_600)
      assert.equal(await store.incr(key, 1, 60), 1)
    })

    test('fifty concurrent increments are all counted', async () => {
      const key = fresh()
      const counts = await Promise.all(Array.from({ length: 50 }, () => store.incr(key, 1, 60)))
      assert.deepEqual(
        counts.sort((a, b) => a - b),
        Array.from({ length: 50 }, (_, nth) => nth + 1),
      )
    })

    test('of twenty concurrent cas over one version exactly one wins', async () => {
      const key = fresh()
      for (const expected of [null, await store.set(fresh(), 'other key')]) {
        const from = expected === null ? null : await store.set(key, 'start')
        const results = await Promise.all(Array.from({ length: 20 }, (_, nth) => store.cas(key, from, `by ${nth}`)))
        const winners = results.flatMap((version, nth) => (version === null ? [] : [{ value: `by ${nth}`, version }]))
        assert.equal(winners.length, 1)
        assert.deepEqual(await store.get(key), winners[0])
      }
    })

    test('a loop of get and cas loses no update of concurrent writers', async () => {
      const key = fresh()
      await store.set(key, '0')
      const bump = async (): Promise<void> => {
        for (;;) {
          const entry = await store.get(key)
          if (entry !== null && (await store.cas(key, entry.version, `${Number(entry.value) + 1}`)) !== null) return
        }
      }
      await Promise.all(Array.from({ length: 12 }, bump))
      assert.equal((await store.get(key))?.value, '12')
    })

    test('text comes back exactly, whatever it looks like', async () => {
      const texts = [
        '',
        ' ',
        '0',
        '123',
        '1e3',
        'true',
        'null',
        'OK',
        'T0s=',
        '{"a":[1,"ü"]}',
        '"quoted"',
        '=a:b',
        '#a:1',
        '\ufeffwith a byte order mark',
        'nul \u0000 and bell \u0007',
        'line\r\nline\u2028line',
        'äöü ßẞ 漢字 🐝🐝 👩‍👩‍👧‍👦 \u{10ffff}',
        'e\u0301 is not \u00e9',
      ]
      for (const text of texts) {
        const key = fresh(`text/${encodeURIComponent(text).slice(0, 30)}`)
        const version = await store.set(key, text)
        assert.ok(version)
        assert.deepEqual(await store.get(key), { value: text, version })
      }
    })

    test('keys may hold any letters, and differ in every one of them', async () => {
      const base = fresh()
      const odd = [
        'a b',
        'a/b',
        'a:b',
        'a%2Fb',
        'ä',
        'a\u0308',
        '漢字🐝',
        '"',
        "'; DROP TABLE entries",
        '{x}',
        '*',
        'A',
        'a',
      ]
      for (const each of odd) await store.set(`${base}${each}`, each)
      const found = await store.mget(odd.map((each) => `${base}${each}`))
      assert.deepEqual(
        found.map((entry) => entry?.value),
        odd,
      )
    })

    large(() => store)
    refusals(() => store)
  })
}
