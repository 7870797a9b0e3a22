// A virtual server over proxies: one login for all of them, each of which knows the real caller and trusts nobody else.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { importJWK, SignJWT, type CryptoKey } from 'jose'
import { AssertionSigner } from '../../gateway/auth/assertion-signer.ts'
import type { Principal } from '../../gateway/principal.ts'
import { connectV2 } from '../clients/sdk.ts'
import { startIssuer, type Issuer } from '../issuer.ts'
import { startFixture, type Fixture } from '../peers/fixture.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'
import { listen, subscribe } from '../streams/listener.ts'
import { member, proxied, proxyConfig, server, signer, tokensOf, virtualConfig } from './configs.ts'
import { signingPair, startProxy, type SigningPair, type TestProxy } from './proxy.ts'

const audience = 'https://fleet.example/mcp'
const MEMBER = 'test/test/MCPServer/recorded'

describe('a virtual server over proxies', () => {
  let issuer: Issuer
  let keys: SigningPair
  let recorder: Recorder
  let fixture: Fixture
  let recorded: TestProxy
  let fixed: TestProxy
  let late: TestProxy
  let virtual: TestProxy
  const virtualOf = (proxies: Readonly<Record<string, TestProxy>>) => {
    const servers = Object.entries(proxies).map(([name, proxy]) => proxied(name, proxy))
    return virtualConfig({ servers, guard: tokensOf(issuer.url, audience) })
  }
  before(async () => {
    issuer = await startIssuer()
    keys = await signingPair()
    recorder = await startRecorder()
    fixture = await startFixture({ eras: 'legacy' })
    const guard = tokensOf(issuer.url, audience)
    const behind = (name: string, url: string) => {
      const one = server(`test/${name}`, url)
      const members = [member(one, { rules: [{ tools: ['test_simple_text'], groups: ['engineers'] }] })]
      return startProxy({
        config: proxyConfig({ name, servers: [one], members, guard, signers: [signer(keys)] }),
      })
    }
    ;[recorded, fixed, late] = await Promise.all([
      behind('recorded', recorder.url),
      behind('fixed', fixture.url),
      behind('late', recorder.url),
    ])
    virtual = await startProxy({ role: 'vmcp', config: virtualOf({ recorded, fixed }), signing: keys })
  })
  after(async () => {
    await Promise.all([virtual, recorded, fixed, late].map((proxy) => proxy?.close()))
    await Promise.all([recorder, fixture, issuer].map((peer) => peer?.close()))
  })
  const ada = (claims = {}) => issuer.token(audience, { sub: 'ada', ...claims })
  const call = async (token: string, name: string, era: 'modern' | 'legacy' = 'modern', session?: string) =>
    exchange(virtual.mcp, { method: 'tools/call', params: { name, arguments: {} }, token, era, session })

  test('without its signing key takes no traffic, and says why', async () => {
    const config = virtualOf({ recorded })
    await assert.rejects(startProxy({ role: 'vmcp', config, readyMs: 2_000 }), /not ready: the signing key is missing/)
  })

  test('offers the tools of all members, each under its member’s name', async () => {
    const names = await virtual.lists(['recorded_echo', 'fixed_test_simple_text'], await ada())
    assert.ok(names.every((name) => /^(recorded|fixed)_/u.test(name)))
  })

  test('calls as the caller: each member audits who it really was, in one trail with the virtual server', async () => {
    const token = await ada({ groups: ['engineers'] })
    const { answer } = await call(token, 'fixed_test_simple_text')
    assert.ok(answer?.result, JSON.stringify(answer))
    const outer = await virtual.audited(({ target }) => target['name'] === 'fixed_test_simple_text')
    const inner = await fixed.audited(({ target }) => target['name'] === 'test_simple_text')
    assert.equal(outer.component, 'vmcp')
    assert.equal(inner.component, 'proxy')
    assert.equal(inner.audit_id, outer.audit_id)
    assert.equal(inner.metadata.extra['trace_id'], outer.metadata.extra['trace_id'])
    assert.equal(inner.subjects['user_id'], `${issuer.url} ada`)
    assert.equal(inner.subjects['client_id'], 'test-client')
    assert.equal(inner.subjects['asserted_by'], 'test/test/VirtualMCPServer/all')
  })

  test('serves legacy clients too, with a session of their own at every member', async () => {
    const token = await ada({ groups: ['engineers'] })
    const session = await openSession(virtual.mcp, token)
    const { answer } = await call(token, 'fixed_test_simple_text', 'legacy', session)
    assert.ok(answer?.result, JSON.stringify(answer))
    const client = await connectV2(virtual.mcp, token, 'legacy')
    assert.ok(await client.callTool('fixed_test_simple_text', {}))
    await client.close()
  })

  test('sends neither tokens nor assertions to servers', async () => {
    const token = await ada()
    assert.ok((await call(token, 'recorded_echo')).answer?.result)
    const sent = JSON.stringify(recorder.received.map(({ headers }) => headers))
    assert.doesNotMatch(sent, /authorization|waggle-assertion/u)
    assert.ok(!sent.includes(token.slice(-40)))
  })

  test('a member applies its own policy to the caller, whatever the virtual server would allow', async () => {
    const token = await ada()
    const refused = await call(token, 'fixed_test_simple_text')
    assert.equal(refused.answer?.error?.code, -32602)
    const direct = await exchange(fixed.mcp, { method: 'tools/list', token })
    assert.ok(!toolNames(direct).includes('test_simple_text'))
  })

  describe('its members refuse', () => {
    const principal = (issuerUrl: string): Principal => ({
      id: `${issuerUrl} eve`,
      issuer: issuerUrl,
      subject: 'eve',
      clientId: undefined,
      scopes: new Set(),
      groups: ['engineers'],
      claims: {},
      expires: Number.POSITIVE_INFINITY,
    })
    const forger = async (
      of: { iss?: string; pair?: SigningPair; audience?: string; now?: () => number } = {},
    ): Promise<string> => {
      const pair = of.pair ?? keys
      const key = (await importJWK(pair.privateJwk, 'ES256')) as CryptoKey
      const made = new AssertionSigner(
        of.iss ?? 'test/test/VirtualMCPServer/all',
        { kid: pair.privateJwk.kid ?? '', key },
        of.now ?? Date.now,
      )
      return made.caller(principal(issuer.url), of.audience ?? MEMBER, { claims: [], groups: [] })
    }
    const status = async (assertion: string, token?: string) =>
      (await exchange(recorded.mcp, { method: 'tools/list', token, headers: { 'waggle-assertion': assertion } })).status

    test('nothing that the virtual server itself signs for them', async () => {
      assert.equal(await status(await forger()), 200)
    })
    test('assertions of another key', async () => {
      assert.equal(await status(await forger({ pair: await signingPair('k1') })), 401)
    })
    test('assertions of a signer that their configuration does not list', async () => {
      assert.equal(await status(await forger({ iss: 'test/test/VirtualMCPServer/other' })), 401)
    })
    test('assertions for another server', async () => {
      assert.equal(await status(await forger({ audience: 'test/test/MCPServer/fixed' })), 401)
    })
    test('assertions that have ended, or begin later', async () => {
      assert.equal(await status(await forger({ now: () => Date.now() - 120_000 })), 401)
      assert.equal(await status(await forger({ now: () => Date.now() + 120_000 })), 401)
    })
    test('assertions that were changed on their way', async () => {
      const [head = '', body = '', signature = ''] = (await forger()).split('.')
      const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
      claims['sub_id'] = { format: 'iss_sub', iss: issuer.url, sub: 'root' }
      const changed = Buffer.from(JSON.stringify(claims)).toString('base64url')
      assert.equal(await status(`${head}.${changed}.${signature}`), 401)
    })
    test('tokens that are signed by the right key and are no assertions', async () => {
      const key = (await importJWK(keys.privateJwk, 'ES256')) as CryptoKey
      const now = Math.floor(Date.now() / 1000)
      const sub = { format: 'iss_sub', iss: issuer.url, sub: 'eve' }
      const signed = (typ: string, claims: object, exp = now + 60) =>
        new SignJWT({ iss: 'test/test/VirtualMCPServer/all', aud: MEMBER, iat: now, exp, ...claims })
          .setProtectedHeader({ alg: 'ES256', typ, kid: 'k1' })
          .sign(key)
      assert.equal(await status(await signed('waggle-assertion+jwt', { use: 'call', sub_id: sub })), 200)
      assert.equal(await status(await signed('at+jwt', { use: 'call', sub_id: sub })), 401)
      assert.equal(await status(await signed('waggle-assertion+jwt', { use: 'call' })), 401)
      assert.equal(await status(await signed('waggle-assertion+jwt', { use: 'catalog' })), 401)
      assert.equal(await status(await signed('waggle-assertion+jwt', { use: 'call', sub_id: sub }, now + 900)), 401)
      const many = { use: 'call', sub_id: sub, aud: [MEMBER, 'test/test/MCPServer/fixed'] }
      assert.equal(await status(await signed('waggle-assertion+jwt', many)), 401)
    })
    test('a bad assertion even beside a good token', async () => {
      assert.equal(await status('a.b.c', await ada()), 401)
    })
    test('anonymous callers where they ask for tokens', async () => {
      const key = (await importJWK(keys.privateJwk, 'ES256')) as CryptoKey
      const made = new AssertionSigner('test/test/VirtualMCPServer/all', { kid: 'k1', key }, Date.now)
      const nobody = { ...principal('anonymous'), id: 'anonymous anonymous', subject: 'anonymous' }
      assert.equal(await status(await made.caller(nobody, MEMBER, { claims: [], groups: [] })), 401)
    })
    test('readers of their catalog without an assertion for it', async () => {
      const read = async (headers: Record<string, string>) =>
        (await fetch(`${recorded.internal}/catalog`, { headers })).status
      assert.equal(await read({}), 401)
      assert.equal(await read({ 'waggle-assertion': await forger() }), 401)
      const key = (await importJWK(keys.privateJwk, 'ES256')) as CryptoKey
      const made = new AssertionSigner('test/test/VirtualMCPServer/all', { kid: 'k1', key }, Date.now)
      assert.equal(await read({ 'waggle-assertion': await made.catalog('test/test/MCPServer/fixed') }), 401)
      assert.equal(await read({ 'waggle-assertion': await made.catalog(MEMBER) }), 200)
    })
    test('a reader of their catalog from the moment when it is not trusted any more, also while it waits', async () => {
      const one = server('test/left', recorder.url)
      const config = proxyConfig({ name: 'left', servers: [one], signers: [signer(keys)] })
      const left = await startProxy({ config })
      const key = (await importJWK(keys.privateJwk, 'ES256')) as CryptoKey
      const made = new AssertionSigner('test/test/VirtualMCPServer/all', { kid: 'k1', key }, Date.now)
      const headers = { 'waggle-assertion': await made.catalog('test/test/MCPServer/left') }
      const first = await fetch(`${left.internal}/catalog`, { headers })
      assert.equal(first.status, 200)
      await first.text()
      const digest = first.headers.get('waggle-catalog-digest') ?? ''
      const waiting = fetch(`${left.internal}/catalog?digest=${digest}`, { headers })
      await sleep(200)
      await left.configure({ ...config, signers: [] })
      assert.equal((await waiting).status, 401)
      await left.close()
    })
  })

  test('announces a member that joins to clients that listen, without a reconnect', async () => {
    const token = await ada()
    const session = (await openSession(virtual.mcp, token)) ?? ''
    const heard = await listen(virtual.mcp, token, session)
    try {
      await sleep(200)
      await virtual.configure(virtualOf({ recorded, fixed, late }))
      await heard.until(({ method }) => method === 'notifications/tools/list_changed')
      const { answer } = await exchange(virtual.mcp, { method: 'tools/list', token, era: 'legacy', session })
      assert.match(JSON.stringify(answer), /late_echo/u)
      assert.ok((await call(token, 'late_echo', 'legacy', session)).answer?.result)
    } finally {
      heard.leave()
    }
  })

  test('announces a tool that a server gains, through its proxy', async () => {
    const token = await ada()
    const heard = await subscribe(virtual.mcp, token, { toolsListChanged: true })
    try {
      fixture.offer('brand_new')
      await heard.until(({ method }) => method === 'notifications/tools/list_changed')
      await virtual.lists(['fixed_brand_new'], token)
    } finally {
      heard.leave()
    }
  })

  test('lets go of a member that leaves', async () => {
    await virtual.configure(virtualOf({ recorded, fixed }))
    const names = await virtual.lists(['recorded_echo'], await ada())
    assert.ok(!names.some((name) => name.startsWith('late_')))
  })

  test('serves the others while one member is away, and that one when it is back', async () => {
    await recorded.configure({ ...recordedConfig(), signers: [] })
    const token = await ada()
    const refused = await call(token, 'recorded_echo')
    assert.ok(refused.answer?.error)
    assert.ok((await call(await ada({ groups: ['engineers'] }), 'fixed_test_simple_text')).answer?.result)
    await recorded.configure(recordedConfig())
    assert.ok((await call(token, 'recorded_echo')).answer?.result)
  })
  const recordedConfig = () => {
    const one = server('test/recorded', recorder.url)
    return proxyConfig({
      name: 'recorded',
      servers: [one],
      guard: tokensOf(issuer.url, audience),
      signers: [signer(keys)],
    })
  }
})
