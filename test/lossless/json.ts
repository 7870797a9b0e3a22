// Arbitrary JSON as text, with everything that a parse and a stringify would lose: big integers, exponents, escapes,
// white space, and keys that mean something to JavaScript.

import * as fc from 'fast-check'

/** Text of a number that a double cannot carry as written. */
const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 200n }).map(String),
  fc.bigInt({ min: -(2n ** 200n), max: -(2n ** 53n) }).map(String),
  fc.constantFrom('-0', '0.0', '1.0', '1e400', '-1E+2', '1e-7', '0.1000000000000000055511151231257827', '100E-2'),
)

const word = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'resultType', 'id', 'jsonrpc', 'nextCursor'),
  },
  { weight: 1, arbitrary: fc.constantFrom('\ud800', '\u2028', 'data: x\n\ndata: y', '"}]', '</script>', '\u0000') },
)

/** Text of a string, in one of the spellings JSON allows. */
const string = fc.tuple(word, fc.boolean()).map(([value, respelt]) => {
  const plain = JSON.stringify(value)
  // Inside an escape (`\n`, `\u00ff`) letters stand for something else: only text without one is respelt.
  if (!respelt || plain.includes('\\')) return plain
  return plain.replaceAll('/', '\\/').replaceAll(/[a-f]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
})

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n\t')

const tied = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('null', 'true', 'false'),
    number,
    string,
    tie('array'),
    tie('object'),
  ),
  array: fc
    .tuple(fc.array(tie('value'), { maxLength: 4 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`${gap},${gap}`)}${gap}]`),
  object: fc
    .tuple(
      fc.uniqueArray(fc.tuple(string, tie('value')), {
        maxLength: 4,
        selector: ([key]) => JSON.parse(key) as string,
      }),
      space,
    )
    .map(([members, gap]) => `{${gap}${members.map(([key, value]) => `${key}${gap}:${gap}${value}`).join(',')}${gap}}`),
}))

/** Text of any JSON value. */
export const anyValue: fc.Arbitrary<string> = tied.value
/** Text of any JSON object. */
export const anyObject: fc.Arbitrary<string> = tied.object
/** Text of any JSON array. */
export const anyArray: fc.Arbitrary<string> = tied.array

/** A JSON value whose numbers are kept as they were written, as `{"#": "1e400"}`. */
export type Exact = null | boolean | string | readonly Exact[] | { readonly [key: string]: Exact }

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown

/** Parses without losing digits. Two texts are the same JSON exactly when their `Exact` forms are. */
export function exact(text: string): Exact {
  const reviver: Reviver = (_key, value, context) => (typeof value === 'number' ? { '#': context.source } : value)
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as Exact
}

/** The member of an object, or undefined. */
export function member(value: Exact | undefined, ...path: readonly string[]): Exact | undefined {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<string, Exact>>)[key]
  }
  return at
}
