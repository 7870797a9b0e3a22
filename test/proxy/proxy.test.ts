// One proxy in front of one server, as clients in a cluster see it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectV2 } from '../clients/sdk.ts'
import { settle, travel } from '../clients/journey.ts'
import { startIssuer, type Issuer } from '../issuer.ts'
import { startFixture, type Fixture } from '../peers/fixture.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import { member, proxyConfig, server, tokensOf } from './configs.ts'
import { startProxy, type TestProxy } from './proxy.ts'

describe('a proxy that anybody may use', () => {
  let fixture: Fixture
  let proxy: TestProxy
  before(async () => {
    fixture = await startFixture()
    proxy = await startProxy({ config: proxyConfig({ servers: [server('test/tools', fixture.url)] }) })
  })
  after(async () => {
    await proxy?.close()
    await fixture?.close()
  })

  for (const mode of ['auto', 'legacy', { pin: '2026-07-28' }] as const)
    test(`shows clients what the server shows (${JSON.stringify(mode)})`, async () => {
      const direct = settle(await travel(await connectV2(fixture.url, undefined, 'auto')))
      const seen = settle(await travel(await connectV2(proxy.mcp, undefined, mode)))
      assert.deepEqual(seen, direct)
    })

  test('answers at both paths, and nowhere else', async () => {
    for (const path of ['/mcp', '/']) {
      const list = await exchange(`${proxy.url}${path}`, { method: 'tools/list' })
      assert.equal(list.status, 200, path)
    }
    assert.equal((await exchange(`${proxy.url}/other`, { method: 'tools/list' })).status, 404)
    assert.equal((await fetch(proxy.mcp, { method: 'PUT' })).status, 405)
  })

  test('has no metadata, a health page as ToolHive’s, probes and metrics', async () => {
    assert.equal((await fetch(`${proxy.url}/.well-known/oauth-protected-resource/mcp`)).status, 404)
    const health = (await (await fetch(`${proxy.url}/health`)).json()) as Record<string, unknown>
    assert.equal(health['status'], 'healthy')
    assert.equal((health['mcp'] as Record<string, unknown>)['available'], true)
    assert.equal((await fetch(`${proxy.internal}/livez`)).status, 200)
    await exchange(proxy.mcp, { method: 'tools/call', params: { name: 'test_simple_text', arguments: {} } })
    const scrape = async () => (await fetch(`${proxy.internal}/metrics`)).text()
    const counted = /toolhive_mcp_tool_calls_total\{server="test\/tools",tool="test_simple_text",status="success"\} \d/u
    // A call is counted when it is over, which its caller may see first.
    for (const deadline = Date.now() + 30_000; !counted.test(await scrape()); await sleep(50))
      assert.ok(Date.now() < deadline, await scrape())
    assert.match(await scrape(), /waggle_servers\{server="test\/tools",state="ok"\} 1/u)
  })

  test('leaves one event for each request on stdout', async () => {
    const { answer } = await exchange(proxy.mcp, {
      method: 'tools/call',
      params: { name: 'test_simple_text', arguments: {} },
      headers: { 'user-agent': 'counted', 'waggle-request-id': '11111111-1111-4111-8111-111111111111' },
    })
    assert.ok(answer?.result)
    const event = await proxy.audited(({ source }) => source.extra['user_agent'] === 'counted')
    assert.equal(event.component, 'proxy')
    assert.equal(event.outcome, 'success')
    assert.equal(event.source.value, '127.0.0.1')
    assert.equal(event.metadata.extra['backend_name'], 'test/tools')
    assert.notEqual(event.audit_id, '11111111-1111-4111-8111-111111111111')
  })

  test('refuses an assertion that nobody can have signed', async () => {
    const { status } = await exchange(proxy.mcp, { method: 'tools/list', headers: { 'waggle-assertion': 'a.b.c' } })
    assert.equal(status, 401)
  })

  test('refuses a page of another origin', async () => {
    const { status } = await exchange(proxy.mcp, { method: 'tools/list', headers: { origin: 'https://evil.example' } })
    assert.equal(status, 403)
  })
})

