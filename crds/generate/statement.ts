// What is said about each field on docs/compatibility.md, from compatibility.yaml beside this file. A field without a statement and a
// statement without a field are errors, so the page can't fall behind the schemas.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { isKind, type Kind } from '../kinds.ts'
import { type Field, fields } from './field.ts'

/** A test that shows what a field does: `path/to/file.test.ts: title of the test`, or its beginning. */
const Proof = z.string().regex(/^[\w./-]+\.test\.ts: \S/, { error: 'must be `file.test.ts: title of the test`' })

const Statement = z.union([
  z.strictObject({ works: Proof, note: z.string().min(1).optional() }),
  z.strictObject({ instead: z.string().min(1), test: Proof.optional() }),
])

/** Either the field works as in ToolHive, shown by a test, or something else is done instead, with the reason. */
export type Statement = z.infer<typeof Statement>

const Statements = z.record(z.string(), z.record(z.string(), Statement))

/** The test that a statement names. */
export function proofOf(statement: Statement): string | undefined {
  return 'works' in statement ? statement.works : statement.test
}

export interface Stated {
  readonly field: Field
  readonly statement: Statement
  /** The path in compatibility.yaml that speaks for the field. */
  readonly key: string
}

/**
 * All statements: kind → path below `spec` → statement. A path that ends in `/**` also speaks for all fields below it that nobody
 * else speaks for. Throws with every statement that has a wrong form.
 */
export function readStatements(): Readonly<Record<string, Readonly<Record<string, Statement>>>> {
  const parsed = Statements.safeParse(
    parse(readFileSync(join(import.meta.dirname, 'compatibility.yaml'), 'utf8'), { maxAliasCount: -1 }),
  )
  if (parsed.success) return parsed.data
  throw new Error(`compatibility.yaml: ${z.prettifyError(parsed.error)}`)
}

/** Every field of the kind's spec, but for old spellings, with its statement. Throws when a field has none, or a statement no field. */
export function stated(kind: Kind, lines: Readonly<Record<string, Statement>>): Stated[] {
  const found = fields(kind, 'spec').filter(({ deprecated }) => !deprecated)
  const used = new Set<string>()
  const missing: string[] = []
  const out = found.flatMap((field): Stated[] => {
    const key = keyFor(field.path.slice('spec.'.length), lines)
    if (key === undefined) {
      missing.push(field.path)
      return []
    }
    used.add(key)
    return [{ field, statement: lines[key] as Statement, key }]
  })
  const idle = Object.keys(lines).filter((key) => !used.has(key))
  if (missing.length + idle.length === 0) return out
  throw new Error(
    `compatibility.yaml, ${kind}: ${[...missing.map((path) => `nothing is said about ${path}`), ...idle.map((key) => `${key} is no field`)].join('; ')}`,
  )
}

/** The kinds of the page, in its order. */
export function statedKinds(all: Readonly<Record<string, unknown>>): Kind[] {
  return Object.keys(all).map((kind) => {
    if (!isKind(kind)) throw new Error(`compatibility.yaml: ${kind} is no kind`)
    return kind
  })
}

/** The key that speaks for a path: its own, or the nearest one above that ends in `/**`. */
function keyFor(path: string, lines: Readonly<Record<string, Statement>>): string | undefined {
  if (Object.hasOwn(lines, path)) return path
  for (let above = path; above !== ''; above = above.slice(0, Math.max(above.lastIndexOf('.'), 0))) {
    const key = `${above.replace(/\[\]$/, '')}/**`
    if (Object.hasOwn(lines, key)) return key
  }
  return undefined
}
