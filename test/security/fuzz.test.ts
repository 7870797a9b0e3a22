// Anything at all at the edge, and anything at all from a server: every request is answered in time with a typed answer,
// and is in the audit trail exactly once. `FUZZ_RUNS` makes it longer, `FUZZ_SEED` repeats one.

import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Received, Recorder } from '../peers/recorder.ts'
import { openSession } from '../peers/wire.ts'

const runs = Number(process.env['FUZZ_RUNS'] ?? 300)
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_728)
const modern = '2026-07-28'

const scalar = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    '0',
    '-1',
    '1.0',
    '1e999',
    '12345678901234567890',
    '""',
    '"\\ud800"',
    '"\\u0000"',
    '{}',
    '[]',
  ),
  fc.string({ maxLength: 12 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"read"',
    '"echo"',
    '"x://a"',
    '"ref/prompt"',
    '"debug"',
    '"__proto__"',
    '{"__proto__":1}',
    '{"toString":1}',
  ),
  fc.json({ maxDepth: 3 }),
)
const meta = fc.constantFrom(
  '{}',
  'null',
  `{"io.modelcontextprotocol/protocolVersion":"${modern}","io.modelcontextprotocol/clientCapabilities":{}}`,
  `{"io.modelcontextprotocol/protocolVersion":"${modern}"}`,
  '{"io.modelcontextprotocol/protocolVersion":"1999-01-01"}',
  '{"progressToken":{"a":[1]},"traceparent":"00-0"}',
)
const key = fc.constantFrom(
  'name',
  'Name',
  'uri',
  'ref',
  'cursor',
  'level',
  'taskId',
  'requestId',
  'requestState',
  'arguments',
  '__proto__',
  'task',
)
const params = fc.tuple(fc.array(fc.tuple(key, scalar), { maxLength: 4 }), fc.option(meta)).map(([fields, extra]) => {
  const parts = fields.map(([name, value]) => `"${name}":${value}`)
  return `{${[...parts, ...(extra === null ? [] : [`"_meta":${extra}`])].join(',')}}`
})
const method = fc.oneof(
  fc.constantFrom('initialize', 'ping', 'server/discover', 'tools/list', 'tools/call', 'prompts/get', 'resources/read'),
  fc.constantFrom('completion/complete', 'logging/setLevel', 'tasks/get', 'tasks/list', 'subscriptions/listen', 'x/y'),
  fc.constantFrom(
    'notifications/initialized',
    'notifications/cancelled',
    'notifications/x',
    '',
    'TOOLS/CALL',
    'prompts/list',
  ),
)
const message = fc
  .record({
    version: fc.constantFrom('"2.0"', '"2.0"', '"2.0"', '"1.0"', '2'),
    id: fc.option(scalar, { freq: 4 }),
    method: fc.option(method, { freq: 20 }),
    params: fc.option(fc.oneof({ weight: 8, arbitrary: params }, { weight: 1, arbitrary: scalar })),
    more: fc.option(fc.tuple(fc.constantFrom('result', 'error', 'Method', 'id', 'x'), scalar)),
  })
  .map((one) => {
    const parts = [`"jsonrpc":${one.version}`]
    if (one.id !== null) parts.push(`"id":${one.id}`)
    if (one.method !== null) parts.push(`"method":${JSON.stringify(one.method)}`)
    if (one.params !== null) parts.push(`"params":${one.params}`)
    if (one.more !== null) parts.push(`"${one.more[0]}":${one.more[1]}`)
    return `{${parts.join(',')}}`
  })
