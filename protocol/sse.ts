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
 * Reads events from a byte stream. `limit` bounds one event in bytes of UTF-16 text; beyond it a `Fault` with reason
 * `too_large` is thrown. Releases the stream however the loop ends.
 */
export async function* readSse(body: ReadableStream<Uint8Array>, limit: number): AsyncGenerator<SseEvent, void, void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let buffer = ''
  let data: string[] = []
  let size = 0
  let event = ''
  let id: string | undefined
  try {
    for (;;) {
      const chunk = await reader.read()
      buffer += chunk.done ? decoder.decode() : decoder.decode(chunk.value, { stream: true })
      let from = 0
      for (;;) {
        const end = lineEnd(buffer, from, chunk.done)
        if (end === undefined) break
        const line = buffer.slice(from, end.at)
        from = end.next
        if (line === '') {
          if (data.length > 0) yield { event: event === '' ? 'message' : event, data: data.join('\n'), id }
          data = []
          size = 0
          event = ''
          continue
        }
        const colon = line.indexOf(':')
        if (colon === 0) continue
        const field = colon < 0 ? line : line.slice(0, colon)
        const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
        if (field === 'data') {
          data.push(value)
          size += value.length
        } else if (field === 'event') event = value
        else if (field === 'id') id = value
      }
      buffer = buffer.slice(from)
      if (size + buffer.length > limit) throw new Fault('too_large', `An event exceeds ${limit} characters.`)
      if (chunk.done) return
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** End of the next line and where the following one starts. A lone CR at the end of the buffer waits for its LF. */
function lineEnd(buffer: string, from: number, last: boolean): { at: number; next: number } | undefined {
  const lf = buffer.indexOf('\n', from)
  const cr = buffer.indexOf('\r', from)
  if (cr >= 0 && (lf < 0 || cr < lf)) {
    if (cr === buffer.length - 1 && !last) return undefined
    return { at: cr, next: buffer.charCodeAt(cr + 1) === 10 ? cr + 2 : cr + 1 }
  }
  return lf < 0 ? undefined : { at: lf, next: lf + 1 }
}
