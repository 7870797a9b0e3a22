// Who gets in: every wrong credential is refused with the right status, challenge and audit event, and no credential of a
// caller ever reaches a backend.

import type { JWTPayload } from 'jose'
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import type { Forgery, Issuer } from '../issuer.ts'
import { entry, manifest, oidc, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`

/** The parameters of a `WWW-Authenticate: Bearer` challenge. */
function challenge(response: Exchange): Record<string, string> {
  const header = response.headers.get('www-authenticate') ?? ''
  assert.match(header, /^Bearer /)
  return Object.fromEntries([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))
}

describe('tokens', () => {
  let edge: TestEdge
  let other: Issuer
  let backend: Recorder
  let guarded: string
  const tokens: string[] = []

  before(async () => {
    backend = await startRecorder({ era: 'both', tools: ['echo', 'read', 'write', 'drop'].map(tool) })
    other = await startIssuer()
    edge = await startEdge()
    const { issuer } = edge
    await edge.secret('introspection', { secret: issuer.clientSecret })
    const introspection = {
      introspectionUrl: `${issuer.url}/introspect`,
      clientId: issuer.clientId,
      clientSecretRef: { name: 'introspection', key: 'secret' },
    }
    const incoming = (name: string, more: object = {}): object => ({
      incomingAuth: { type: 'oidc', oidcConfigRef: { name, ...more } },
    })
    await edge.apply([
      entry('backend', backend.url),
      oidc('first', issuer.url),
      oidc('second', other.url),
      oidc('opaque', issuer.url, introspection),
      oidc('skewed', issuer.url, {}, { 'waggle.dev/clock-skew': '0s' }),
      oidc('rsa-only', issuer.url, {}, { 'waggle.dev/algorithms': 'RS256' }),
      virtual('guarded', ['backend']),
      virtual('neighbour', ['backend']),
      virtual('scoped', ['backend'], { ...incoming('first', { scopes: ['mcp:read', 'mcp:use'] }) }),
      virtual('named', ['backend'], { ...incoming('first', { audience: 'urn:example:tools' }) }),
      virtual('opaque', ['backend'], { ...incoming('opaque') }),
      virtual('skewed', ['backend'], { ...incoming('skewed') }),
      virtual('rsa', ['backend'], { ...incoming('rsa-only') }),
      virtual('two', ['backend'], { ...incoming('first') }, { 'waggle.dev/additional-oidc-configs': 'second' }),
      virtual('stepped', ['backend'], { ...incoming('first', { scopes: ['mcp:read'] }) }),
      virtual('open', ['backend'], { incomingAuth: { type: 'anonymous' } }),
      policy('stepped', 'stepped', [
        { tools: ['write', 'drop'], scopes: ['mcp:write'] },
        { tools: ['drop'], scopes: ['mcp:admin'] },
        { tools: ['read'], groups: ['readers'] },
      ]),
    ])
    guarded = edge.endpoint('guarded')
    await edge.lists(guarded, ['echo'])
  })
  after(async () => {
    await edge?.close()
    await Promise.all([other?.close(), backend?.close()])
  })

  /** A token that the later test of leaks looks for at the backend. */
  async function token(audience: string, claims?: JWTPayload): Promise<string> {
    const made = await edge.token(audience, claims)
    tokens.push(made)
    return made
  }

  function call(endpoint: string, bearer: string | undefined, name = 'echo'): Promise<Exchange> {
    return exchange(endpoint, { method: 'tools/call', params: { name, arguments: {} }, token: bearer })
  }

  async function refused(response: Exchange, endpoint: string): Promise<Record<string, string>> {
    assert.equal(response.status, 401, response.body)
    const path = new URL(endpoint).pathname
    const asked = challenge(response)
    assert.equal(asked['resource_metadata'], `${edge.url}/.well-known/oauth-protected-resource${path}`)
    return asked
  }

  /** Runs `action` and returns the audit events it caused. */
  async function audited(action: () => Promise<unknown>): Promise<readonly Record<string, unknown>[]> {
    await sleep(100)
    const before = edge.audit().length
    await action()
    await sleep(300)
    return edge.audit().slice(before)
  }

  test('a request without a token is refused, with where to get one and no accusation', async () => {
    let response: Exchange | undefined
    const events = await audited(async () => {
      response = await call(guarded, undefined)
    })
    assert.ok(response)
    const asked = await refused(response, guarded)
    assert.equal(asked['error'], undefined)
    assert.deepEqual(
      events.map(({ outcome }) => outcome),
      ['denied'],
    )
  })

  const now = (): number => Math.floor(Date.now() / 1000)
  const wrong: Record<string, () => Promise<string>> = {
    'of another issuer': () => other.token(guarded),
    'that names another issuer than the one that signed it': () => edge.token(guarded, { iss: other.url }),
    'for another audience': () => edge.token('https://elsewhere.example'),
    'for another virtual server': () => edge.token(edge.endpoint('neighbour')),
    'for the origin instead of the endpoint': () => edge.token(edge.url),
    'for the admin API': () => edge.adminToken(),
    'that expired': () => edge.token(guarded, { iat: now() - 1200, exp: now() - 600 }),
    'that is not yet valid': () => edge.token(guarded, { nbf: now() + 600 }),
    'that never expires': () => edge.token(guarded, { exp: undefined as unknown as number }),
    'without a subject': () => edge.token(guarded, { sub: undefined as unknown as string }),
    'whose signature was cut off': async () => (await edge.token(guarded)).replace(/\.[^.]*$/, '.'),
    'whose claims were changed': async () => {
      const [head = '', , signature = ''] = (await edge.token(guarded)).split('.')
      const claims = { iss: edge.issuer.url, aud: guarded, sub: 'root', exp: now() + 600 }
      return `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
    },
    'that is no JWT': () => Promise.resolve('not-a-token'),
    'that is enormous': () => Promise.resolve(`${'a'.repeat(12_000)}.b.c`),
  }
  const forgeries: readonly Forgery[] = [
    'unsigned',
    'signed with the public key as a secret',
    'signed by another key',
    'signed by an unknown key id',
  ]
  for (const forgery of forgeries) wrong[`that is ${forgery}`] = () => edge.issuer.forge(forgery, guarded)

  for (const [kind, make] of Object.entries(wrong)) {
    test(`a token ${kind} is refused with a challenge and one audit event`, async () => {
      const bad = await make()
      let response: Exchange | undefined
      const events = await audited(async () => {
        response = await call(guarded, bad)
      })
      assert.ok(response)
      const asked = await refused(response, guarded)
      assert.equal(asked['error'], 'invalid_token')
      assert.deepEqual(
        events.map(({ outcome }) => outcome),
        ['denied'],
      )
      assert.ok(!edge.lines().some((line) => line.includes(bad)), 'a token was logged')
    })
  }

  test('a token in the query is no token', async () => {
    const response = await call(`${guarded}?access_token=${await token(guarded)}`, undefined)
    assert.equal(response.status, 401)
  })

  test('a good token is let in, and its request is audited once, with who and what', async () => {
    const bearer = await token(guarded)
    const events = await audited(() => call(guarded, bearer))
    assert.equal(events.length, 1)
    const [event] = events
    assert.equal(event?.['type'], 'mcp_tool_call')
    assert.equal(event['outcome'], 'success')
    assert.equal((event['subjects'] as Record<string, unknown>)['user'], 'ada')
    assert.equal((event['target'] as Record<string, unknown>)['name'], 'echo')
  })

  test('clock skew is allowed as configured, and no further', async () => {
    const late = { iat: now() - 600, exp: now() - 20 }
    assert.equal((await call(guarded, await token(guarded, late))).status, 200)
    const skewed = edge.endpoint('skewed')
    assert.equal((await call(skewed, await token(skewed, late))).status, 401)
  })

  test('an algorithm outside the list of the configuration is refused', async () => {
    const endpoint = edge.endpoint('rsa')
    await refused(await call(endpoint, await token(endpoint)), endpoint)
  })

  test('missing scopes of an endpoint are refused, and the challenge names all that are needed', async () => {
    const endpoint = edge.endpoint('scoped')
    const response = await call(endpoint, await token(endpoint, { scope: 'mcp:read' }))
    assert.equal(response.status, 403, response.body)
    const asked = challenge(response)
    assert.equal(asked['error'], 'insufficient_scope')
    assert.deepEqual(new Set(asked['scope']?.split(' ')), new Set(['mcp:read', 'mcp:use']))
    assert.ok(asked['resource_metadata'])
    assert.equal((await call(endpoint, await token(endpoint, { scope: 'mcp:read mcp:use' }))).status, 200)
  })

  test('a tool with scopes is listed, and a call without them is challenged for everything the call needs', async () => {
    const endpoint = edge.endpoint('stepped')
    const bearer = await token(endpoint, { scope: 'mcp:read' })
    const list = await exchange(endpoint, { method: 'tools/list', token: bearer })
    assert.deepEqual(toolNames(list).toSorted(), ['drop', 'echo', 'write'])
    const response = await call(endpoint, bearer, 'drop')
    assert.equal(response.status, 403, response.body)
    const asked = challenge(response)
    assert.equal(asked['error'], 'insufficient_scope')
    assert.deepEqual(new Set(asked['scope']?.split(' ')), new Set(['mcp:read', 'mcp:write', 'mcp:admin']))
    const stepped = await token(endpoint, { scope: 'mcp:read mcp:write mcp:admin' })
    assert.equal((await call(endpoint, stepped, 'drop')).status, 200)
  })

  test('a tool that a caller may not see answers exactly as one that does not exist', async () => {
    const endpoint = edge.endpoint('stepped')
    const bearer = await token(endpoint, { scope: 'mcp:read' })
    const hidden = await call(endpoint, bearer, 'read')
    const absent = await call(endpoint, bearer, 'nope')
    assert.equal(hidden.status, absent.status)
    assert.equal(hidden.body.replaceAll('read', 'NAME'), absent.body.replaceAll('nope', 'NAME'))
    const member = await token(endpoint, { scope: 'mcp:read', groups: ['readers'] })
    assert.equal((await call(endpoint, member, 'read')).status, 200)
  })

  test('an audience of its own replaces the URL of the endpoint', async () => {
    const endpoint = edge.endpoint('named')
    assert.equal((await call(endpoint, await token(endpoint))).status, 401)
    assert.equal((await call(endpoint, await token('urn:example:tools'))).status, 200)
    assert.equal((await call(endpoint, await token(['https://x.example', 'urn:example:tools'] as never))).status, 200)
  })

  test('an opaque token is introspected once, and a wrong one is refused', async () => {
    const endpoint = edge.endpoint('opaque')
    const good = edge.issuer.opaque(endpoint)
    tokens.push(good)
    const before = edge.issuer.fetches.introspection
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await call(endpoint, good)).status, 200)
    assert.equal(edge.issuer.fetches.introspection - before, 1)
    await refused(await call(endpoint, edge.issuer.opaque(guarded)), endpoint)
    await refused(await call(endpoint, 'opaque-unknown'), endpoint)
    const stale = edge.issuer.opaque(endpoint, { exp: now() - 600 })
    await refused(await call(endpoint, stale), endpoint)
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
    const response = await exchange(guarded, { method: 'tools/list', token: await token(guarded), headers })
    assert.equal(response.status, 403)
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  })

  test('a session id serves nobody but the principal that opened it', async () => {
    const endpoint = edge.endpoint('two')
    const session = await openSession(endpoint, await token(endpoint, { sub: 'ada' }))
    assert.ok(session)
    const list = (bearer: string, id: string | undefined): Promise<Exchange> =>
      exchange(endpoint, { method: 'tools/list', era: 'legacy', token: bearer, session: id })
    assert.equal((await list(await token(endpoint, { sub: 'ada' }), session)).status, 200)
    const thieves = {
      'another subject': await token(endpoint, { sub: 'eve' }),
      'the same subject of another issuer': await other.token(endpoint, { sub: 'ada' }),
    }
    for (const [thief, bearer] of Object.entries(thieves)) {
      const events = await audited(async () => {
        const response = await list(bearer, session)
        assert.equal(response.status, 404, `${thief}: ${response.body}`)
      })
      assert.equal(events.length, 1)
      assert.notEqual(events[0]?.['outcome'], 'success')
    }
    const elsewhere = await exchange(edge.endpoint('guarded'), {
      method: 'tools/list',
      era: 'legacy',
      token: await token(guarded, { sub: 'ada' }),
      session,
    })
    assert.equal(elsewhere.status, 404, 'a session of one endpoint was accepted at another')
    const tampered = `${session.slice(0, -2)}${session.endsWith('AA') ? 'BB' : 'AA'}`
    assert.equal((await list(await token(endpoint, { sub: 'ada' }), tampered)).status, 404)
  })

  test('a storm of unknown key ids does not become a storm at the issuer, and good tokens still pass', async () => {
    const before = edge.issuer.fetches.jwks + edge.issuer.fetches.discovery
    const bad = await Promise.all(
      Array.from({ length: 200 }, () => edge.issuer.forge('signed by an unknown key id', guarded)),
    )
    const statuses = await Promise.all(bad.map(async (bearer) => (await call(guarded, bearer)).status))
    assert.deepEqual([...new Set(statuses)], [401])
    const fetched = edge.issuer.fetches.jwks + edge.issuer.fetches.discovery - before
    assert.ok(fetched <= 4, `${fetched} fetches for 200 tokens`)
    assert.equal((await call(guarded, await token(guarded))).status, 200)
  })

  test('a rotated key is found, within the bound that stops a storm', { timeout: 60_000 }, async () => {
    await edge.issuer.rotate()
    const deadline = Date.now() + 40_000
    for (;;) {
      const { status } = await call(guarded, await token(guarded))
      if (status === 200) break
      assert.ok(Date.now() < deadline, 'the new key was never fetched')
      await sleep(500)
    }
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
      backend.received.length = 0
      const headers = { cookie: 'session=caller', 'x-forwarded-for': '1.2.3.4', 'x-secret': 'of the caller' }
      const ask = {
        method: 'tools/call',
        params: { name: 'echo', arguments: {} },
        token: await token(endpoint),
        headers,
      }
      assert.equal((await exchange(endpoint, ask)).status, 200)
      const [sent] = backend.calls('tools/call')
      assert.equal(sent?.headers[header], value)
      assert.equal(sent.headers['cookie'], undefined)
      assert.equal(sent.headers['x-secret'], undefined)
      assert.ok(!edge.lines().some((line) => line.includes('vendor-token') || line.includes('vendor-key')))
    }
  })

  test('no token of a caller ever reached a backend, nor a session id that the caller holds', () => {
    assert.ok(tokens.length > 10)
    for (const { headers, body, path } of backend.received) {
      const all = `${JSON.stringify(headers)}${body}${path}`
      for (const secret of tokens) assert.ok(!all.includes(secret))
      for (const secret of tokens) assert.ok(!all.includes(secret.split('.')[2] || secret))
    }
  })
})
