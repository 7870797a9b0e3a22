// Generators of conversations: legacy sessions in and out of order, modern requests with what earlier answers gave.

import { answerText } from './answers.ts'
import { asked, inputRequired, notification, reply } from './replies.ts'
import type { Answer } from './answers.ts'
import { compose } from './case.ts'
import type { Case, Step } from './case.ts'
import { authorization, endpoint, endpoints, pathOf } from './endpoints.ts'
import type { EndpointName } from './endpoints.ts'
import {
  capabilities,
  filter,
  id,
  inputResponses,
  levels,
  message,
  modern,
  modernMeta,
  params,
  requests,
  revisions,
  uris,
} from './grammar.ts'
import { quote } from './json.ts'
import { hostile, jsonHeaders, mirrored, post, response } from './messages.ts'
import type { Random } from './random.ts'

type Header = readonly [name: string, value: string]

/** Session ids right, wrong, cut, of another endpoint, and of nobody. */
function sessionId(random: Random, name: EndpointName): string {
  return random.weighted([
    [12, () => '{{mine}}'],
    [3, () => `{{session.${name}}}`],
    [1, () => `{{session.${random.pick(endpoints)}}}`],
    [1, () => `{{stranger.${name}}}`],
    [0.5, () => '{{mine}}x'],
    [
      0.5,
      () => random.pick(['x', '', 'a.b.c.d.e', 'k1.AAAA.BBBB', 's'.repeat(9000), '../..', '{{event}}', '{{state}}']),
    ],
  ])
}

function legacyHeaders(random: Random, name: EndpointName): Header[] {
  const version: Header[] = random.chance(0.8) ? [['mcp-protocol-version', random.pick(revisions.slice(1))]] : []
  return [...jsonHeaders, ...version, ['mcp-session-id', sessionId(random, name)]]
}

function bare(name: EndpointName, method: string, headers: readonly Header[], open: boolean): Step {
  const all = [...headers, ...authorization(name)]
  return {
    send: compose({ method, path: pathOf(name), headers: all }),
    clean: true,
    ...(open && { open }),
    ...(method === 'DELETE' && { audits: 1 }),
  }
}

/** (c) A legacy session: opened, used, misused, ended, in any order. */
export function legacy(random: Random): Case {
  const name = endpoint(random)
  const call = (text: string, open = false): Step => {
    const request = hostile(random, text)
    const body = `{"jsonrpc":"2.0","id":${random.int(9)},"method":"${request.method}","params":{${request.params},"_meta":{"progressToken":"p"}}}`
    return post(name, body, legacyHeaders(random, name), open)
  }
  const opening = (): Step =>
    post(
      name,
      `{"jsonrpc":"2.0","id":${random.chance(0.9) ? '0' : id(random)},"method":"initialize","params":{"protocolVersion":${quote(random.pick(['2025-11-25', '2025-11-25', ...revisions, 'x']))},"capabilities":${capabilities(random)},"clientInfo":{"name":"fuzz","version":"1"}}}`,
      random.chance(0.9) ? jsonHeaders : legacyHeaders(random, name),
    )
  const stream = (): Step =>
    bare(
      name,
      'GET',
      [
        ['accept', random.chance(0.9) ? 'text/event-stream' : 'application/json'],
        ['mcp-session-id', sessionId(random, name)],
        ...(random.chance(0.5) ? [['last-event-id', lastEvent(random)] as const] : []),
      ],
      random.chance(0.5),
    )
  const move = (): Step =>
    random.weighted([
      [4, () => call(answerText(random))],
      [2, () => call(asking(random), true)],
      [2, () => post(name, response(random), legacyHeaders(random, name))],
      [2, () => stream()],
      [
        1,
        () =>
          bare(
            name,
            'DELETE',
            [['mcp-session-id', sessionId(random, name).replace(`{{session.${name}}}`, '{{mine}}')]],
            false,
          ),
      ],
      [1, () => opening()],
      [1, () => post(name, '{"jsonrpc":"2.0","method":"notifications/initialized"}', legacyHeaders(random, name))],
      [
        1,
        () =>
          post(
            name,
            `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id(random)}}}`,
            legacyHeaders(random, name),
          ),
      ],
      [
        1,
        () =>
          post(
            name,
            `{"jsonrpc":"2.0","id":1,"method":"resources/${random.pick(['subscribe', 'unsubscribe'])}","params":{"uri":${quote(random.pick(uris))}}}`,
            legacyHeaders(random, name),
          ),
      ],
      [
        1,
        () =>
          post(
            name,
            `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":${quote(random.pick(levels))}}}`,
            legacyHeaders(random, name),
          ),
      ],
      [1, () => post(name, message(random), legacyHeaders(random, name))],
      [
        1,
        () =>
          post(
            name,
            `[${random.many(0, 4, () => (random.chance(0.5) ? message(random) : response(random))).join(',')}]`,
            legacyHeaders(random, name),
          ),
      ],
    ])
  const begun = random.chance(0.85) ? [opening()] : []
  return { generator: 'legacy', steps: [...begun, ...random.many(1, 5, move)] }
}

function lastEvent(random: Random): string {
  return random.pick([
    '{{event}}',
    '{{event}}x',
    '0',
    '-1',
    '',
    'x',
    'a.b.c.d.e',
    '{{mine}}',
    'e'.repeat(5000),
    '\u00ff',
  ])
}

