// Generators of one POST: JSON-RPC envelopes under every header, and calls to servers that answer as they like.

import { answerText } from './answers.ts'
import { inputRequired, reply } from './replies.ts'
import { bytes, compose } from './case.ts'
import type { Case, Step } from './case.ts'
import { authorization, endpoint, pathOf } from './endpoints.ts'
import type { EndpointName } from './endpoints.ts'
import { id, message, method, modern, modernMeta, revisions } from './grammar.ts'
import { corrupt, object, quote, scalar, value } from './json.ts'
import type { Random } from './random.ts'

type Header = readonly [name: string, value: string]

export const jsonHeaders: readonly Header[] = [
  ['content-type', 'application/json'],
  ['accept', 'application/json, text/event-stream'],
]

/** A POST of one body at an endpoint, well-formed as HTTP. */
export function post(name: EndpointName, body: string, headers: readonly Header[], open = false): Step {
  const all = [...headers, ...authorization(name)]
  const audits = auditsOf(body, headers)
  return {
    send: compose({ path: pathOf(name), headers: all, body }),
    clean: true,
    ...(open && { open }),
    ...(audits !== undefined && { audits }),
  }
}

/** As many as there are messages; batches exist in two revisions only, and only as a whole. */
function auditsOf(body: string, headers: readonly Header[]): number | undefined {
  // What is filled in later may change what the body is.
  if (body.includes('{{')) return undefined
  try {
    const parsed: unknown = JSON.parse(bodyAsRead(body))
    if (!Array.isArray(parsed)) return 1
    const plain = headers.every(([header]) => /^(content-type|accept|mcp-session-id)$/u.test(header))
    if (parsed.length === 0 || parsed.length > 10) return 1
    return plain ? parsed.length : undefined
  } catch {
    return 1
  }
}

/** A byte order mark is no character once the body is decoded. */
const bodyAsRead = (body: string): string => body.replace(/^\ufeff/u, '')

function oddHeaders(random: Random, name: EndpointName): Header[] {
  const made = random.many(0, 4, (): Header =>
    random.pick<() => Header>([
      () => ['mcp-protocol-version', random.pick([...revisions, 'x', ''])],
      () => [
        'mcp-method',
        bytes(random.pick(['tools/call', 'tools/list', 'ping', '', method(random).replaceAll(/[\r\n\0]/gu, '')])),
      ],
      () => ['mcp-name', random.pick(['echo', 'read', '=?base64?YQ==?=', '=?base64?%?=', '\u00e9'])],
      () => ['mcp-param-a', random.pick(['1', '=?base64?YQ==?=', '=?base64?w6k=?=', ''])],
      () => [
        'mcp-session-id',
        random.pick([`{{session.${name}}}`, '{{session.both}}', 'x', 'a.b.c.d.e', '{{session.mcp}}x']),
      ],
      () => ['last-event-id', random.pick(['1', 'x', '{{event}}', 'x'.repeat(4000)])],
      () => [
        'traceparent',
        random.pick(['00-0', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, `ff-${'0'.repeat(32)}-${'0'.repeat(16)}-00`]),
      ],
      () => ['origin', random.pick(['null', 'https://evil.example', 'http://{{host}}'])],
    ])(),
  )
  return made
}

function oddMedia(random: Random): Header[] {
  return [
    [
      'content-type',
      random.pick([
        'application/json; charset=utf-8',
        'application/json;charset=utf-16',
        'text/plain',
        '',
        'application/jsonp',
        'APPLICATION/JSON',
      ]),
    ],
    [
      'accept',
      random.pick([
        'application/json',
        'text/event-stream',
        '*/*',
        'image/png',
        '',
        'application/*;q=0',
        'text/event-stream;q=0.1, */*',
      ]),
    ],
  ]
}

/** (b) JSON-RPC envelopes: anything that is or nearly is a message, alone and in batches. */
export function envelopes(random: Random): Case {
  const name = endpoint(random)
  const body = random.weighted([
    [10, () => message(random)],
    [2, () => `[${random.many(0, 12, () => message(random)).join(',')}]`],
    [2, () => response(random)],
    [3, () => corrupt(random, message(random))],
    [1, () => random.text(80)],
    [1, () => value(random, 3)],
    [0.02, () => `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"pad":"${'x'.repeat(2_000_000)}"}}`],
    [
      0.02,
      () =>
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":[${'0,'.repeat(249_990)}0]}}}`,
    ],
    [0.05, () => `[${'{},'.repeat(5000)}{}]`],
    [0.05, () => '['.repeat(100_000)],
  ])
  const media = random.chance(0.1) ? oddMedia(random) : jsonHeaders
  return {
    generator: 'envelopes',
    steps: [post(name, body, [...media, ...(random.chance(0.4) ? oddHeaders(random, name) : [])])],
  }
}

