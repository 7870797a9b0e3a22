// Splits a byte stream into lines with a bound: a line longer than the limit is passed on in pieces, never hoarded.

import { Readable, type Stream } from 'node:stream'

const longest = 1024 * 1024

/** Calls `onLine` for each line of a UTF-8 stream (a child's `stdout`, say), without its newline, and for an unterminated last one. */
export function eachLine(stream: Stream | null | undefined, onLine: (line: string) => void): void {
  if (!(stream instanceof Readable)) return
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const pieces = (rest + chunk).split('\n')
    rest = pieces.pop() ?? ''
    for (const piece of pieces) onLine(piece)
    if (rest.length > longest) {
      onLine(rest)
      rest = ''
    }
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
    rest = ''
  })
  stream.on('error', () => {})
}
