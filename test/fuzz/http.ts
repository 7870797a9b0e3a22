// Generator (a): HTTP itself. Requests that no library would send: methods, targets, headers and framing, right and wrong.

import { bytes, compose } from './case.ts'
import type { Case, Step } from './case.ts'
import { authorization, endpoint, forged, pathOf } from './endpoints.ts'
import type { EndpointName } from './endpoints.ts'
import { message, modernMeta } from './grammar.ts'
import type { Random } from './random.ts'

const methods = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'HEAD',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'get',
  'P\u00d6ST',
  'X'.repeat(300),
  '',
]
const paths = [
  '/',
  '/healthz',
  '/readyz',
  '/mcp',
  '/mcp/',
  '/mcp?a=b',
  '/mcp#x',
  '/MCP',
  '//mcp',
  '/./mcp',
  '/test/../mcp',
  '/test/sole/mcp',
  '/test/sole/mcp/',
  '/test/none/mcp',
  '/test/%73ole/mcp',
  '/test/sole%2Fmcp',
  '/a/b/c/mcp',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
  '/.well-known/oauth-protected-resource/test/sole/mcp',
  '/.well-known/oauth-protected-resource/admin',
  '/.well-known/oauth-protected-resource/%',
  '/.well-known/x',
  '/admin',
  '/admin/v1',
  '/admin/v1/resources',
  '/%',
  '/%00',
  '/%ff%fe',
  '/\u00e9',
  '/<script>',
  '/a b',
  '*',
  'http://evil.example/mcp',
  'https://{{host}}/mcp',
  'mcp',
  '',
  `/${'a'.repeat(9000)}`,
  `/mcp?${'a=b&'.repeat(2000)}`,
  `/${'../'.repeat(500)}mcp`,
]
const versions = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.1.1',
  'http/1.1',
  '',
]
const fields = [
  'host: {{host}}',
  'host: evil.example',
  'host:',
  'host: {{host}}, {{host}}',
  'content-type: application/json',
  'content-type: application/json\r\ncontent-type: text/plain',
  'accept: application/json, text/event-stream',
  'authorization: Bearer {{token.mcp}}',
  'authorization: Bearer {{token.sole}}',
  'authorization: Bearer {{token.mcp}}\r\nauthorization: Bearer x',
  'authorization: Basic YTpi',
  'authorization: bearer',
  'authorization: Bearer a.b.c',
  'authorization: Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.',
  `authorization: Bearer ${'x'.repeat(20_000)}`,
  'mcp-session-id: {{session.mcp}}',
  'mcp-session-id: {{session.mcp}}\r\nmcp-session-id: {{session.sole}}',
  'mcp-protocol-version: 2026-07-28',
  'mcp-protocol-version: 2025-11-25\r\nmcp-protocol-version: 2026-07-28',
  'last-event-id: 1',
  'last-event-id: \u00ff\u00fe',
  'origin: null',
  'origin: http://{{host}}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: \u00ff, x',
  'connection: close',
  'connection: keep-alive, upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__',
  'expect: 100-continue',
  'expect: x',
  'te: trailers',
  'range: bytes=0-1',
  'accept-encoding: gzip, br, zstd',
  'content-encoding: gzip',
  'x-forwarded-for: 1.2.3.4',
  'cf-connecting-ip: 1.2.3.4',
  'cookie: a=b',
  'if-none-match: *',
  `x-long: ${'x'.repeat(9000)}`,
  `x-huge: ${'x'.repeat(70_000)}`,
  `${'x'.repeat(3000)}: a`,
  Array.from({ length: 300 }, (_, n) => `x-${n}: ${n}`).join('\r\n'),
  'x-empty:',
  ': nameless',
  'no colon',
  'x space: a',
  ' folded: a',
  'x-folded: a\r\n b',
  'x-nul: a\u0000b',
  'x-cr: a\rb',
  'x-lf: a\nb: c',
  'x-latin: \u00e9',
  `x-utf8: ${bytes('\u{1f41d}')}`,
] as const

/** How the body is announced, and what is sent for it. */
function framing(random: Random, body: string): { readonly headers: string; readonly body: string } {
  const size = body.length
  return random.weighted([
    [8, () => ({ headers: `content-length: ${size}\r\n`, body })],
    [4, () => ({ headers: 'transfer-encoding: chunked\r\n', body: chunked(random, body) })],
    [1, () => ({ headers: `content-length: ${size + 1 + random.int(100)}\r\n`, body })],
    [1, () => ({ headers: `content-length: ${Math.max(0, size - 1 - random.int(20))}\r\n`, body })],
    [
      1,
      () => ({
        headers: `content-length: ${random.pick(['-1', '+1', '1e3', '0x10', 'x', '', '18446744073709551616', '1, 1', ' 1 '])}\r\n`,
        body,
      }),
    ],
    [1, () => ({ headers: `content-length: ${size}\r\ncontent-length: ${random.pick([size, size + 1])}\r\n`, body })],
    [1, () => ({ headers: `content-length: ${size}\r\ntransfer-encoding: chunked\r\n`, body: chunked(random, body) })],
    [
      1,
      () => ({
        headers: `transfer-encoding: ${random.pick(['gzip', 'identity', 'chunked, chunked', 'gzip, chunked', 'xchunked', 'Chunked'])}\r\n`,
        body: chunked(random, body),
      }),
    ],
    [1, () => ({ headers: '', body })],
    [
      1,
      () => ({
        headers: 'transfer-encoding: chunked\r\n',
        body: random.pick([
          'zz\r\n',
          '-1\r\n\r\n',
          '5\r\nab\r\n',
          'ffffffffffffffff\r\na',
          '5;a=b\r\nhello\r\n0\r\n\r\n',
          '0\r\nx: y\r\n\r\n',
          '1\r\na0\r\n\r\n',
          `${'0'.repeat(500)}1\r\na\r\n0\r\n\r\n`,
        ]),
      }),
    ],
  ])
}