/** A call whose server is told how to answer. */
export function hostile(
  random: Random,
  text: string,
): { readonly method: string; readonly name: string; readonly params: string } {
  return random.weighted([
    [8, () => ({ method: 'tools/call', name: 'echo', params: `"name":"echo","arguments":{"answer":${text}}` })],
    [
      1,
      () => ({ method: 'prompts/get', name: 'greet', params: `"name":"greet","arguments":{"answer":${quote(text)}}` }),
    ],
    [
      1,
      () => {
        // What fits into no header goes into the arguments.
        const fits = text.length < 4000 ? text : '{"chunks":[""]}'
        const uri = `x://q/${encodeURIComponent(fits.toWellFormed())}`
        return { method: 'resources/read', name: uri, params: `"uri":${quote(uri)}` }
      },
    ],
    [
      1,
      () => ({
        method: 'completion/complete',
        name: '',
        params: `"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":"b"},"answer":${text}`,
      }),
    ],
    [1, () => ({ method: 'x/y', name: '', params: `"answer":${text}` })],
  ])
}

/** The headers of a modern request; a name that no field value can carry goes encoded. */
export function mirrored(request: { readonly method: string; readonly name: string }): Header[] {
  const plain = /^[\x21-\x7e]*$/u.test(request.name)
  const encoded = plain ? request.name : `=?base64?${Buffer.from(request.name, 'utf8').toString('base64')}?=`
  return [
    ...jsonHeaders,
    ['mcp-protocol-version', modern],
    ['mcp-method', request.method],
    ...(request.name === '' ? [] : ([['mcp-name', encoded]] as const)),
  ]
}

/** (f) A call, well-formed and allowed, to a server that answers as it likes. */
export function answers(random: Random): Case {
  const name = endpoint(random)
  const text = random.chance(0.2)
    ? JSON.stringify({
        headers: [['content-type', 'application/json']],
        chunks: [random.chance(0.5) ? reply(random) : `{"jsonrpc":"2.0","id":<id>,"result":${inputRequired(random)}}`],
      })
    : answerText(random)
  const request = hostile(random, text)
  const isModern = random.chance(0.5)
  const meta = isModern ? modernMeta : '{"progressToken":"p"}'
  const body = `{"jsonrpc":"2.0","id":${random.chance(0.8) ? random.int(99) : safeId(random)},"method":"${request.method}","params":{${request.params},"_meta":${meta}}}`
  const session: Header[] = random.chance(0.7) ? [['mcp-session-id', `{{session.${name}}}`]] : []
  const headers = isModern
    ? mirrored(request)
    : [
        ...jsonHeaders,
        ['mcp-protocol-version', random.pick(['2025-11-25', '2025-06-18', '2025-03-26'])] as const,
        ...session,
      ]
  return {
    generator: 'answers',
    steps: [
      post(
        name,
        body,
        random.chance(0.9)
          ? headers
          : headers.map(([key, text]) => [key, key === 'accept' ? 'application/json' : text] as const),
      ),
    ],
  }
}

const safeId = (random: Random): string => {
  const text = id(random)
  return /^[[{]|^(null|true|false)$/u.test(text) ? '1' : text
}

/** An answer of a client to what a server asked. */
export function response(random: Random): string {
  const body = random.weighted([
    [4, () => `"result":${inputResponse(random)}`],
    [
      1,
      () =>
        `"error":${object([
          ['code', scalar(random)],
          ['message', scalar(random)],
        ])}`,
    ],
    [1, () => `"result":${value(random, 2)}`],
    [0.5, () => `"result":{},"error":{"code":1,"message":""}`],
  ])
  return `{"jsonrpc":"2.0","id":${random.chance(0.5) ? '{{asked}}' : id(random)},${body}}`
}

const inputResponse = (random: Random): string =>
  random.pick([
    '{"action":"accept","content":{"a":"b"}}',
    '{"action":"cancel"}',
    '{"roots":[]}',
    '{}',
    '{"role":"assistant","content":{"type":"text","text":"a"},"model":"m"}',
  ])
