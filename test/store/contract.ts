// What every Store adapter promises, as tests that any of them can be put through.
// Keys are fresh in each test, so adapters may keep their data between tests.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../protocol/fault.ts'
import type { Entry, Store } from '../../gateway/ports.ts'

/** An adapter under test with what it runs on. */
interface Subject {
  readonly store: Store
  close(): Promise<void>
}

const MIB = 1024 * 1024
let keys = 0
const fresh = (what = 'key'): string => `contract/${what}-${process.pid}-${keys++}`

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
      const version = await store.set(key, 'brief', { ttlSeconds: 0.4 })
      assert.equal((await store.get(key))?.value, 'brief')
      await sleep(450)
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
      assert.equal(await store.incr(key, 1, 0.5), 1)
      await sleep(300)
      assert.equal(await store.incr(key, 1, 60), 2)
      await sleep(250)
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
        const version = await store.set(key, value)
        assert.ok(version)
        const entry = await store.get(key)
        assert.equal(entry?.version, version)
        assert.ok(entry.value === value, 'value differs')
        assert.deepEqual(await store.peek([key]), [version])
        const small = await store.cas(key, version, 'small')
        assert.deepEqual(await store.get(key), { value: 'small', version: small })
        await store.del(key)
        assert.equal(await store.get(key), null)
      })
    }

    test('text full of quotes and escapes is not cut by what escaping adds', async () => {
      const key = fresh()
      const value = JSON.stringify('"\\\u0001🐝'.repeat(150_000))
      await store.set(key, value)
      assert.ok((await store.get(key))?.value === value, 'value differs')
    })

    test('mget reads large and small values together, more than fits in one reply', async () => {
      const large = [fresh(), fresh(), fresh()]
      const small = fresh()
      const value = 'm'.repeat(12_000_000)
      for (const key of large) await store.set(key, value)
      await store.set(small, 'small')
      const found = await store.mget([large[0] ?? '', small, large[1] ?? '', fresh(), large[2] ?? ''])
      assert.deepEqual(
        found.map((entry) => entry?.value.length ?? null),
        [12_000_000, 5, 12_000_000, null, 12_000_000],
      )
      for (const key of large) await store.del(key)
    })

    test('a large value with a time to live expires as a whole', async () => {
      const key = fresh()
      await store.set(key, 'x'.repeat(3_000_000), { ttlSeconds: 1 })
      await sleep(1050)
      assert.equal(await store.get(key), null)
      assert.ok(await store.set(key, 'y'.repeat(3_000_000), { absent: true }))
    })

    test('readers see whole values while writers replace them, each under its own version', async () => {
      const key = fresh()
      const sizes = [10, 90_000, 1_500_000, 3_100_000]
      const written = new Map<string, string>()
      const value = (tag: string, size: number): string => `${tag}|${size}|${tag.repeat(size / tag.length)}`
      written.set((await store.set(key, value('..', 10))) ?? '', '..')
      const writing = new AbortController()
      const writer = async (who: string): Promise<void> => {
        for (let round = 0; round < 6; round++) {
          const tag = `${who}${round}`
          const text = value(tag, sizes[(round + who.charCodeAt(0)) % sizes.length] ?? 10)
          written.set((await store.set(key, text)) ?? '', tag)
        }
      }
      const seen: { entry: Entry; tag: string }[] = []
      const reader = async (): Promise<void> => {
        while (!writing.signal.aborted) {
          const entry = await store.get(key)
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
        await refused(() => store.get(bad), 'internal', /key/)
        await refused(() => store.mget([key, bad]), 'internal', /key/)
        await refused(() => store.peek([bad]), 'internal', /key/)
        await refused(() => store.set(bad, 'x'), 'internal', /key/)
        await refused(() => store.cas(bad, null, 'x'), 'internal', /key/)
        await refused(() => store.incr(bad, 1, 1), 'internal', /key/)
        await refused(() => store.del(bad), 'internal', /key/)
      }
      await refused(() => store.set(key, 'lone \ud83d surrogate'), 'internal', /surrogate/)
      await refused(() => store.set(key, 'x'.repeat(24 * MIB + 1)), 'too_large', /24 MiB/)
      await refused(() => store.set(key, '漢'.repeat(8 * MIB + 1)), 'too_large', /24 MiB/)
      for (const ttlSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
        await refused(() => store.set(key, 'x', { ttlSeconds }), 'internal', /ttlSeconds/)
        await refused(() => store.incr(key, 1, ttlSeconds), 'internal', /ttlSeconds/)
      }
      for (const by of [0.5, Number.NaN, 2 ** 41]) await refused(() => store.incr(key, by, 60), 'internal', /increment/)
      await refused(() => store.peek(Array.from({ length: 10_001 }, () => key)), 'internal', /10000/)
      assert.equal(await store.get(key), null)
      const longest = `${key}/${'漢'.repeat(150)}`
      assert.ok(await store.set(longest, 'the longest keys are fine'))
      assert.ok(await store.get(longest))
    })
  })
}

/** Asserts that a call ends in `store_unavailable` within 4 s; its detail must not hold any of `secrets`. */
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
  assert.ok(Date.now() - start < 4000, `took ${Date.now() - start} ms`)
}
