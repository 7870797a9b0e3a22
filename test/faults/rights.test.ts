// What those who got in may do: scopes, tools that are hidden, sessions of others, and the credentials that backends see
// instead of theirs.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { manifest, entry, virtual } from '../peers/manifests.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'
import { audited, call, challenge, startGuarded } from './guarded.ts'
import type { Guarded } from './guarded.ts'

describe('rights', () => {
  let world: Guarded
  let edge: Guarded['edge']
  let other: Guarded['other']
  let backend: Guarded['backend']
  let guarded: Guarded['guarded']

  before(async () => {
    world = await startGuarded()
    ;({ edge, other, backend, guarded } = world)
  })
  after(() => world?.close())

  test('missing scopes of an endpoint are refused, and the challenge names all that are needed', async () => {
    const endpoint = edge.endpoint('scoped')
    const response = await call(endpoint, await world.token(endpoint, { scope: 'mcp:read' }))
    assert.equal(response.status, 403, response.body)
    const asked = challenge(response)
    assert.equal(asked['error'], 'insufficient_scope')
    assert.deepEqual(new Set(asked['scope']?.split(' ')), new Set(['mcp:read', 'mcp:use']))
    assert.ok(asked['resource_metadata'])
    assert.equal((await call(endpoint, await world.token(endpoint, { scope: 'mcp:read mcp:use' }))).status, 200)
  })

  test('a tool with scopes is listed, and a call without them is challenged for everything the call needs', async () => {
    const endpoint = edge.endpoint('stepped')
    const bearer = await world.token(endpoint, { scope: 'mcp:read' })
    const list = await exchange(endpoint, { method: 'tools/list', token: bearer })
    assert.deepEqual(toolNames(list).toSorted(), ['drop', 'echo', 'write'])
    const response = await call(endpoint, bearer, 'drop')
    assert.equal(response.status, 403, response.body)
    const asked = challenge(response)
    assert.equal(asked['error'], 'insufficient_scope')
    assert.deepEqual(new Set(asked['scope']?.split(' ')), new Set(['mcp:read', 'mcp:write', 'mcp:admin']))
    const stepped = await world.token(endpoint, { scope: 'mcp:read mcp:write mcp:admin' })
    assert.equal((await call(endpoint, stepped, 'drop')).status, 200)
  })

  test('a tool that a caller may not see answers exactly as one that does not exist', async () => {
    const endpoint = edge.endpoint('stepped')
    const bearer = await world.token(endpoint, { scope: 'mcp:read' })
    const hidden = await call(endpoint, bearer, 'read')
    const absent = await call(endpoint, bearer, 'nope')
    assert.equal(hidden.status, absent.status)
    assert.equal(hidden.body.replaceAll('read', 'NAME'), absent.body.replaceAll('nope', 'NAME'))
    const member = await world.token(endpoint, { scope: 'mcp:read', groups: ['readers'] })
    assert.equal((await call(endpoint, member, 'read')).status, 200)
  })

  test('an audience of its own replaces the URL of the endpoint', async () => {
    const endpoint = edge.endpoint('named')
    assert.equal((await call(endpoint, await world.token(endpoint))).status, 401)
    assert.equal((await call(endpoint, await world.token('urn:example:tools'))).status, 200)
    assert.equal(
      (await call(endpoint, await world.token(['https://x.example', 'urn:example:tools'] as never))).status,
      200,
    )
  })

  test('an anonymous endpoint needs no token', async () => {
    assert.equal((await call(edge.endpoint('open'), undefined)).status, 200)
  })

  test('the metadata of an endpoint names its issuer, its scopes and itself', async () => {
    for (const [name, issuers, scopes] of [
      ['guarded', [edge.issuer.url], undefined],
      ['scoped', [edge.issuer.url], ['mcp:read', 'mcp:use']],
      ['two', [edge.issuer.url, other.url], undefined],
    ] as const) {
      const response = await fetch(`${edge.url}/.well-known/oauth-protected-resource/test/${name}/mcp`)
      assert.equal(response.status, 200)
      const document = (await response.json()) as Record<string, unknown>
      assert.equal(document['resource'], edge.endpoint(name))
      assert.deepEqual(document['authorization_servers'], issuers)
      assert.deepEqual(document['bearer_methods_supported'], ['header'])
      if (scopes !== undefined) assert.deepEqual(document['scopes_supported'], scopes)
    }
  })

  test('a foreign Origin or Host is refused before the token is looked at', async () => {
    const headers = { origin: 'https://evil.example' }
    const response = await exchange(guarded, { method: 'tools/list', token: await world.token(guarded), headers })
    assert.equal(response.status, 403)
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  })

  test('a session id serves nobody but the principal that opened it', async () => {
    const endpoint = edge.endpoint('two')
    const session = await openSession(endpoint, await world.token(endpoint, { sub: 'ada' }))
    assert.ok(session)
    const list = (bearer: string, id: string | undefined): Promise<Exchange> =>
      exchange(endpoint, { method: 'tools/list', era: 'legacy', token: bearer, session: id })
    assert.equal((await list(await world.token(endpoint, { sub: 'ada' }), session)).status, 200)
    const thieves = {
      'another subject': await world.token(endpoint, { sub: 'eve' }),
      'the same subject of another issuer': await other.token(endpoint, { sub: 'ada' }),
    }
    for (const [thief, bearer] of Object.entries(thieves)) {
      const events = await audited(edge, async () => {
        const response = await list(bearer, session)
        assert.equal(response.status, 404, `${thief}: ${response.body}`)
      })
      assert.equal(events.length, 1)
      assert.notEqual(events[0]?.['outcome'], 'success')
    }
    const elsewhere = await exchange(edge.endpoint('guarded'), {
      method: 'tools/list',
      era: 'legacy',
      token: await world.token(guarded, { sub: 'ada' }),
      session,
    })
    assert.equal(elsewhere.status, 404, 'a session of one endpoint was accepted at another')
    const tampered = `${session.slice(0, -2)}${session.endsWith('AA') ? 'BB' : 'AA'}`
    assert.equal((await list(await world.token(endpoint, { sub: 'ada' }), tampered)).status, 404)
  })

  test('bearerToken and headerInjection credentials reach their backend; no header of a caller does', async () => {
    await edge.secret('vendor', { token: 'vendor-token', key: 'vendor-key' })
    await edge.apply([
      manifest('MCPExternalAuthConfig', 'bearer', {
        type: 'bearerToken',
        bearerToken: { tokenSecretRef: { name: 'vendor', key: 'token' } },
      }),
      manifest('MCPExternalAuthConfig', 'header', {
        type: 'headerInjection',
        headerInjection: { headerName: 'X-Vendor-Key', valueSecretRef: { name: 'vendor', key: 'key' } },
      }),
      entry('with-bearer', backend.url, { externalAuthConfigRef: { name: 'bearer' } }),
      entry('with-header', backend.url, { externalAuthConfigRef: { name: 'header' } }),
      virtual('with-bearer', ['with-bearer']),
      virtual('with-header', ['with-header']),
    ])
    for (const [name, header, value] of [
      ['with-bearer', 'authorization', 'Bearer vendor-token'],
      ['with-header', 'x-vendor-key', 'vendor-key'],
    ] as const) {
      const endpoint = edge.endpoint(name)
      await edge.lists(endpoint, ['echo'])
      const before = backend.calls('tools/call').length
      const headers = { cookie: 'session=caller', 'x-forwarded-for': '1.2.3.4', 'x-secret': 'of the caller' }
      const ask = {
        method: 'tools/call',
        params: { name: 'echo', arguments: {} },
        token: await world.token(endpoint),
        headers,
      }
      assert.equal((await exchange(endpoint, ask)).status, 200)
      const sent = backend.calls('tools/call')[before]
      assert.equal(sent?.headers[header], value)
      assert.equal(sent.headers['cookie'], undefined)
      assert.equal(sent.headers['x-secret'], undefined)
      assert.ok(!edge.lines().some((line) => line.includes('vendor-token') || line.includes('vendor-key')))
    }
  })

  test('no token of a caller ever reached a backend', () => {
    world.assertNoLeak()
  })
})
