// Large messages without large copies: the long strings of a result stand aside while the rest is read, judged and edited as a
// message of ordinary size, and come back piece by piece when it is written. What is not JSON is refused as it always is.

import { parseMessage, type Aside, type Message } from './envelope.ts'

/** Messages below `large` are read whole, strings below `long` stay; in characters. */
const SIZES = { large: 256 * 1024, long: 16 * 1024 }
/** Most characters written at once. */
const PIECE = 64 * 1024
/** Members of a result that nobody on the way reads as values: only what is in these stands aside. */
const CARGO: ReadonlySet<string> = new Set(['content', 'contents', 'messages', 'structuredContent'])
/** Nesting below which nothing is looked for. */
const MAX_DEPTH = 64
const MAX_KEY = 32

/**
 * As `parseMessage`, also for messages of many megabytes, which may come in pieces: what then stands `aside` has only names in
 * `text` and `result`.
 */
export function readMessage(text: string | readonly string[], values?: number, sizes = SIZES): Message {
  const pieces = typeof text === 'string' ? [text] : text
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const parted = length < sizes.large ? undefined : new Parting(sizes.long).part(pieces, length)
  if (parted === undefined) return parseMessage(typeof text === 'string' ? text : text.join(''), values)
  return { ...parseMessage(parted.text, values), aside: parted.aside }
}

/** The complete text of a message, or of one made from it, in pieces of bounded size where it is large. */
export function* written(text: string, message: Message | undefined): Generator<string, void, void> {
  if (message?.aside === undefined) yield text
  else yield* message.aside.write(text)
}

interface Parted {
  readonly text: string
  readonly aside: Aside
}

const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/**
 * Replaces every long string of the cargo by a name that the sender could not know. The text with the names is JSON exactly when
 * the whole is: what is replaced is a string by itself, and a name in the midst of another token is a syntax error, since nothing
 * but punctuation may follow a closing quote.
 */
class Parting {
  readonly #long: number
  readonly #name = `aside-${crypto.randomUUID()}-`
  readonly #strings: (readonly string[])[] = []
  readonly #short: string[] = []
  /** The string that is being read, as far as it stands in earlier pieces, with its opening quote. */
  #held: string[] = []
  #heldLength = 0
  /** For each open container whether it is an object. */
  readonly #objects: boolean[] = []
  #atKey = false
  /** The latest key of the message, and of its result. */
  readonly #path = ['', '']
  #string: 'none' | 'key' | 'cargo' | 'other' = 'none'
  /** Characters of an escape that may still come: `ESCAPING` after the backslash, four after its `u`. */
  #escape = 0

  constructor(long: number) {
    this.#long = long
  }

