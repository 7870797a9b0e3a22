// A watch's stream as events: one JSON document a line. Lines are bounded; half a line at the end is a broken stream,
// because the server ends every line that it means.

import type { Readable } from 'node:stream'
import { KubeError } from './error.ts'
import type { WatchEvent } from './object.ts'
import { unreachable } from './transport.ts'

/** etcd refuses objects above 1.5 MiB; as JSON in an event they are a little more. */
const MAX_LINE = 8 * 1024 * 1024
const NEWLINE = 10

/** Yields until the server ends the stream. `alive` is called for every chunk. */
export async function* readLines(body: Readable, signal: AbortSignal, alive?: () => void): AsyncGenerator<WatchEvent> {
  let rest: Buffer[] = []
  let held = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      alive?.()
      let from = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        const line = rest.length === 0 ? chunk.subarray(from, end) : Buffer.concat([...rest, chunk.subarray(from, end)])
        rest = []
        held = 0
        from = end + 1
        if (line.length > 0) yield parse(line)
      }
      if (from === chunk.length) continue
      held += chunk.length - from
      if (held > MAX_LINE) throw malformed(`an event of more than ${MAX_LINE} bytes`)
      rest.push(chunk.subarray(from))
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw unreachable(error)
  } finally {
    body.destroy()
  }
  if (held > 0) throw malformed('half an event')
}

function parse(line: Buffer): WatchEvent {
  let event: Partial<WatchEvent> | null
  try {
    event = JSON.parse(line.toString('utf8')) as Partial<WatchEvent> | null
  } catch {
    throw malformed('an event that is not JSON')
  }
  const { type, object } = event ?? {}
  if (typeof type !== 'string' || typeof object !== 'object' || object === null)
    throw malformed('an event without object')
  return { type, object }
}

function malformed(what: string): KubeError {
  return new KubeError({ status: 0, reason: 'Malformed', message: `the watch brought ${what}` })
}