describe('a proxy that asks for tokens', () => {
  const audience = 'http://mcp-tools-proxy.test.svc.cluster.local:8080/mcp'
  let issuer: Issuer
  let recorder: Recorder
  let proxy: TestProxy
  before(async () => {
    issuer = await startIssuer()
    recorder = await startRecorder()
    const backend = server('test/tools', recorder.url, {
      credential: {
        kind: 'header',
        header: 'authorization',
        prefix: 'Bearer ',
        secret: { namespace: 'test', name: 'github', key: 'token' },
      },
    })
    const rules = [{ tools: ['*'], groups: ['engineers'] }]
    proxy = await startProxy({
      config: proxyConfig({
        servers: [backend],
        members: [member(backend, { rules })],
        guard: tokensOf(issuer.url, audience),
      }),
      secrets: { 'github/token': 'the-own-credential\n' },
    })
  })
  after(async () => {
    await proxy?.close()
    await recorder?.close()
    await issuer?.close()
  })

  test('challenges whoever comes without one, and says where tokens come from', async () => {
    const { status, headers } = await exchange(proxy.mcp, { method: 'tools/list' })
    assert.equal(status, 401)
    assert.match(
      headers.get('www-authenticate') ?? '',
      /resource_metadata="http:\/\/mcp-tools-proxy\.test\.svc\.cluster\.local:8080\/\.well-known\/oauth-protected-resource\/mcp"/u,
    )
    const response = await fetch(`${proxy.url}/.well-known/oauth-protected-resource/mcp`)
    const document = (await response.json()) as Record<string, unknown>
    assert.deepEqual(document['authorization_servers'], [issuer.url])
    assert.equal(document['resource'], audience)
  })

  test('admits callers with a token, shows each what it may see, and audits who it was', async () => {
    const engineer = await issuer.token(audience, { sub: 'ada', groups: ['engineers'] })
    const other = await issuer.token(audience, { sub: 'bob' })
    const names = await proxy.lists([], engineer)
    assert.ok(names.length > 0)
    assert.deepEqual(await proxy.lists([], other), [])
    const event = await proxy.audited(({ subjects }) => subjects['user'] === 'bob')
    assert.equal(event.subjects['user_id'], `${issuer.url} bob`)
    assert.equal((await exchange(proxy.mcp, { method: 'tools/list', token: 'a.b.c' })).status, 401)
    const forged = await issuer.forge('signed by another key', audience)
    assert.equal((await exchange(proxy.mcp, { method: 'tools/list', token: forged })).status, 401)
  })

  test('sends the server its own credential and never the caller’s token', async () => {
    const token = await issuer.token(audience, { groups: ['engineers'] })
    const [name = ''] = await proxy.lists([], token)
    await exchange(proxy.mcp, { method: 'tools/call', token, params: { name, arguments: {} } })
    assert.ok(recorder.received.length > 0)
    for (const { headers } of recorder.received) {
      assert.equal(headers['authorization'], 'Bearer the-own-credential')
      assert.doesNotMatch(JSON.stringify(headers), new RegExp(token.slice(-40), 'u'))
      assert.equal(headers['waggle-assertion'], undefined)
    }
    assert.doesNotMatch(proxy.lines().join('\n'), /the-own-credential/u)
  })

  test('uses a secret that was replaced within seconds', async () => {
    await proxy.secret('github/token', 'another-credential')
    await sleep(1_100)
    const token = await issuer.token(audience, { groups: ['engineers'] })
    const [name = ''] = await proxy.lists([], token)
    await exchange(proxy.mcp, { method: 'tools/call', token, params: { name, arguments: {} } })
    assert.equal(recorder.received.at(-1)?.headers['authorization'], 'Bearer another-credential')
  })
})
