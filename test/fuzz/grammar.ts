// What messages are made of, right and wrong: JSON values, ids, methods, params, whole JSON-RPC messages. All as JSON text,
// because duplicate members, odd numbers and broken escapes do not survive `JSON.stringify`.

import { answerText } from './answers.ts'
import { big, object, quote, scalar, value } from './json.ts'
import type { Random } from './random.ts'

export const modern = '2026-07-28'
export const revisions = [modern, '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
export function id(random: Random): string {
  return random.weighted([
    [6, () => String(random.int(1000))],
    [3, () => quote(`r-${random.int(1000)}`)],
    [
      1,
      () => random.pick(['0', '-1', '1.5', '1e3', '12345678901234567890', '""', '"\\u0000"', '"\\ud800"', quote(big)]),
    ],
    [1, () => value(random, 1)],
    [0.5, () => '{{asked}}'],
  ])
}

export const requests = [
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'tools/call',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
  'tasks/list',
  'tasks/result',
  'skills/list',
] as const

const notifications = [
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/message',
  'notifications/x',
] as const

const lookAlikes = [
  'Tools/Call',
  'tools//call',
  'tools/call/',
  '/tools/call',
  'tools/ call',
  'TOOLS/LIST',
  'ping/',
  'initialize\\u0000',
  'tools/cal\\u006c',
  'rpc.discover',
  '__proto__',
  'constructor',
  'x/y',
  '',
  big,
] as const

export function method(random: Random): string {
  return random.weighted([
    [10, () => random.pick(requests)],
    [2, () => random.pick(notifications)],
    [1, () => random.pick(lookAlikes)],
    [0.3, () => random.text(12)],
  ])
}

export const toolNames = ['echo', 'param', 'none', 'ask'] as const
export const uris = ['x://a', 'x://t/1', 'x://t/{id}', 'y://nowhere', 'http://127.0.0.1:9/', 'ui://app'] as const
export const levels = ['debug', 'info', 'error', 'emergency', 'verbose'] as const

/** The value of one member of params, more often right than wrong. */
function member(random: Random, key: string): string {
  if (random.chance(0.15)) return value(random, 2)
  switch (key) {
    case 'name':
      return quote(random.pick([...toolNames, 'greet', 'test.two!echo', '__proto__']))
    case 'uri':
      return quote(random.chance(0.3) ? `x://q/${encodeURIComponent(answerText(random))}` : random.pick(uris))
    case 'arguments':
      return random.chance(0.3) ? `{"answer":${answerText(random)}}` : object([['a', scalar(random)]])
    case 'ref':
      return object([
        ['type', quote(random.pick(['ref/prompt', 'ref/resource', 'ref/x']))],
        [random.pick(['name', 'uri']), quote(random.pick(['greet', ...uris]))],
      ])
    case 'argument':
      return '{"name":"a","value":"b"}'
    case 'cursor':
      return random.pick(['"{{cursor}}"', '""', '"x"', quote(big)])
    case 'level':
      return quote(random.pick(levels))
    case 'taskId':
      return '"{{task}}"'
    case 'requestState':
      return random.pick(['"{{state}}"', '"x"', '"a.b.c.d.e"'])
    case 'requestId':
    case 'progressToken':
      return id(random)
    case 'notifications':
      return filter(random)
    case 'inputResponses':
      return inputResponses(random)
    case 'protocolVersion':
      return quote(random.pick(revisions))
    case 'capabilities':
      return capabilities(random)
    case 'clientInfo':
      return '{"name":"fuzz","version":"1"}'
    default:
      return value(random, 2)
  }
}

/** What a client of `subscriptions/listen` asks to hear. */
export function filter(random: Random): string {
  const wish = (): string => random.pick(['true', 'true', 'true', 'false', 'null', '1', '"true"', '{}'])
  return object(
    random.many(0, 5, () => {
      const key = random.pick([
        'toolsListChanged',
        'promptsListChanged',
        'resourcesListChanged',
        'resourceSubscriptions',
        'taskIds',
        '__proto__',
      ])
      if (key === 'resourceSubscriptions')
        return [
          key,
          random.weighted([
            [6, () => `[${random.many(0, 4, () => quote(random.pick(uris))).join(',')}]`],
            [1, () => `[${random.many(0, 3, () => value(random, 1)).join(',')}]`],
            [0.3, () => `[${Array.from({ length: 2000 }, (_, n) => `"x://${n}"`).join(',')}]`],
            [1, () => value(random, 1)],
          ]),
        ]
      if (key === 'taskIds') return [key, '["{{task}}","x"]']
      return [key, wish()]
    }),
  )
}

export function inputResponses(random: Random): string {
  const reply = (): string =>
    random.pick([
      '{"action":"accept","content":{"a":1}}',
      '{"action":"decline"}',
      '{"action":"x"}',
      '{"roots":[{"uri":"file:///a"}]}',
      '{"role":"assistant","content":{"type":"text","text":"a"},"model":"m"}',
      'null',
      '[]',
    ])
  return random.chance(0.2)
    ? value(random, 2)
    : object(random.many(0, 4, () => [random.pick(['a', 'b', '__proto__', '']), reply()]))
}

export function capabilities(random: Random): string {
  return random.weighted([
    [3, () => '{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{"listChanged":true}}'],
    [3, () => '{}'],
    [
      2,
      () =>
        object(
          random.many(0, 4, () => [
            random.pick(['elicitation', 'sampling', 'roots', 'extensions', 'x']),
            value(random, 2),
          ]),
        ),
    ],
    [1, () => value(random, 2)],
  ])
}

const keys = [
  'name',
  'Name',
  'uri',
  'ref',
  'argument',
  'cursor',
  'level',
  'taskId',
  'requestId',
  'requestState',
  'inputResponses',
  'arguments',
  'notifications',
  'protocolVersion',
  'capabilities',
  'clientInfo',
  '__proto__',
  'task',
] as const

const fitting: ReadonlyMap<string, readonly string[]> = new Map([
  ['initialize', ['protocolVersion', 'capabilities', 'clientInfo']],
  ['tools/call', ['name', 'arguments']],
  ['prompts/get', ['name']],
  ['resources/read', ['uri']],
  ['resources/subscribe', ['uri']],
  ['resources/unsubscribe', ['uri']],
  ['completion/complete', ['ref', 'argument']],
  ['logging/setLevel', ['level']],
  ['subscriptions/listen', ['notifications']],
  ['tasks/get', ['taskId']],
  ['tasks/update', ['taskId', 'inputResponses']],
  ['tasks/cancel', ['taskId']],
  ['notifications/cancelled', ['requestId']],
])

export function meta(random: Random): string {
  return random.pick([
    '{}',
    'null',
    '[]',
    modernMeta,
    `{"io.modelcontextprotocol/protocolVersion":"${modern}"}`,
    `{"io.modelcontextprotocol/protocolVersion":"${modern}","io.modelcontextprotocol/protocolVersion":"2025-11-25"}`,
    '{"io.modelcontextprotocol/protocolVersion":"1999-01-01"}',
    '{"io.modelcontextprotocol/protocolVersion":1}',
    '{"progressToken":{"a":[1]},"traceparent":"00-0"}',
    '{"progressToken":"p","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
    `{"progressToken":${quote(big)},"tracestate":"a=b","baggage":"\\u0000"}`,
  ])
}

export const modernMeta =
  `{"io.modelcontextprotocol/protocolVersion":"${modern}",` +
  '"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}},' +
  '"io.modelcontextprotocol/clientInfo":{"name":"fuzz","version":"1"},"progressToken":7,"io.modelcontextprotocol/logLevel":"debug"}'

/** Params for a method: those that it needs, with others and without some. `_meta` is JSON text. */
export function params(random: Random, name: string, withMeta: string | undefined): string {
  const needed = (fitting.get(name) ?? []).filter(() => !random.chance(0.05))
  const more = random.chance(0.25) ? random.many(1, 3, () => random.pick(keys)) : []
  const members = [...needed, ...more].map((key) => [key, member(random, key)] as const)
  const answer = fitting.get(name) === undefined && random.chance(0.3) ? [['answer', answerText(random)] as const] : []
  return object([...members, ...answer, ...(withMeta === undefined ? [] : [['_meta', withMeta] as const])])
}

/** One JSON-RPC message: mostly a request that makes sense, sometimes nothing like it. */
export function message(random: Random): string {
  const name = method(random)
  const parts = [
    `"jsonrpc":${random.weighted([
      [30, () => '"2.0"'],
      [1, () => random.pick(['"1.0"', '2', '"2.0 "', 'null'])],
    ])}`,
  ]
  const isNotification = name.startsWith('notifications/')
  if (random.chance(isNotification ? 0.1 : 0.95)) parts.push(`"id":${id(random)}`)
  if (!random.chance(0.04)) parts.push(`"method":${name.includes('\\u') ? `"${name}"` : quote(name)}`)
  const withMeta = random.chance(0.4) ? meta(random) : undefined
  if (random.chance(0.9))
    parts.push(`"params":${random.chance(0.06) ? value(random, 2) : params(random, name, withMeta)}`)
  if (random.chance(0.08))
    parts.push(`${random.pick(['"result"', '"error"', '"Method"', '"id"', '"x"', '"\\u0069d"'])}:${value(random, 2)}`)
  if (random.chance(0.05)) parts.reverse()
  return `{${parts.join(random.chance(0.05) ? ' ,\n\t' : ',')}}`
}
