import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseMessage, type Message } from '../protocol/envelope.ts'
import { Fault, wire, type Reason } from '../protocol/fault.ts'
import { encodeHeader } from '../protocol/header.ts'
import { LEGACY_REVISIONS, META, MODERN_REVISION } from '../protocol/revision.ts'
import { open } from './open.ts'
import { request } from './sample.ts'

const envelope = { [META.version]: MODERN_REVISION, [META.capabilities]: {} }

function modern(
  method: string,
  params: Record<string, unknown> = {},
  meta: Record<string, unknown> = envelope,
): Message {
  return request(method, { ...params, _meta: meta })
}

const headers = (method: string, name?: string, version: string = MODERN_REVISION) =>
  new Headers({
    'mcp-protocol-version': version,
    'mcp-method': method,
    ...(name !== undefined && { 'mcp-name': encodeHeader(name) }),
  })

function without(all: Headers, name: string): Headers {
  const left = new Headers(all)
  left.delete(name)
  return left
}

const version = (value: string) => new Headers({ 'mcp-protocol-version': value })

describe('refused', () => {
  const list = () => headers('tools/list')
  const call = modern('tools/call', { name: 'x' })
  const cases: readonly [title: string, message: Message, headers: Headers, reason: Reason, code: number][] = [
    [
      'a legacy header on a modern envelope',
      modern('tools/list'),
      headers('tools/list', undefined, '2025-11-25'),
      'header_mismatch',
      -32020,
    ],
    [
      'a modern envelope without the version header',
      modern('tools/list'),
      without(list(), 'mcp-protocol-version'),
      'header_mismatch',
      -32020,
    ],
    ['a modern header without envelope', request('tools/list'), list(), 'invalid_envelope', -32602],
    [
      'a modern header with an envelope that is not an object',
      request('tools/list', { _meta: 1 }),
      list(),
      'invalid_envelope',
      -32602,
    ],
    [
      'an envelope without capabilities',
      modern('tools/list', {}, { [META.version]: MODERN_REVISION }),
      list(),
      'invalid_envelope',
      -32602,
    ],
    [
      'capabilities that are not an object',
      modern('tools/list', {}, { ...envelope, [META.capabilities]: [] }),
      list(),
      'invalid_envelope',
      -32602,
    ],
    [
      'a version that is not a string',
      modern('tools/list', {}, { ...envelope, [META.version]: 1 }),
      list(),
      'invalid_envelope',
      -32602,
    ],
    [
      'a version of the future',
      modern('tools/list', {}, { ...envelope, [META.version]: '2027-01-01' }),
      headers('tools/list', undefined, '2027-01-01'),
      'unsupported_version',
      -32022,
    ],
    [
      'a version of the future without envelope',
      request('tools/list'),
      version('2027-01-01'),
      'unsupported_version',
      -32022,
    ],
    [
      'a legacy version in an envelope',
      modern('tools/list', {}, { ...envelope, [META.version]: '2025-11-25' }),
      headers('tools/list', undefined, '2025-11-25'),
      'unsupported_version',
      -32022,
    ],
    ['no Mcp-Method', modern('tools/list'), without(list(), 'mcp-method'), 'header_mismatch', -32020],
    ['another Mcp-Method', modern('tools/list'), headers('tools/call'), 'header_mismatch', -32020],
    ['an Mcp-Method in other case', modern('tools/list'), headers('Tools/List'), 'header_mismatch', -32020],
    ['no Mcp-Name', call, headers('tools/call'), 'header_mismatch', -32020],
    ['another Mcp-Name', call, headers('tools/call', 'y'), 'header_mismatch', -32020],
    [
      'a broken Mcp-Name',
      call,
      new Headers([...headers('tools/call'), ['mcp-name', '=?base64?e?=']]),
      'header_mismatch',
      -32020,
    ],
    ['no name to mirror', modern('tools/call'), headers('tools/call', 'x'), 'invalid_envelope', -32602],
    [
      'another uri than the header says',
      modern('resources/read', { uri: 'a' }),
      headers('resources/read', 'b'),
      'header_mismatch',
      -32020,
    ],
    [
      'a task without its Mcp-Name',
      modern('tasks/get', { taskId: 't' }),
      headers('tasks/get'),
      'header_mismatch',
      -32020,
    ],
    ['initialize without a version', request('initialize'), new Headers(), 'invalid_envelope', -32602],
    [
      'initialize with a version that is not a string',
      request('initialize', { protocolVersion: 1 }),
      new Headers(),
      'invalid_envelope',
      -32602,
    ],
  ]
  for (const [title, message, sent, reason, code] of cases) {
    test(title, () => {
      assert.throws(
        () => open(message, sent),
        (error) =>
          error instanceof Fault &&
          error.reason === reason &&
          wire(reason).code === code &&
          wire(reason).status === 400,
      )
    })
  }

  test('a version tells which ones are supported', () => {
    const data = (message: Message, sent: Headers) => {
      try {
        return open(message, sent)
      } catch (error) {
        return error instanceof Fault ? error.data : error
      }
    }
    const future = modern('tools/list', {}, { ...envelope, [META.version]: '2027-01-01' })
    assert.deepEqual(data(future, headers('tools/list', undefined, '2027-01-01')), {
      supported: [MODERN_REVISION],
      requested: '2027-01-01',
    })
    assert.deepEqual(data(request('tools/list'), version('9'.repeat(100))), {
      supported: [MODERN_REVISION, ...LEGACY_REVISIONS],
      requested: '9'.repeat(64),
    })
  })
})