  /** Undefined when nothing stands aside, or when the text is not JSON, which reading it whole will tell. */
  part(pieces: readonly string[], length: number): Parted | undefined {
    for (const piece of pieces) if (!this.#read(piece)) return undefined
    if (this.#isOpen || this.#strings.length === 0) return undefined
    const text = this.#short.join('')
    const strings = this.#strings
    const name = this.#name
    return { text, aside: { length: length - text.length, write: (edited) => write(edited, name, strings) } }
  }

  /** False when this is no JSON, or too deep. */
  #read(piece: string): boolean {
    let from = 0
    let start = 0
    for (let index = 0; index < piece.length;) {
      if (this.#string === 'none') {
        index = structureAt(piece, index)
        if (index === piece.length) break
        const code = piece.charCodeAt(index)
        if (code === QUOTE) {
          this.#string = this.#kind()
          start = index
        } else if (!this.#step(code)) return false
        index += 1
        continue
      }
      const kind = this.#string
      index = this.#inString(piece, index)
      if (index < 0) return false
      if (this.#isOpen) break
      const size = this.#heldLength + index - start
      if (kind === 'key')
        this.#keyed(size <= MAX_KEY ? [...this.#held, piece.slice(start, index)].join('').slice(1, -1) : '')
      if (kind === 'cargo' && size >= this.#long) {
        this.#short.push(piece.slice(from, start), `"${this.#name}${this.#strings.length}"`)
        this.#strings.push([...this.#held, piece.slice(start, index)])
        from = index
      } else this.#short.push(...this.#held)
      this.#held = []
      this.#heldLength = 0
    }
    if (!this.#isOpen) {
      this.#short.push(piece.slice(from))
      return true
    }
    this.#short.push(piece.slice(from, start))
    this.#held.push(piece.slice(start))
    this.#heldLength += piece.length - start
    return true
  }

  get #isOpen(): boolean {
    return this.#string !== 'none'
  }

  /** Where the string ends that goes on here, or the piece; negative when it is none (RFC 8259 §7). */
  #inString(piece: string, at: number): number {
    for (let index = at; index < piece.length; index += 1) {
      if (this.#escape === 0) index = plainEnd(piece, index)
      const code = piece.charCodeAt(index)
      if (this.#escape > 0) {
        const isFirst = this.#escape === ESCAPING
        if (!(isFirst ? ESCAPED : HEX).has(code)) return -1
        this.#escape = isFirst && code !== LETTER_U ? 0 : this.#escape - 1
      } else if (code === BACKSLASH) this.#escape = ESCAPING
      else if (code === QUOTE) {
        this.#string = 'none'
        return index + 1
      } else if (code < 32) return -1
    }
    return piece.length
  }

  #step(code: number): boolean {
    switch (code) {
      case OPEN_BRACE:
      case OPEN_BRACKET:
        this.#objects.push(code === OPEN_BRACE)
        this.#atKey = true
        return this.#objects.length <= MAX_DEPTH
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        return this.#objects.pop() !== undefined
      case COMMA:
        this.#atKey = true
        return true
      case COLON:
        this.#atKey = false
        return true
      default:
        return true
    }
  }

  #kind(): 'key' | 'cargo' | 'other' {
    if (this.#objects.at(-1) === true && this.#atKey) return 'key'
    const [first = '', second = ''] = this.#path
    const inResult = this.#objects.at(0) === true && this.#objects.at(1) === true && first === 'result'
    return inResult && CARGO.has(second) ? 'cargo' : 'other'
  }

  /** A key has been read: those of the message and of its result say where we are. */
  #keyed(key: string): void {
    const depth = this.#objects.length
    if (depth > 2) return
    this.#path[depth - 1] = key
    if (depth === 1) this.#path[1] = ''
  }
}

/** Where the next quote, bracket, comma or colon is. */
function structureAt(piece: string, at: number): number {
  let index = at
  while (index < piece.length && STRUCTURE[piece.charCodeAt(index)] !== 1) index += 1
  return index
}

/** Where neither quote, backslash nor control character is yet. */
function plainEnd(piece: string, at: number): number {
  let index = at
  for (; index < piece.length; index += 1) {
    const code = piece.charCodeAt(index)
    if (code === QUOTE || code === BACKSLASH || code < 32) return index
  }
  return index
}

const codes = (text: string): ReadonlySet<number> => new Set(Array.from(text, (one) => one.charCodeAt(0)))
const STRUCTURE = Uint8Array.from({ length: 128 }, (_, code) => ('"{}[],:'.includes(String.fromCharCode(code)) ? 1 : 0))
const LETTER_U = 117
const ESCAPING = 5
const ESCAPED = codes('"\\/bfnrtu')
const HEX = codes('0123456789abcdefABCDEF')

function* write(edited: string, name: string, strings: readonly (readonly string[])[]): Generator<string, void, void> {
  const opening = `"${name}`
  let from = 0
  for (let at = edited.indexOf(opening); at >= 0; at = edited.indexOf(opening, from)) {
    const end = edited.indexOf('"', at + 1)
    yield edited.slice(from, at)
    for (const piece of strings[Number(edited.slice(at + opening.length, end))] ?? []) yield* cut(piece)
    from = end + 1
  }
  yield edited.slice(from)
}

/** Never cuts inside a character: each piece is encoded by itself. */
function* cut(text: string): Generator<string, void, void> {
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + PIECE)
    const last = text.charCodeAt(to - 1)
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to -= 1
    yield text.slice(from, to)
    from = to
  }
}
