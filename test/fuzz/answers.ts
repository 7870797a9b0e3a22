// What a hostile server answers. The answer to a call travels inside the call, so that one request is a whole case:
// `test/fuzz/puppet.ts` does what it is told.

import type { Random } from './random.ts'

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
const quote = (text: string): string => JSON.stringify(text)

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

export function notification(random: Random): string {
  const name = random.pick([
    'notifications/progress',
    'notifications/message',
    'notifications/cancelled',
    'notifications/tools/list_changed',
    'notifications/prompts/list_changed',
    'notifications/resources/list_changed',
    'notifications/resources/updated',
    'notifications/elicitation/complete',
    'notifications/tasks/status',
    'notifications/subscriptions/acknowledged',
    'notifications/x',
    '',
  ])
  const params = random.pick([
    '{"progressToken":<progress>,"progress":1,"total":2}',
    '{"progressToken":<progress>,"progress":"x","progress":2}',
    '{"progressToken":"another","progress":1e999}',
    '{"level":"info","data":{"a":1}}',
    '{"level":"debug","data":"\\ud800"}',
    '{"requestId":<id>}',
    '{"uri":"x://a"}',
    '{"uri":1}',
    '{"uri":"x://a","uri":"x://b"}',
    '{"taskId":"t","status":"working"}',
    '{"elicitationId":"e"}',
    '{"_meta":{"io.modelcontextprotocol/subscriptionId":<id>}}',
    'null',
    '[]',
    '{}',
  ])
  return `{"jsonrpc":"2.0","method":${quote(name)},"params":${params}}`
}

/** What a legacy server asks of its client. */
export function asked(random: Random): string {
  const name = random.pick([
    'elicitation/create',
    'elicitation/create',
    'sampling/createMessage',
    'roots/list',
    'ping',
    'x/y',
    'tools/call',
    '',
  ])
  const id = random.pick([
    '1',
    '"q"',
    '0',
    '-1',
    '1.5',
    '12345678901234567890',
    '""',
    '"\\u0000"',
    '<id>',
    'null',
    '{}',
    '[1]',
    'true',
    quote('q'.repeat(9000)),
  ])
  const params = random.pick([
    '{"message":"?","requestedSchema":{"type":"object","properties":{"a":{"type":"string"}}}}',
    '{"mode":"url","message":"?","url":"https://example.invalid/","elicitationId":"e"}',
    '{"mode":"url","message":"?","url":"javascript:alert(1)","elicitationId":{}}',
    '{"mode":"x"}',
    '{"messages":[{"role":"user","content":{"type":"text","text":"?"}}],"maxTokens":1}',
    '{"messages":1,"maxTokens":-1}',
    '{"_meta":{"progressToken":1,"io.modelcontextprotocol/relatedTask":{"taskId":"t"}}}',
    '{"message":"?","message":"!"}',
    'null',
    '[]',
    '{}',
  ])
  return `{"jsonrpc":"2.0","id":${id},"method":${quote(name)},"params":${params}}`
}

/** The answer proper: results of every kind, errors of every kind, and what is neither. */
export function reply(random: Random): string {
  const id = random.chance(0.93) ? '<id>' : random.pick(['null', '"another"', '-1', '{}', '[<id>]', '""'])
  const version = random.chance(0.98) ? '"2.0"' : random.pick(['"1.0"', '2', 'null'])
  const outcome = random.weighted([
    [6, () => `"result":${result(random)}`],
    [2, () => `"error":${error(random)}`],
    [0.3, () => `"result":{},"error":${error(random)}`],
    [0.2, () => `"result":{},"result":{"content":[]}`],
    [0.2, () => '"neither":1'],
  ])
  const text = `{"jsonrpc":${version},"id":${id},${outcome}}`
  return random.weighted([
    [40, () => text],
    [1, () => `[${text}]`],
    [1, () => text.slice(0, random.int(text.length))],
    [1, () => `${text}${text}`],
    [1, () => random.pick(['null', '[]', '""', '{}', '', '\u0000', 'data: x', `\ufeff${text}`, '['.repeat(9000)])],
    [0.1, () => text.replace('{', `{"pad":"${'x'.repeat(600_000)}",`)],
  ])
}