function chunked(random: Random, body: string): string {
  const pieces: string[] = []
  for (let at = 0; at < body.length;) {
    const size = 1 + random.int(50)
    const piece = body.slice(at, at + size)
    pieces.push(`${piece.length.toString(16)}\r\n${piece}\r\n`)
    at += size
  }
  return `${pieces.join('')}0\r\n\r\n`
}

/** Requests at every path, framed in every way, and bytes that are no HTTP at all. */
export function http(random: Random): Case {
  return {
    generator: 'http',
    steps: [
      random.weighted([
        [6, () => wild(random)],
        [6, () => tidy(random)],
        [1, () => noise(random)],
      ]),
    ],
  }
}

/** Odd, but each request is whole and well-formed. */
function tidy(random: Random): Step {
  const method = random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
  const name = endpoint(random)
  const isOwn = random.chance(0.4)
  const path = isOwn
    ? pathOf(name)
    : random.pick(paths.filter((one) => /^\/[!-~]*$/u.test(one) && !one.includes('{{') && one.length < 1000))
  const body = method === 'GET' || method === 'HEAD' ? undefined : bytes(message(random))
  const plain = fields.filter((one) =>
    /^(authorization|mcp-|last-event-id: 1|origin|x-long|x-empty|cookie|accept|range|if-|x-forwarded|cf-)[^\r]*$/u.test(
      one,
    ),
  )
  const headers = [
    ...(isOwn ? admitted(random, name) : []),
    ...random.many(0, 4, () => split(random.pick(plain))),
    ...(random.chance(0.8) ? [['content-type', 'application/json'] as const] : []),
  ]
  return { send: compose({ method, path, headers, ...(body !== undefined && { body }) }), clean: true }
}

function admitted(random: Random, name: EndpointName): readonly (readonly [string, string])[] {
  if (random.chance(0.6)) return authorization(name)
  return random.chance(0.7) ? [['authorization', `Bearer ${forged(random)}`]] : []
}

function split(line: string): readonly [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1).trim()]
}

function wild(random: Random): Step {
  const good = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":${modernMeta}}}`
  const { headers, body } = framing(random, random.chance(0.5) ? good : bytes(message(random)))
  const eol = random.weighted([
    [20, () => '\r\n'],
    [1, () => '\n'],
    [1, () => '\r'],
  ])
  const isOwn = random.chance(0.4)
  const line = `${random.chance(0.6) ? 'POST' : random.pick(methods)} ${isOwn ? '/mcp' : random.pick(paths)} ${random.pick(versions)}`
  const host = random.chance(0.9) ? `host: {{host}}${eol}` : ''
  // Admitted, so that what is wrong with the framing is read by the edge as well.
  const own = isOwn ? `authorization: Bearer {{token.mcp}}${eol}content-type: application/json${eol}` : ''
  const more = random.many(0, isOwn ? 1 : 5, () => `${random.pick(fields)}${eol}`).join('')
  const all = `${line}${eol}${host}user-agent: {{agent}}${eol}${own}${more}${headers.replaceAll('\r\n', eol)}${eol}${body}`
  return finish(random, random.chance(0.15) ? all.slice(0, random.int(all.length)) : all)
}

function noise(random: Random): Step {
  const text = random.pick([
    () => Array.from({ length: 1 + random.int(300) }, () => String.fromCharCode(random.int(256))).join(''),
    () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
    () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    () => '\r\n'.repeat(1 + random.int(2000)),
    () => 'GET /healthz HTTP/1.1\r\nhost: {{host}}\r\n\r\n'.repeat(1 + random.int(20)),
    () => `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(5000)}\r\n`,
    () => 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  ])()
  return finish(random, text)
}

function finish(random: Random, send: string): Step {
  const ending = random.weighted<'fin' | 'leave'>([
    [3, () => 'fin'],
    [1, () => 'leave'],
  ])
  return { send, ending, ...(random.chance(0.2) && send.length > 1 && { pauseAt: 1 + random.int(send.length - 1) }) }
}
