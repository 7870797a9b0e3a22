// Specs of a kind, made at random from its schema: sound ones, sound ones with one or two things wrong, and raw ones whose fields
// fit but do not go together.
import * as fc from 'fast-check'
import type * as z from 'zod'
import { inputSchema } from '../../../crds/generate/structural.ts'
import type { Json } from '../../../crds/plain.ts'
import { damage } from './damage.ts'
import { repair } from './repair.ts'
import { type Node, sound } from './sound.ts'

/** `count` specs; the same ones for the same `seed`. */
export function specs(schema: z.ZodType, count: number, seed: number): Json[] {
  const node: Node = inputSchema(schema)
  const made = fc.record({
    value: sound(node),
    way: fc.constantFrom('raw', 'repaired', 'repaired', 'damaged', 'damaged', 'damaged twice'),
    numbers: fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
  })
  return fc.sample(made, { numRuns: count, seed }).map(({ value, way, numbers }) => {
    const spec = structuredClone(value)
    if (way === 'raw') return spec
    let next = 0
    const chance = (bound: number): number => (numbers[next++ % numbers.length] ?? 0) % Math.max(bound, 1)
    let found = repair(spec, schema, node, numbers[0] ?? 0)
    for (let times = way === 'repaired' ? 0 : way === 'damaged' ? 1 : 2; times > 0; times--)
      found = damage(found, node, chance)
    return found
  })
}
