import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anyArray, anyObject, anyValue, exact, type Exact } from '../test/lossless/json.ts'
import { cut, DuplicateKey, edit, elements, exceeds, members, rewrite, slice } from './text.ts'

/** The value as our spans see it, down to the last scalar. */
function read(text: string): Exact {
  const at = text.trimStart().charAt(0)
  if (at === '[') return elements(text).map((span) => read(slice(text, span)))
  if (at !== '{') return exact(text)
  return Object.fromEntries([...members(text)].map(([key, span]) => [key, read(slice(text, span))]))
}

/** Every UTF-16 unit of a key spelled as an escape. */
const escaped = (key: string): string =>
  `"${key
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')}"`

test('spans lead to the same values that a parser finds, digit for digit', () => {
  fc.assert(fc.property(anyValue, (text) => assert.deepEqual(read(text), exact(text))))
})

test('spans are the same wherever in a text the value stands', () => {
  const shifted = (found: { start: number; end: number }[], by: number) =>
    found.map(({ start, end }) => ({ start: start + by, end: end + by }))
  fc.assert(
    fc.property(anyObject, anyArray, (object, array) => {
      const text = `[${object},\n ${array}]`
      const after = object.length + 1
      const found = [...members(text, 1).values()].map(({ start, end }) => ({ start, end }))
      const alone = [...members(object).values()].map(({ start, end }) => ({ start, end }))
      assert.deepEqual(found, shifted(alone, 1))
      assert.deepEqual(elements(text, after + 1), shifted(elements(array), after + 3))
    }),
  )
})

test('a member spans from its key to the end of its value', () => {
  const text = '{ "a\\"}" : [1, "]"] ,"b":-1.50e+3 }'
  const found = members(text)
  assert.deepEqual([...found.keys()], ['a"}', 'b'])
  const a = found.get('a"}')
  const b = found.get('b')
  assert.ok(a && b)
  assert.equal(text.slice(a.keyStart, a.end), '"a\\"}" : [1, "]"]')
  assert.equal(slice(text, b), '-1.50e+3')
})

test('an edit changes its own bytes and no others', () => {
  fc.assert(
    fc.property(anyObject, anyValue, fc.nat(), (text, value, pick) => {
      const all = [...members(text)]
      const chosen = all[pick % Math.max(1, all.length)]
      if (chosen === undefined) return
      const [key, span] = chosen
      const result = edit(text, [{ ...span, text: value }])
      assert.equal(result, text.slice(0, span.start) + value + text.slice(span.end))
      assert.deepEqual(exact(result), { ...(exact(text) as object), [key]: exact(value) })
    }),
  )
})

test('edits may come in any order, and none leaves the text alone', () => {
  const text = '{"a":1,"b":2,"c":3}'
  const spans = [...members(text).values()]
  const edits = spans.map((span, index) => ({ ...span, text: `[${index}]` }))
  for (const order of [edits, edits.toReversed(), [edits[1], edits[2], edits[0]].filter((one) => one !== undefined)]) {
    assert.equal(edit(text, order), '{"a":[0],"b":[1],"c":[2]}')
  }
  assert.equal(edit(text, []), text)
})

test('a rewrite keeps, drops and sets members and touches no kept byte', () => {
  fc.assert(
    fc.property(anyObject, fc.uniqueArray(fc.nat(5)), fc.dictionary(fc.string(), anyValue), (text, dropped, added) => {
      const before = members(text)
      const keys = [...before.keys()]
      const gone = new Set(dropped.map((index) => keys[index]).filter((key) => key !== undefined))
      const result = rewrite(text, 0, (key) => gone.has(key), added)
      const after = members(result)
      const kept = keys.filter((key) => !gone.has(key) || Object.hasOwn(added, key))
      const fresh = Object.keys(added).filter((key) => !before.has(key))
      assert.deepEqual([...after.keys()], [...kept, ...fresh])
      for (const [key, span] of after) {
        const was = before.get(key)
        const expected = Object.hasOwn(added, key) ? added[key] : was && slice(text, was)
        assert.equal(slice(result, span), expected)
        if (was) assert.equal(result.slice(span.keyStart, span.start), text.slice(was.keyStart, was.start))
      }
      assert.doesNotThrow(() => JSON.parse(result) as unknown)
    }),
  )
})

test('a key that occurs twice is refused, however it is spelled', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.boolean(), fc.boolean(), (key, first, second) => {
      const spelled = (escape: boolean) => (escape ? escaped(key) : JSON.stringify(key))
      const text = `{"other!":0,${spelled(first)}:1 , ${spelled(second)}:{}}`
      const refused = (error: unknown) => error instanceof DuplicateKey && error.key === key
      assert.throws(() => members(text), refused)
      assert.throws(() => rewrite(text, 0, () => true, {}), refused)
    }),
  )
})

test('keys that mean something to JavaScript are keys like others', () => {
  const text = '{"__proto__":1,"constructor":2,"toString":3}'
  assert.deepEqual([...members(text).keys()], ['__proto__', 'constructor', 'toString'])
  assert.equal(
    rewrite(text, 0, (key) => key === '__proto__', { hasOwnProperty: '4' }),
    '{"constructor":2,"toString":3,"hasOwnProperty":4}',
  )
})

test('values are counted without parsing them, and what strings hold does not count', () => {
  const count = (value: Exact): number =>
    typeof value === 'object' && value !== null ? 1 + Object.values(value).reduce((sum, one) => sum + count(one), 0) : 1
  fc.assert(
    fc.property(fc.json({ stringUnit: 'binary' }), (text) => {
      const values = count(JSON.parse(text) as Exact)
      // A container counts beside its values: the estimate lies between one below and twice their number.
      assert.equal(exceeds(text, 2 * values), false)
      if (values > 1) assert.equal(exceeds(text, values - 2), true)
    }),
  )
  assert.equal(exceeds('"[[[[,,,,{{{{\\""', 0), false)
  assert.equal(exceeds('[1,2,3]', 3), false)
  assert.equal(exceeds('[1,2,3]', 2), true)
})

test('reading takes linear time on strings of escapes and on deep nesting', () => {
  const started = performance.now()
  assert.equal(members(`{"${'\\\\'.repeat(200_000)}\\"":1}`).size, 1)
  assert.equal(members(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`).size, 1)
  assert.equal(members(`{"a":"${'\\"'.repeat(200_000)}"}`).size, 1)
  assert.ok(performance.now() - started < 1000)
})

test('a member that is cut takes one comma with it, and everything else stays byte for byte', () => {
  const without = (text: string, key: string) => edit(text, [{ ...cut(members(text), key), text: '' }])
  assert.equal(without('{"a":1, "b" : 2 }', 'a'), '{"b" : 2 }')
  assert.equal(without('{"a":1, "b" : 2 }', 'b'), '{"a":1 }')
  assert.equal(without('{ "a" :1 , "b":2,"c":3}', 'b'), '{ "a" :1 , "c":3}')
  assert.equal(without('{ "a":1 }', 'a'), '{  }')
  assert.equal(without('{"a":1}', 'b'), '{"a":1}')
  fc.assert(
    fc.property(anyObject, fc.nat(), (text, at) => {
      const spans = members(text)
      const key = [...spans.keys()][at % Math.max(1, spans.size)]
      if (key === undefined) return
      const rest = [...members(without(text, key))].map(([name, span]) => [name, slice(without(text, key), span)])
      const expected = [...spans].filter(([name]) => name !== key).map(([name, span]) => [name, slice(text, span)])
      assert.deepEqual(rest, expected)
    }),
  )
})