/** A server that asks, and answers later or on another stream. */
function asking(random: Random): string {
  const framed = (text: string): string =>
    `${random.chance(0.5) ? `id: ${random.int(5)}\n` : ''}${random.chance(0.2) ? 'retry: 5\n' : ''}data: ${text}\n\n`
  const before = random.many(1, 3, () => framed(random.chance(0.7) ? asked(random) : notification(random)))
  const after = random.chance(0.8) ? [framed(reply(random))] : []
  const later: Answer = {
    headers: [['content-type', 'text/event-stream']],
    chunks: [framed(reply(random)), framed(notification(random))],
  }
  const all: Answer = {
    headers: [['content-type', 'text/event-stream']],
    chunks: [...before, ...after],
    ...(random.chance(0.3) && { later }),
  }
  return JSON.stringify(all)
}

/** (d) Modern requests: envelope and headers that agree or do not, listening, questions and their answers, tasks. */
export function modernEra(random: Random): Case {
  const name = endpoint(random)
  const ask = (method: string, members: string, target: string, open = false): Step => {
    const meta = random.chance(0.95)
      ? modernMeta
      : random.pick([`{"io.modelcontextprotocol/protocolVersion":"${modern}"}`, '{}', 'null'])
    const body = `{"jsonrpc":"2.0","id":${random.chance(0.9) ? random.int(99) : id(random)},"method":"${method}","params":{${members}${members === '' ? '' : ','}"_meta":${meta}}}`
    return post(name, body, disagree(random, mirrored({ method, name: target })), open)
  }
  const call = (text: string): Step => {
    const request = hostile(random, text)
    return ask(request.method, request.params, request.name)
  }
  const asks = (): string =>
    JSON.stringify({
      headers: [['content-type', 'application/json']],
      chunks: [`{"jsonrpc":"2.0","id":<id>,"result":${inputRequired(random)}}`],
    })
  const started = (): string =>
    JSON.stringify({
      headers: [['content-type', 'application/json']],
      chunks: [
        `{"jsonrpc":"2.0","id":<id>,"result":{"resultType":"task","taskId":"t${random.int(9)}","status":"working","ttlMs":null}}`,
      ],
    })
  const one = (): Step[] =>
    random.weighted([
      [4, () => [call(answerText(random))]],
      [
        3,
        () => {
          const text = asks()
          const again = `"name":"${random.chance(0.9) ? 'echo' : 'param'}","arguments":{"answer":${answerText(random)}},"inputResponses":${inputResponses(random)},"requestState":"{{state}}"`
          return [
            ask('tools/call', `"name":"echo","arguments":{"answer":${text}}`, 'echo'),
            ask('tools/call', again, 'echo'),
          ]
        },
      ],
      [
        2,
        () => [
          ask('tools/call', `"name":"echo","arguments":{"answer":${started()}}`, 'echo'),
          ...random.many(1, 3, () => {
            const method = random.pick(['tasks/get', 'tasks/update', 'tasks/cancel', 'tasks/result', 'tasks/list'])
            const task = random.pick(['{{task}}', '{{task}}', '{{task}}x', 't1', '{{state}}'])
            return ask(
              method,
              `"taskId":"${task}","inputResponses":${inputResponses(random)},"answer":${answerText(random)}`,
              task,
            )
          }),
        ],
      ],
      [3, () => [ask('subscriptions/listen', `"notifications":${filter(random)}`, '', random.chance(0.3))]],
      [
        2,
        () => {
          const method = random.pick(requests)
          return [ask(method, params(random, method, undefined).slice(1, -1), random.pick(['', 'echo', 'x://a']))]
        },
      ],
      [
        2,
        () => [
          ask(
            'tools/call',
            `"name":"param","arguments":{"a":${random.pick(['"v"', '1', 'true', 'null', '"\\u00e9"', '{}', '"v","a":"w"'])},"b":{"c":${random.int(9)}}}`,
            'param',
          ),
        ],
      ],
      [
        1,
        () => [
          ask('tools/list', '"cursor":"{{cursor}}"', ''),
          bare(
            name,
            random.pick(['GET', 'DELETE']),
            [
              ['mcp-protocol-version', modern],
              ['accept', 'text/event-stream'],
            ],
            false,
          ),
        ],
      ],
    ])
  return { generator: 'modern', steps: random.many(1, 2, one).flat() }
}

/** Headers that say something else than the body, now and then. */
function disagree(random: Random, headers: readonly Header[]): Header[] {
  const extra: Header[] = random.chance(0.3)
    ? [
        [
          random.pick(['mcp-param-a', 'mcp-param-b', 'Mcp-Param-A', 'mcp-param-']),
          random.pick(['v', '1', '=?base64?dg==?=', '=?base64?dg=?=', '=?base64?/w==?=', '']),
        ],
      ]
    : []
  if (!random.chance(0.15)) return [...headers, ...extra]
  const kept = headers.filter(([key]) => !key.startsWith('mcp-') || random.chance(0.6))
  const twice = random.pick(kept)
  return random.chance(0.5)
    ? [...kept, ...extra, twice]
    : [
        ...kept,
        ...extra,
        [
          random.pick(['mcp-method', 'mcp-name', 'mcp-protocol-version']),
          random.pick(['x', 'tools/list', '2025-11-25', 'echo', '=?base64?%%?=']),
        ],
      ]
}
