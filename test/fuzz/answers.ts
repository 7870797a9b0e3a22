// What a hostile server answers. The answer to a call travels inside the call, so that one request is a whole case:
// `test/fuzz/puppet.ts` does what it is told.

import type { Random } from './random.ts'
import { asked, notification, reply } from './replies.ts'

/** `<id>` and `<progress>` in the texts are the JSON text of the request's id and progress token. */
export interface Answer {
  readonly status?: number
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Written one after the other, with a moment between them. */
  readonly chunks: readonly string[]
  /** After the last chunk: end (default), break the connection, or say nothing more. */
  readonly end?: 'reset' | 'hang'
  /** The chunks are the bytes on the socket, head and all. */
  readonly raw?: true
  /** What the next GET on the same session gets. */
  readonly later?: Answer
}

const json = ['content-type', 'application/json'] as const
const sse = ['content-type', 'text/event-stream'] as const

/** An answer as JSON text. */
export function answerText(random: Random): string {
  return JSON.stringify(answer(random))
}

export function answer(random: Random, nested = false): Answer {
  const made = random.weighted<Answer>([
    [5, () => ({ headers: [json], chunks: [reply(random)] })],
    [8, () => stream(random)],
    [
      2,
      () => ({
        status: status(random),
        headers: headers(random),
        chunks: [random.chance(0.5) ? reply(random) : random.text(40)],
      }),
    ],
    [0.5, () => raw(random)],
    [0.5, () => ({ headers: [json], chunks: [reply(random).slice(0, random.int(60))], ...broken(random) })],
  ])
  return nested || !random.chance(0.1) ? made : { ...made, later: answer(random, true) }
}

// Waiting for a deadline is slow, so silence is rare.
const broken = (random: Random): Pick<Answer, 'end'> =>
  random.weighted<Pick<Answer, 'end'>>([
    [20, () => ({})],
    [2, () => ({ end: 'reset' })],
    [0.1, () => ({ end: 'hang' })],
  ])

function status(random: Random): number {
  return random.pick([
    200, 200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 400, 404, 405, 409, 410, 418, 422, 429, 500, 501, 502, 503,
    504, 599, 999,
  ])
}

function headers(random: Random): (readonly [string, string])[] {
  const all = random.many(0, 3, () =>
    random.pick([
      ['mcp-session-id', 'another'],
      ['mcp-session-id', ''],
      ['mcp-session-id', 'x'.repeat(9000)],
      ['mcp-protocol-version', '1999-01-01'],
      ['retry-after', '-1'],
      ['retry-after', '1e99'],
      ['retry-after', 'Wed, 21 Oct 2099 07:28:00 GMT'],
      ['location', '/mcp'],
      ['location', 'http://169.254.169.254/'],
      ['location', '//'],
      ['location', 'http://[::1'],
      ['www-authenticate', 'Bearer realm="x", resource_metadata="http://127.0.0.1:9/"'],
      ['set-cookie', 'a=b'],
      ['content-encoding', 'gzip'],
      ['content-encoding', 'br'],
      ['content-length', '5'],
      ['content-length', '99999999'],
      ['link', '</>; rel=preload'],
      ['x-long', 'x'.repeat(20_000)],
    ] as const),
  )
  const type = random.pick([
    'application/json',
    'application/json; charset=utf-16',
    'APPLICATION/JSON',
    'text/event-stream',
    'text/event-stream;charset=utf-8',
    'text/html',
    'application/json, text/event-stream',
    ';',
    '',
  ])
  return [['content-type', type], ...all]
}

function raw(random: Random): Answer {
  const chunks = random.pick([
    ['HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{}'],
    ['HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n'],
    ['HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}'],
    ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'],
    ['HTTP/1.1 200\r\n\r\n'],
    ['HTTP/9.9 200 OK\r\n\r\n'],
    ['HTTP/1.1 99999 Odd\r\n\r\n'],
    ['\u0000\u0001\u0002'],
    ['{}'],
    [''],
    ['HTTP/1.1 200 OK\r\n: nameless\r\n\r\n'],
    ['HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'],
  ])
  return { raw: true, chunks }
}

/** An event stream: messages in any framing that the grammar of SSE allows, and some that it does not. */
function stream(random: Random): Answer {
  const line = random.weighted([
    [8, () => '\n'],
    [1, () => '\r\n'],
    [1, () => '\r'],
  ])
  const events = random.many(0, 3, () => event(random, random.chance(0.5) ? notification(random) : asked(random), line))
  const last = random.chance(0.9) ? [event(random, reply(random), line)] : []
  const text = random.chance(0.05) ? ['\ufeff'] : []
  const all = [...text, ...events, ...last]
  // Pieces that end in the middle of a line are what a network makes of it.
  const pieces = random.chance(0.1) ? (all.join('').match(/[\s\S]{1,40}/gu) ?? []) : [all.join('')]
  return { headers: [sse], chunks: pieces.slice(0, 40), ...broken(random) }
}

function event(random: Random, data: string, line: string): string {
  const fields: string[] = []
  if (random.chance(0.3)) fields.push(`id: ${eventId(random)}`)
  if (random.chance(0.1))
    fields.push(`retry: ${random.pick(['0', '1', '10', '-1', '1e9', '99999999999999999999', 'x', ''])}`)
  if (random.chance(0.3)) fields.push(`event: ${random.pick(['message', 'message', 'error', 'endpoint', 'ping', ''])}`)
  if (random.chance(0.1))
    fields.push(random.pick([': comment', ':', 'unknown: field', 'data', 'id', 'retry', 'nonsense', '\u0000']))
  const lines = random.chance(0.1) ? data.replaceAll(',', ',\n').split('\n') : [data]
  fields.push(...lines.map((one) => (random.chance(0.9) ? `data: ${one}` : `data:${one}`)))
  if (random.chance(0.05)) fields.reverse()
  if (random.chance(0.05)) return `id: ${eventId(random)}${line}data:${line}${line}`
  return `${fields.join(line)}${line}${random.chance(0.97) ? line : ''}`
}

function eventId(random: Random): string {
  return random.pick(['1', '2', 'a', '', '\u0000', 'x'.repeat(3000), '../..', '%0d%0a', '\u{1f41d}', ' spaced ', 'a:b'])
}
