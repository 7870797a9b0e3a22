// Makes a random value one that its schema accepts, by taking out what zod complains about and putting in what it misses. Without
// this, hardly any object of a kind with rules between fields would be accepted.
import * as fc from 'fast-check'
import type * as z from 'zod'
import { isTree, type Json } from '../../../crds/plain.ts'
import { isStructural } from '../../../crds/rule.ts'
import { child } from './damage.ts'
import { type Node, sound } from './sound.ts'

const ROUNDS = 12

/** What an API server would complain about in `value`. */
export function complaints(schema: z.ZodType, value: Json): z.core.$ZodIssue[] {
  const parsed = schema.safeParse(value)
  return parsed.success ? [] : parsed.error.issues.filter(isStructural)
}

/** `value`, changed in place until `schema` accepts it, or for as long as that is bearable. */
export function repair(value: Json, schema: z.ZodType, node: Node, seed: number): Json {
  for (let round = 0; round < ROUNDS; round++) {
    const [issue] = complaints(schema, value)
    if (issue === undefined) return value
    mend(value, issue.path, node, seed + round)
  }
  return value
}

function mend(value: Json, path: readonly PropertyKey[], node: Node, seed: number): void {
  let holder: Json | undefined = value
  let below: Node | undefined = node
  for (const part of path.slice(0, -1)) {
    if (Array.isArray(holder)) [holder, below] = [holder[Number(part)], below?.['items'] as Node | undefined]
    else if (isTree(holder)) [holder, below] = [holder[String(part)], child(below, String(part))]
  }
  const last = path.at(-1)
  if (last === undefined) return
  if (Array.isArray(holder)) {
    holder.splice(Number(last), 1)
  } else if (isTree(holder)) {
    const wanted = child(below, String(last))
    if (Object.hasOwn(holder, String(last))) delete holder[String(last)]
    else if (wanted !== undefined) holder[String(last)] = fc.sample(sound(wanted), { numRuns: 1, seed })[0] ?? {}
  }
}
