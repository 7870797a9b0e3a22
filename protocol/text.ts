// JSON as text: find the span of a value inside a document and replace it, leaving every other byte as it came.
// That is how the relay stays lossless (numbers beyond 2^53, key order, unknown fields) and why it need not re-encode bodies.
// All functions expect text that `JSON.parse` accepts; they do not validate again.

/** Half-open range [start, end) of a value in its text. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface Member extends Span {
  /** Where the member's key starts; with `end` the range to cut. */
  readonly keyStart: number
}

/** A member name that occurs twice in an object where both readings matter: parsers disagree which one wins (RFC 8259 §4). */
export class DuplicateKey extends Error {
  override readonly name = 'DuplicateKey'
  readonly key: string
  constructor(key: string) {
    super(`duplicate key "${key}"`)
    this.key = key
  }
}

const QUOTE = 34
const BACKSLASH = 92
const OPEN_BRACE = 123
const CLOSE_BRACE = 125
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const COMMA = 44
const COLON = 58

/**
 * The members of the object whose `{` is the first non-space character at or after `at`.
 * Throws `DuplicateKey`, so that no two readers of a message can disagree on it.
 */
export function members(text: string, at = 0): Map<string, Member> {
  const found = new Map<string, Member>()
  let index = skipSpace(text, at) + 1
  for (;;) {
    index = skipSpace(text, index)
    const code = text.charCodeAt(index)
    if (code === CLOSE_BRACE || index >= text.length) return found
    if (code === COMMA) {
      index += 1
      continue
    }
    const keyEnd = stringEnd(text, index)
    const raw = text.slice(index + 1, keyEnd - 1)
    const key = raw.includes('\\') ? (JSON.parse(text.slice(index, keyEnd)) as string) : raw
    let start = skipSpace(text, keyEnd)
    if (text.charCodeAt(start) === COLON) start = skipSpace(text, start + 1)
    const end = valueEnd(text, start)
    if (found.has(key)) throw new DuplicateKey(key)
    found.set(key, { keyStart: index, start, end })
    index = end
  }
}

/** Spans of the elements of the array whose `[` is the first non-space character at or after `at`. */
export function elements(text: string, at = 0): Span[] {
  const found: Span[] = []
  let index = skipSpace(text, at) + 1
  for (;;) {
    index = skipSpace(text, index)
    const code = text.charCodeAt(index)
    if (code === CLOSE_BRACKET || index >= text.length) return found
    if (code === COMMA) {
      index += 1
      continue
    }
    const end = valueEnd(text, index)
    found.push({ start: index, end })
    index = end
  }
}

/**
 * Whether a text has more than `limit` values, counted by the commas and brackets outside strings. A parsed value costs
 * many times its characters: this is asked before parsing what a stranger sent.
 */
export function exceeds(text: string, limit: number): boolean {
  let count = 0
  for (let index = 0; index < text.length;) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) {
      index = stringEnd(text, index)
      continue
    }
    if (code === COMMA || code === OPEN_BRACE || code === OPEN_BRACKET) {
      count += 1
      if (count > limit) return true
    }
    index += 1
  }
  return false
}

export interface Edit extends Span {
  readonly text: string
}

/** Applies replacements; spans must not overlap, order does not matter. */
export function edit(text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return text
  const sorted = edits.length === 1 ? edits : [...edits].sort((a, b) => a.start - b.start)
  let result = ''
  let from = 0
  for (const change of sorted) {
    result += text.slice(from, change.start) + change.text
    from = change.end
  }
  return result + text.slice(from)
}

/** The range to remove so that a member of an object goes, with one comma; `spans` are the object's members in order. Empty where there is none. */
export function cut(spans: ReadonlyMap<string, Member>, key: string): Span {
  const going = spans.get(key)
  if (going === undefined) return { start: 0, end: 0 }
  let before: Member | undefined
  let passed = false
  for (const member of spans.values()) {
    if (passed) return { start: going.keyStart, end: member.keyStart }
    if (member === going) passed = true
    else before = member
  }
  return { start: before?.end ?? going.keyStart, end: going.end }
}

/**
 * The object at `at` with some members dropped and others set, as text: kept members stay byte for byte and in order,
 * set ones replace their namesakes or follow at the end. `set` maps a key to JSON text.
 */
export function rewrite(
  text: string,
  at: number,
  drop: (key: string) => boolean,
  set: Readonly<Record<string, string>>,
): string {
  const parts: string[] = []
  const seen = new Set<string>()
  for (const [key, member] of members(text, at)) {
    const replacement = Object.hasOwn(set, key) ? set[key] : undefined
    if (replacement !== undefined) {
      seen.add(key)
      parts.push(text.slice(member.keyStart, member.start) + replacement)
    } else if (!drop(key)) {
      parts.push(text.slice(member.keyStart, member.end))
    }
  }
  for (const [key, value] of Object.entries(set)) if (!seen.has(key)) parts.push(`${JSON.stringify(key)}:${value}`)
  return `{${parts.join(',')}}`
}

/** The text of a span. */
export const slice = (text: string, span: Span): string => text.slice(span.start, span.end)

function skipSpace(text: string, at: number): number {
  let index = at
  for (;;) {
    const code = text.charCodeAt(index)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return index
    index += 1
  }
}

/** Index after the closing quote of the string that starts at `start`. */
function stringEnd(text: string, start: number): number {
  let index = start + 1
  for (;;) {
    const quote = text.indexOf('"', index)
    if (quote < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return quote + 1
    index = quote + 1
  }
}

function valueEnd(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === QUOTE) return stringEnd(text, start)
  let index = start
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    while (index < text.length && !endsScalar(text.charCodeAt(index))) index += 1
    return index
  }
  let depth = 0
  while (index < text.length) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) {
      index = stringEnd(text, index)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    index += 1
    if (depth === 0) return index
  }
  return index
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 32
}