function result(random: Random): string {
  return random.weighted([
    [
      4,
      () =>
        `{"content":[${random.many(0, 3, () => content(random)).join(',')}]${random.pick(['', ',"isError":true', ',"isError":"x"', ',"structuredContent":{"a":1}', ',"structuredContent":[1]', ',"content":[]'])}}`,
    ],
    [4, () => inputRequired(random)],
    [2, () => task(random)],
    [
      1,
      () => `{"resultType":${random.pick(['"complete"', '"x"', 'null', '1', '{}', '"input_required"'])},"content":[]}`,
    ],
    [
      1,
      () =>
        `{"contents":[${random.pick(['{"uri":"x://a","text":"a"}', '{"uri":1}', 'null', '[]', '{"uri":"x://a","uri":"x://b"}'])}]}`,
    ],
    [1, () => '{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x://a","text":""}}}]}'],
    [
      1,
      () =>
        random.pick([
          'null',
          '1',
          '"x"',
          '[]',
          '{}',
          '{"_meta":null}',
          '{"__proto__":{"content":[]}}',
          '{"completion":{"values":["a"]}}',
          '{"tools":[],"nextCursor":{}}',
        ]),
    ],
    [0.2, () => `{"content":[],"deep":${'['.repeat(3000)}${']'.repeat(3000)}}`],
  ])
}

function content(random: Random): string {
  return random.pick([
    '{"type":"text","text":"a"}',
    '{"type":"text","text":"\\ud83d"}',
    '{"type":"resource_link","uri":"x://a","name":"a"}',
    '{"type":"resource_link","uri":{"a":1}}',
    '{"type":"resource","resource":{"uri":"x://a","blob":"%%%"}}',
    '{"type":"resource","resource":null}',
    '{"type":"image","data":1}',
    '{"type":"x"}',
    '{}',
    'null',
    '"x"',
    '[[]]',
    '{"type":"text","type":"resource_link","uri":"x://a"}',
  ])
}

/** `input_required` (MCP 2026-07-28) with questions that make sense and some that do not. */
export function inputRequired(random: Random): string {
  const question = (): string =>
    random.pick([
      '{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}',
      '{"method":"elicitation/create","params":{"mode":"url","message":"?","url":"https://example.invalid/"}}',
      '{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}',
      '{"method":"roots/list"}',
      '{"method":"roots/list","params":null}',
      '{"method":"tools/call","params":{"name":"echo"}}',
      '{"method":1}',
      '{"method":"elicitation/create","method":"roots/list"}',
      '{"method":"elicitation/create","params":[]}',
      '{}',
      'null',
      '"x"',
      '[]',
    ])
  const key = (): string => quote(random.pick(['a', 'b', '', '__proto__', 'constructor', '\u0000', 'k'.repeat(4000)]))
  const questions = random.weighted([
    [8, () => `{${random.many(0, 3, () => `${key()}:${question()}`).join(',')}}`],
    [1, () => random.pick(['null', '[]', '1', '"x"', '{"a":{"method":"roots/list"},"a":{"method":"ping"}}'])],
    [0.3, () => `{${Array.from({ length: 500 }, (_, n) => `"k${n}":${question()}`).join(',')}}`],
  ])
  const state = random.pick([
    '',
    ',"requestState":"s"',
    ',"requestState":""',
    ',"requestState":{"a":1}',
    ',"requestState":null',
    `,"requestState":${quote('s'.repeat(20_000))}`,
    ',"requestState":"s","requestState":"t"',
  ])
  return `{"resultType":"input_required","inputRequests":${questions}${state}}`
}

function task(random: Random): string {
  const id = random.pick(['"t"', '""', '1', 'null', '{}', quote('t'.repeat(5000)), '"t\\u0000"'])
  return random.pick([
    `{"resultType":"task","taskId":${id},"status":"working","ttlMs":null}`,
    `{"resultType":"task","task":{"taskId":${id}}}`,
    `{"task":{"taskId":${id},"status":"working"},"task":1}`,
    `{"taskId":${id},"status":"completed","result":{"content":[]}}`,
    `{"resultType":"complete","taskId":${id},"status":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`,
  ])
}

function error(random: Random): string {
  const code = random.pick([
    '-32601',
    '-32602',
    '-32603',
    '-32000',
    '-32001',
    '-32002',
    '-32042',
    '-32020',
    '-32021',
    '-32022',
    '-32700',
    '0',
    '1e999',
    '"x"',
    'null',
    '1.5',
    '{}',
  ])
  const message = random.pick(['"no"', '""', '1', 'null', '{"a":1}', quote('e'.repeat(5000))])
  const data = random.pick([
    '',
    ',"data":null',
    ',"data":{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://example.invalid/","message":"?"}]}',
    ',"data":{"elicitations":[1,null,{}]}',
    ',"data":{"supported":["2025-11-25"],"requested":"x"}',
    ',"data":{"requiredCapabilities":{"sampling":{}}}',
    ',"data":"x"',
  ])
  return random.chance(0.9)
    ? `{"code":${code},"message":${message}${data}}`
    : random.pick(['null', '[]', '1', '{}', '"x"'])
}
