// What a server says: notifications, questions to its client, and the answer proper, as JSON text. `<id>` and `<progress>`
// stand for the request's id and progress token.

import type { Random } from './random.ts'

const quote = (text: string): string => JSON.stringify(text)

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

/** A list that is one, with items among the right ones that are not. */
export function listing(random: Random): string {
  const item = (): string =>
    random.pick([
      '{"name":"odd","inputSchema":{"type":"object"},"annotations":null,"_meta":1}',
      '{"name":"odd","inputSchema":{"type":"object","$ref":"http://127.0.0.1:9/schema","$defs":{"__proto__":{}}}}',
      '{"name":"odd","inputSchema":[]}',
      '{"name":"odd","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"bad name\\r\\n"}}}}',
      '{"name":"__proto__","inputSchema":{"type":"object"}}',
      '{"name":"odd","name":"odder","inputSchema":{"type":"object"}}',
      '{"name":"\\ud800","inputSchema":{"type":"object"}}',
      '{"name":""}',
      '{"name":"echo"}',
      `{"name":"odd","inputSchema":{"type":"object"},"description":${quote('d'.repeat(50_000))}}`,
      `{"name":"deep","inputSchema":${'{"properties":{"a":'.repeat(500)}{}${'}}'.repeat(500)}}`,
      '{"uri":"x://odd","name":1}',
      '{"uri":"http://[","name":"odd"}',
      '{"uriTemplate":"x://{+a*}{?b,c}{","name":"odd"}',
      `{"uriTemplate":"x://${'{a}'.repeat(300)}","name":"odd"}`,
      'null',
      '[]',
      '1',
    ])
  const items = random.many(0, 6, item).join(',')
  const echo = '{"name":"echo","inputSchema":{"type":"object"}}'
  const more = random.pick([
    '',
    '',
    ',"nextCursor":"again"',
    ',"nextCursor":1',
    ',"ttlMs":-1',
    ',"ttlMs":1e999,"cacheScope":"x"',
    ',"tools":[]',
  ])
  const lists = ['prompts', 'resources', 'resourceTemplates'].map((name) => `,"${name}":[${items}]`).join('')
  return `{"jsonrpc":"2.0","id":<id>,"result":{"tools":[${echo}${items === '' ? '' : `,${items}`}]${lists}${more}}}`
}
