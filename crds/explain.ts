// From zod's issues to problems that a manifest's author understands. Never quotes a value of the manifest; of names of fields, only
// those that are already part of its path.
import * as z from 'zod'
import { nearest } from './nearest.ts'
import { isTree, type Json } from './plain.ts'
import { formatPath, type Problem } from './problem.ts'

/** More problems than anybody reads at once; bounds the answer to a hostile manifest. */
export const maxProblems = 100

/** Problems for the first issues of parsing `input` by `schema`, in the order of the schema. */
export function explain(schema: z.core.$ZodType, input: Json, issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.slice(0, maxProblems).flatMap((issue) => {
    const { path } = issue
    if (issue.code === 'unrecognized_keys') {
      const known = fieldsAt(schema, path)
      return issue.keys.slice(0, maxProblems).map((key) => unknownField([...path, key], key, known))
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map((each) => ({ path: formatPath(path), message: phrase(each, '') }))
    }
    const given = at(input, path)
    const problem: Problem = { path: formatPath(path), message: phrase(issue, given) }
    if (issue.code !== 'invalid_value' || typeof given !== 'string') return problem
    const suggestion = nearest(given, issue.values.map(String))
    return suggestion === undefined ? problem : { ...problem, suggestion }
  })
}

function unknownField(path: readonly PropertyKey[], key: string, known: readonly string[]): Problem {
  const suggestion = nearest(key, known)
  const message = 'is not a field of this kind; remove or rename it'
  return { path: formatPath(path), message, ...(suggestion === undefined ? {} : { suggestion }) }
}

function phrase(issue: z.core.$ZodIssue, given: Json | undefined): string {
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = typeNames[issue.expected] ?? issue.expected
      return given === undefined ? `is required: ${wanted}` : `must be ${wanted}, not ${nameOf(given)}`
    }
    case 'invalid_value': {
      const values = issue.values.map((value) => (value === '' ? '""' : String(value))).join(', ')
      return given === undefined
        ? `is required: ${values}`
        : `must be ${issue.values.length > 1 ? 'one of ' : ''}${values}`
    }
    case 'too_big':
      return `must ${bound(issue.origin, 'at most', issue.maximum)}`
    case 'too_small':
      if (issue.minimum === 1 && sized(issue.origin)) return 'must not be empty'
      return `must ${bound(issue.origin, 'at least', issue.minimum)}`
    case 'invalid_format':
    case 'custom':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_key':
    case 'invalid_element':
    case 'invalid_union':
      return issue.message
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'a map',
}

function nameOf(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a fraction'
  return isTree(value) ? 'an object' : typeof value === 'boolean' ? 'true or false' : 'a string'
}

function sized(origin: string): boolean {
  return origin === 'string' || origin === 'array'
}

function bound(origin: string, which: string, limit: number | bigint): string {
  if (origin === 'string') return `have ${which} ${limit} characters`
  if (origin === 'array') return `have ${which} ${limit} items`
  return `be ${which} ${limit}`
}

/** The value at a path, undefined where there is none. */
function at(input: Json, path: readonly PropertyKey[]): Json | undefined {
  let value: Json | undefined = input
  for (const part of path) {
    if (Array.isArray(value) && typeof part === 'number') value = value[part]
    else if (isTree(value) && Object.hasOwn(value, part)) value = value[String(part)]
    else return undefined
  }
  return value
}

/** The fields that a schema knows at a path. */
function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let current: z.core.$ZodType | undefined = bare(schema)
  for (const part of path) {
    if (current instanceof z.ZodObject) current = current.shape[String(part)] as z.core.$ZodType | undefined
    else if (current instanceof z.ZodArray) current = current.element
    else if (current instanceof z.ZodRecord) current = current.valueType
    else return []
    if (current === undefined) return []
    current = bare(current)
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : []
}

function bare(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema
  while (current instanceof z.ZodOptional || current instanceof z.ZodDefault || current instanceof z.ZodPrefault) {
    current = current.unwrap()
  }
  return current
}
