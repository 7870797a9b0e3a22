// Server-sent events, both directions (WHATWG HTML §9.2). The reader is bounded: an event longer than its limit ends the stream.

import { Bytes } from './bytes.ts'
import { Fault } from './fault.ts'

/** An event, or with empty `data` a priming one that only sets `id` or `retry` (MCP 2025-11-25, basic/transports). */
export interface SseEvent {
  readonly event: string
  readonly data: string
  /** The data as it came, where there is much of it: whoever reads this saves putting it together. */
  readonly pieces?: readonly string[]
  /** The last id that the stream gave; undefined before the first and after one that is empty or too long to be sent back. */
  readonly id: string | undefined
  /** How long to wait before connecting again, in milliseconds, where this event says so. */
  readonly retry?: number
}

/** One event of MCP's streamable HTTP: `event: message` with the JSON-RPC text as data. */
export const sseMessage = (text: string): string =>
  text.includes('\n') || text.includes('\r')
    ? `event: message\n${text
        .split(/\r\n|\r|\n/u)
        .map((line) => `data: ${line}\n`)
        .join('')}\n`
    : `event: message\ndata: ${text}\n\n`

/** As `sseMessage`, with an id to resume after; without a text it only names the id. */
export const sseEvent = (id: string, text = ''): string =>
  text === '' ? `id: ${id}\ndata: \n\n` : `id: ${id}\n${sseMessage(text)}`

/** A comment line: keeps intermediaries from closing an idle stream. */
export const sseComment = ': keep-alive\n\n'

/**
 * Reads events from a byte stream. `limit` bounds one event, and any line, in characters; beyond it a `Fault` with reason `too_large` is
 * thrown. Linear in the input however it is cut into chunks. Releases the stream however the loop ends. `after` is the id
 * that holds until the stream gives another one; an aborted `signal` ends it with its reason.
 */
export async function* readSse(
  body: ReadableStream<Uint8Array>,
  limit: number,
  { after, signal }: { readonly after?: string | undefined; readonly signal?: AbortSignal } = {},
): AsyncGenerator<SseEvent, void, void> {
  const bytes = new Bytes(body, signal)
  const decoder = new TextDecoder()
  const lines = new Lines()
  const parser = new EventParser(after)
  try {
    for (;;) {
      const chunk = await bytes.next()
      const text = chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
      for (const line of lines.push(text)) {
        if (parser.size + lengthOf(line) > limit) throw tooLarge(limit)
        const event = typeof line === 'string' ? parser.push(line) : parser.pushLarge(line)
        if (event !== undefined) yield event
      }
      if (parser.size + lines.size > limit) throw tooLarge(limit)
      if (chunk === undefined) return
      if (lines.size >= LARGE) bytes.throughBuffer()
    }
  } finally {
    await bytes.cancel()
  }
}

/** Longest id, in characters: it travels back in a header. */
const MAX_ID = 1024

/** Lines and data of this many characters stay in pieces, if these are not too small to be worth it. */
const LARGE = 256 * 1024
const MIN_PIECE = 1024

/** A line, in pieces where it is large. */
type Line = string | readonly string[]

const lengthOf = (line: Line): number =>
  typeof line === 'string' ? line.length : line.reduce((sum, piece) => sum + piece.length, 0)

const tooLarge = (limit: number): Fault => new Fault('too_large', `An event exceeds ${limit} characters.`)

/** Cuts text into lines that end with LF, CR or CRLF; what is unfinished waits in pieces, which are joined only once. */
class Lines {
  #pieces: string[] = []
  #afterReturn = false
  /** Characters that wait for the end of their line. */
  size = 0;

  *push(text: string): Generator<Line, void, void> {
    let from = this.#afterReturn && text.startsWith('\n') ? 1 : 0
    if (text !== '') this.#afterReturn = false
    const ends = /\r\n|\r|\n/gu
    ends.lastIndex = from
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#pieces.push(text.slice(from, end.index))
      const start = from
      from = ends.lastIndex
      this.#afterReturn = end[0] === '\r' && from === text.length
      const pieces = this.#pieces
      const size = this.size + end.index - start
      const inPieces = size >= LARGE && size >= pieces.length * MIN_PIECE
      this.#pieces = []
      this.size = 0
      if (inPieces) yield pieces
      else yield pieces.length === 1 ? (pieces[0] ?? '') : pieces.join('')
    }
    if (from < text.length) {
      this.#pieces.push(text.slice(from))
      this.size += text.length - from
    }
  }
}

class EventParser {
  /** The event's data so far, in pieces. */
  #data: string[] = []
  #hasData = false
  #event = ''
  #id: string | undefined
  #retry: number | undefined
  /** Whether the event has anything to tell, data or not. */
  #telling = false
  /** Characters of the event's data lines so far, field names included: an empty line of data has its price too. */
  size = 0

  constructor(after: string | undefined) {
    this.#id = after
  }

  /** The event that this line completes, if any. */
  push(line: string): SseEvent | undefined {
    if (line === '') {
      const complete = this.#telling ? this.#complete() : undefined
      this.#data = []
      this.#hasData = false
      this.#event = ''
      this.#retry = undefined
      this.#telling = false
      this.size = 0
      return complete
    }
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    switch (field) {
      case 'data':
        this.#add(value, line.length)
        break
      case 'event':
        this.#event = value
        break
      case 'id':
        if (value.includes('\0')) break
        this.#id = value === '' || value.length > MAX_ID ? undefined : value
        this.#telling = true
        break
      case 'retry':
        if (!/^\d+$/u.test(value)) break
        this.#retry = Math.min(Number(value), Number.MAX_SAFE_INTEGER)
        this.#telling = true
        break
      default:
    }
    return undefined
  }

  /** As `push`, for a line that is not empty. */
  pushLarge(line: readonly string[]): SseEvent | undefined {
    const [first = '', ...rest] = line
    if (!first.startsWith('data: ')) return this.push(line.join(''))
    this.#add(first.slice('data: '.length), lengthOf(line))
    this.#data.push(...rest)
    return undefined
  }

  /** A line of data, or its beginning; lines are put together with LF. */
  #add(value: string, size: number): void {
    if (this.#hasData) this.#data.push('\n')
    this.#data.push(value)
    this.#hasData = true
    this.size += size
    this.#telling = true
  }

  #complete(): SseEvent {
    const event = this.#event === '' ? 'message' : this.#event
    const more = { id: this.#id, ...(this.#retry !== undefined && { retry: this.#retry }) }
    const pieces = this.#data
    if (this.size < LARGE || this.size < pieces.length * MIN_PIECE)
      return { event, data: pieces.length === 1 ? (pieces[0] ?? '') : pieces.join(''), ...more }
    return {
      event,
      get data() {
        return pieces.join('')
      },
      pieces,
      ...more,
    }
  }
}
