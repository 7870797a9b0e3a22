// Server-sent events, both directions (WHATWG HTML §9.2). The reader is bounded: an event longer than its limit ends the stream.

import { Fault } from './fault.ts'

export interface SseEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/** One event of MCP's streamable HTTP: `event: message` with the JSON-RPC text as data. */
export const sseMessage = (text: string): string =>
  text.includes('\n') || text.includes('\r')
    ? `event: message\n${text
        .split(/\r\n|\r|\n/u)
        .map((line) => `data: ${line}\n`)
        .join('')}\n`
    : `event: message\ndata: ${text}\n\n`

/** A comment line: keeps intermediaries from closing an idle stream. */
export const sseComment = ': keep-alive\n\n'

/**
 * Reads events from a byte stream. `limit` bounds one event, and any line, in characters; beyond it a `Fault` with reason `too_large` is
 * thrown. Linear in the input however it is cut into chunks. Releases the stream however the loop ends.
 */
export async function* readSse(body: ReadableStream<Uint8Array>, limit: number): AsyncGenerator<SseEvent, void, void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const lines = new Lines()
  const parser = new EventParser()
  try {
    for (;;) {
      const chunk = await reader.read()
      const text = chunk.done ? decoder.decode() : decoder.decode(chunk.value, { stream: true })
      for (const line of lines.push(text)) {
        if (parser.size + line.length > limit) throw tooLarge(limit)
        const event = parser.push(line)
        if (event !== undefined) yield event
      }
      if (parser.size + lines.size > limit) throw tooLarge(limit)
      if (chunk.done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

const tooLarge = (limit: number): Fault => new Fault('too_large', `An event exceeds ${limit} characters.`)

/** Cuts text into lines that end with LF, CR or CRLF; what is unfinished waits in pieces, which are joined only once. */
class Lines {
  #pieces: string[] = []
  #afterReturn = false
  /** Characters that wait for the end of their line. */
  size = 0;

  *push(text: string): Generator<string, void, void> {
    let from = this.#afterReturn && text.startsWith('\n') ? 1 : 0
    if (text !== '') this.#afterReturn = false
    const ends = /\r\n|\r|\n/gu
    ends.lastIndex = from
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#pieces.push(text.slice(from, end.index))
      from = ends.lastIndex
      this.#afterReturn = end[0] === '\r' && from === text.length
      const line = this.#pieces.length === 1 ? (this.#pieces[0] ?? '') : this.#pieces.join('')
      this.#pieces = []
      this.size = 0
      yield line
    }
    if (from < text.length) {
      this.#pieces.push(text.slice(from))
      this.size += text.length - from
    }
  }
}

class EventParser {
  #data: string[] = []
  #event = ''
  #id: string | undefined
  /** Characters of the event's data lines so far, field names included: an empty line of data has its price too. */
  size = 0

  /** The event that this line completes, if any. */
  push(line: string): SseEvent | undefined {
    if (line === '') {
      const complete =
        this.#data.length === 0
          ? undefined
          : { event: this.#event === '' ? 'message' : this.#event, data: this.#data.join('\n'), id: this.#id }
      this.#data = []
      this.#event = ''
      this.size = 0
      return complete
    }
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.size += line.length
    } else if (field === 'event') this.#event = value
    else if (field === 'id') this.#id = value
    return undefined
  }
}