const body = fc.oneof(
  { weight: 10, arbitrary: message },
  { weight: 2, arbitrary: fc.array(message, { maxLength: 4 }).map((all) => `[${all.join(',')}]`) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(message, fc.nat(200), fc.constantFrom('', '"', '{', '}', ',', '\\', '\u0000', '\ufeff'))
      .map(([text, at, bit]) => text.slice(0, at) + bit + text.slice(at + 1)),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }) },
)
const headers = fc.record(
  {
    'mcp-protocol-version': fc.constantFrom(modern, '2025-11-25', '2025-03-26', '2024-11-05', 'x', ''),
    'mcp-method': method.filter((text) => text !== ''),
    'mcp-name': fc.constantFrom('echo', 'read', '=?base64?YQ==?=', '=?base64?%?='),
    'mcp-param-a': fc.constantFrom('1', '=?base64?YQ==?='),
    'mcp-session-id': fc.constantFrom('real', 'x', 'a.b.c.d.e'),
    accept: fc.constantFrom(
      'application/json',
      'text/event-stream',
      'application/json, text/event-stream',
      'image/png',
    ),
    'content-type': fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', ''),
    traceparent: fc.constantFrom('00-0', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`),
    origin: fc.constantFrom('null', 'https://evil.example'),
  },
  { requiredKeys: [] },
)
const attempt = fc.record({
  method: fc.constantFrom('POST', 'POST', 'POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT', 'PATCH'),
  endpoint: fc.constantFrom('sole', 'both', 'open', 'mcp'),
  authorized: fc.constantFrom(true, true, true, true, false),
  plausible: fc.boolean(),
  headers,
  body,
  reply: fc.nat(),
})

type Attempt = Parameters<
  Parameters<typeof fc.property<[typeof attempt extends fc.Arbitrary<infer T> ? T : never]>>[1]
>[0]

interface Outcome {
  readonly status: number
  readonly text: string
  readonly type: string
}

describe('the edge under noise', () => {
  let edge: TestEdge
  let one: Recorder
  let two: Recorder
  const tokens = new Map<string, string>()
  const sessions = new Map<string, string>()
  let reply = 0
  let counter = 0

  before(async () => {
    one = await startRecorder({ era: 'both' })
    two = await startRecorder({ era: 'legacy', tools: ['{"name":"read","inputSchema":{"type":"object"}}'] })
    edge = await startEdge({
      resources: [
        entry('one', one.url),
        entry('two', two.url),
        virtual('sole', ['two']),
        virtual('both', ['one', 'two'], { config: { aggregation: quiet('both') } }),
        virtual('open', ['two'], { incomingAuth: { type: 'anonymous' }, config: { aggregation: quiet('open') } }),
      ],
    })
    for (const name of ['sole', 'both', 'open', 'mcp']) {
      const url = urlOf(name)
      if (name !== 'open') tokens.set(name, await edge.token(url, { exp: Math.floor(Date.now() / 1000) + 36_000 }))
      if (name !== 'mcp') await edge.lists(url, ['read'])
      sessions.set(name, (await openSession(url, tokens.get(name))) ?? '')
    }
    for (const server of [one, two]) server.takeover = (received, response) => misbehave(received, response, reply)
  })

  after(async () => {
    await edge?.close()
    for (const peer of [one, two]) await peer?.close()
  })

  const urlOf = (name: string): string => (name === 'mcp' ? `${edge.url}/mcp` : edge.endpoint(name))

  async function send(one: Attempt, agent: string): Promise<Outcome> {
    const url = new URL(urlOf(one.endpoint))
    const fields: Record<string, string> = { 'content-type': 'application/json', ...one.headers, 'user-agent': agent }
    if (fields['mcp-session-id'] === 'real') fields['mcp-session-id'] = sessions.get(one.endpoint) ?? ''
    if (one.plausible) {
      delete fields['origin']
      fields['content-type'] = 'application/json'
    }
    const token = tokens.get(one.endpoint)
    if (one.authorized && token !== undefined) fields['authorization'] = `Bearer ${token}`
    return new Promise((resolve, reject) => {
      const sent = request(
        url,
        { method: one.method, headers: fields, signal: AbortSignal.timeout(15_000) },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => (text += chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' }),
          )
        },
      )
      sent.on('error', reject)
      // Node leaves the length out for some methods, and the body would be read as the next request.
      if (one.method !== 'GET') sent.setHeader('content-length', Buffer.byteLength(one.body))
      sent.end(one.method === 'GET' ? undefined : one.body)
    })
  }

  /** How many messages the request has: as many audit events it must leave. */
  function expected(one: Attempt, outcome: Outcome): number {
    if (one.method !== 'POST') return 1
    try {
      const value: unknown = JSON.parse(one.body)
      const version = one.headers['mcp-protocol-version']
      const allowed = version === undefined || version === '2025-03-26' || version === '2024-11-05'
      if (!Array.isArray(value) || !allowed || value.length === 0) return 1
      return outcome.status === 200 || outcome.status === 202 ? value.length : 1
    } catch {
      return 1
    }
  }

  test(`answers whatever comes (${runs} attempts)`, { timeout: runs * 1_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(attempt, async (one) => {
        counter += 1
        reply = one.reply
        const agent = `fuzz-${counter}`
        const outcome = await send(one, agent)
        const shown = `${outcome.status} ${outcome.text.slice(0, 500)}`
        assert.ok(outcome.status < 500 || outcome.status === 503, shown)
        assert.doesNotMatch(outcome.text, /"reason":"internal"|-32603,"message":"Internal error/, shown)
        if (outcome.type.startsWith('application/json')) JSON.parse(outcome.text)
        const mine = () => edge.lines().filter((line) => line.includes('"audit_event"') && line.includes(`"${agent}"`))
        const wanted = expected(one, outcome)
        for (let turn = 0; turn < 20 && mine().length < wanted; turn += 1) await sleep(25)
        assert.equal(mine().length, wanted, `${shown}: ${mine().join(' ')}`)
      }),
      { numRuns: runs, seed, endOnFailure: false, interruptAfterTimeLimit: runs * 900, markInterruptAsFailure: false },
    )
    const response = await fetch(`${edge.url}/healthz`)
    assert.equal(await response.text(), 'ok')
  })
})

const quiet = (prefix: string): object => ({
  conflictResolution: 'prefix',
  conflictResolutionConfig: { prefixFormat: prefix === 'both' || prefix === 'open' ? '' : prefix },
})

/** Answers to calls, right and wrong; lists and handshakes stay right, or there would be nothing to call. */
function misbehave({ message }: Received, response: ServerResponse, choice: number): boolean {
  if (
    message === undefined ||
    /^(initialize|server\/discover|notifications\/initialized|.*\/list)$/.test(message.method)
  )
    return false
  const id = JSON.stringify(message.id ?? null)
  const json = (status: number, text: string): boolean => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)
    return true
  }
  const stream = (text: string): boolean => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text)
    return true
  }
  const result = `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`
  const odd = [
    () => false,
    () => json(200, `{"jsonrpc":"2.0","id":${id},"result":null}`),
    () => json(200, `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"content":[1]}}`),
    () => json(200, `{"jsonrpc":"2.0","id":${id},"result":{"task":{"taskId":"a"},"task":1,"requestState":"s"}}`),
    () => json(200, `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required","requestState":{"a":1}}}`),
    () => json(200, `{"jsonrpc":"2.0","id":${id},"error":{"code":"x","message":{"a":1}}}`),
    () => json(200, `{"jsonrpc":"2.0","id":${id},"error":{"code":-32020,"message":""}}`),
    () => json(404, `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":""}}`),
    () => json(400, '{"error":1}'),
    () => json(401, '{}'),
    () => json(200, `{"jsonrpc":"2.0","id":"other","result":{}}`),
    () => json(200, `[${result}]`),
    () => json(202, ''),
    () => json(204, ''),
    () => stream(`data: {"jsonrpc":"2.0","id":7,"method":"sampling/createMessage"}\n\ndata: ${result}\n\n`),
    () =>
      stream(
        `event: fault\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":null}\n\ndata: ${result}\n\n`,
      ),
    () => stream('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}\n\n'),
    () =>
      stream(`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}\r\rdata: ${result}\r\r`),
    () => stream('data: nonsense\n\n'),
    () =>
      json(200, `{"jsonrpc":"2.0","id":${id},"result":{"contents":[{"uri":1},null,[]],"messages":[{"content":[]}]}}`),
  ]
  return odd[choice % odd.length]?.() ?? false
}