describe('modern', () => {
  test('a request whose headers and envelope agree', () => {
    for (const [method, member] of [
      ['tools/call', 'name'],
      ['prompts/get', 'name'],
      ['resources/read', 'uri'],
      ['tasks/get', 'taskId'],
      ['tools/list', undefined],
      ['server/discover', undefined],
      ['vendor/method', undefined],
    ] as const) {
      for (const name of ['get', 'Grüße', ' padded ', '=?base64?eA==?=']) {
        const message = modern(method, member === undefined ? {} : { [member]: name })
        const opened = open(message, headers(method, member === undefined ? undefined : name))
        assert.deepEqual([opened.era, opened.revision, opened.client], ['modern', MODERN_REVISION, undefined])
        assert.deepEqual(opened.meta, envelope)
      }
    }
  })

  test('a notification needs no method header, and no envelope', () => {
    const text = (meta: string) => parseMessage(`{"jsonrpc":"2.0","method":"notifications/x","params":{${meta}}}`)
    assert.equal(open(text(''), version(MODERN_REVISION)).era, 'modern')
    assert.equal(open(text(`"_meta":{"${META.version}":"${MODERN_REVISION}"}`), version(MODERN_REVISION)).era, 'modern')
  })

  test('the client is who it says, within bounds', () => {
    const client = (info: unknown) =>
      open(modern('tools/list', {}, { ...envelope, [META.client]: info }), headers('tools/list')).client
    assert.deepEqual(client({ name: 'c', version: '1', extra: 1 }), { name: 'c', version: '1' })
    assert.deepEqual(client({ name: 'n'.repeat(999), version: 'v'.repeat(999) }), {
      name: 'n'.repeat(128),
      version: 'v'.repeat(64),
    })
    for (const odd of [{}, [], { name: 1, version: null }, { name: { toString: 1, valueOf: 1 } }])
      assert.deepEqual(client(odd), { name: '', version: '' })
    for (const none of [undefined, null, 'c', 1]) assert.equal(client(none), undefined)
  })
})

describe('legacy', () => {
  test('initialize agrees on the revision that is asked for, or on the latest', () => {
    const agreed = (protocolVersion: string) => {
      const clientInfo = { name: 'c', version: '1' }
      const { era, revision, client } = open(request('initialize', { protocolVersion, clientInfo }), new Headers())
      assert.deepEqual([era, client], ['legacy', clientInfo])
      return revision
    }
    for (const revision of LEGACY_REVISIONS) assert.equal(agreed(revision), revision)
    for (const other of [MODERN_REVISION, '2027-01-01', '1.0', '']) assert.equal(agreed(other), '2025-11-25')
  })

  test('a message has the revision of its header, and an old one without', () => {
    for (const revision of LEGACY_REVISIONS) {
      const opened = open(request('tools/list', { _meta: { progressToken: 1 } }), version(revision))
      assert.deepEqual([opened.era, opened.revision, opened.meta], ['legacy', revision, { progressToken: 1 }])
    }
    assert.equal(open(request('tools/list'), new Headers()).revision, '2025-03-26')
    assert.deepEqual(open(request('tools/list', { _meta: 'odd' }), new Headers()).meta, {})
  })

  test('mirrored headers are not looked at', () => {
    const opened = open(request('tools/call', { name: 'x' }), new Headers({ 'mcp-method': 'other', 'mcp-name': 'y' }))
    assert.equal(opened.era, 'legacy')
  })
})
