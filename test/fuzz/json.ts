// JSON text of every kind, right and wrong, and text that nearly is JSON.

import type { Random } from './random.ts'

/** Longer than any name. */
export const big = 'b'.repeat(5000)

export const quote = (text: string): string => JSON.stringify(text)

const odd = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '-1',
  '1.0',
  '1e999',
  '1E+2',
  '0.1e-400',
  '12345678901234567890',
  '""',
  '"\\ud800"',
  '"\\u0000"',
  '"\\/\\b\\f"',
  '{}',
  '[]',
  '[[]]',
  '{"":0}',
  '{"a":1,"a":2}',
  '{"__proto__":1}',
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":1}}',
  '{"toString":1,"valueOf":2}',
  '"__proto__"',
  quote(big),
] as const

export function scalar(random: Random): string {
  return random.weighted([
    [3, () => random.pick(odd)],
    [1, () => quote(random.text(24))],
    [1, () => String(random.int(2 ** 31) - random.int(2 ** 31))],
  ])
}

/** Any JSON value, up to a depth. */
export function value(random: Random, depth = 3): string {
  if (depth === 0) return scalar(random)
  return random.weighted([
    [5, () => scalar(random)],
    [1, () => `[${random.many(0, 4, () => value(random, depth - 1)).join(',')}]`],
    [1, () => object(random.many(0, 4, () => [random.text(6), value(random, depth - 1)]))],
    // Deep, not wide: what a recursive reader would run out of stack for.
    [0.02, () => `${'['.repeat(4000)}${']'.repeat(4000)}`],
    [0.02, () => `${'{"a":'.repeat(2000)}0${'}'.repeat(2000)}`],
  ])
}

/** An object from members whose values are JSON text; the same key may come twice. */
export function object(members: readonly (readonly [key: string, value: string])[]): string {
  return `{${members.map(([key, text]) => `${quote(key)}:${text}`).join(',')}}`
}

/** The text with a few characters changed, left out, doubled or cut off. */
export function corrupt(random: Random, text: string): string {
  let broken = text
  for (let left = 1 + random.int(3); left > 0; left -= 1) {
    const at = random.int(broken.length + 1)
    broken = random.weighted([
      [
        3,
        () =>
          broken.slice(0, at) +
          random.pick(['"', '{', '}', '[', ']', ',', ':', '\\', '\u0000', '\ufeff', '\n', '/*', '0']) +
          broken.slice(at),
      ],
      [2, () => broken.slice(0, at) + broken.slice(at + 1)],
      [1, () => broken.slice(0, at)],
      [1, () => broken.slice(0, at) + broken.slice(Math.max(0, at - 20))],
      [1, () => broken.slice(0, at) + random.text(3) + broken.slice(at + 1)],
    ])
  }
  return broken
}
