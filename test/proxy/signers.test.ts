// What a proxy believes of a cluster that has joined an edge: the edge speaks for callers and reads no catalog, the uplink reads the
// catalog and speaks for nobody.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertionSigner, publicKeys } from '../../edge/assertions.ts'
import { AssertionSigner } from '../../gateway/auth/assertion-signer.ts'
import type { Principal } from '../../gateway/principal.ts'
import { startIssuer, type Issuer } from '../issuer.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange, toolNames } from '../peers/wire.ts'
import { proxyConfig, server, tokensOf } from './configs.ts'
import { signingPair, startProxy, type SigningPair, type TestProxy } from './proxy.ts'

const SELF = 'test/test/MCPServer/tools'
/** The edge's own audit event of the request. */
const REQUEST = '11111111-2222-4333-8444-555555555555'
const NONE = { claims: [], groups: [] }

describe('a proxy of a cluster that has joined an edge', () => {
  let issuer: Issuer
  let recorder: Recorder
  let proxy: TestProxy
  let edge: AssertionSigner
  let uplink: AssertionSigner
  let edgeKey: SigningPair
  const ada = (): Principal => ({
    id: `${issuer.url} ada`,
    issuer: issuer.url,
    subject: 'ada',
    clientId: 'cli',
    scopes: new Set(),
    groups: [],
    claims: {},
    expires: Number.POSITIVE_INFINITY,
  })
  before(async () => {
    issuer = await startIssuer()
    recorder = await startRecorder()
    const uplinkKey = await signingPair('u1')
    edgeKey = await signingPair('e1')
    const env = { ASSERTION_KEYS: JSON.stringify([edgeKey.privateJwk]) }
    const signer = assertionSigner(env, Date.now)
    assert.ok(signer)
    edge = signer
    uplink = new AssertionSigner('test/uplink', { kid: 'u1', key: uplinkKey.privateJwk }, Date.now)
    const signers = [
      { issuer: 'edge', uses: ['call' as const], jwks: publicKeys(env) },
      { issuer: 'test/uplink', uses: ['catalog' as const], jwks: { keys: [uplinkKey.publicJwk] } },
    ]
    const guard = tokensOf(issuer.url, 'https://fleet.example/mcp')
    proxy = await startProxy({
      config: proxyConfig({ servers: [server('test/tools', recorder.url)], guard, signers }),
    })
  })
  after(async () => {
    await proxy?.close()
    await Promise.all([recorder, issuer].map((peer) => peer?.close()))
  })
  const call = (assertion: string) =>
    exchange(proxy.mcp, {
      method: 'tools/call',
      params: { name: 'echo', arguments: {} },
      headers: { 'waggle-assertion': assertion, 'waggle-request-id': REQUEST },
    })
  const read = async (assertion: string): Promise<number> =>
    (await fetch(`${proxy.internal}/catalog`, { headers: { 'waggle-assertion': assertion } })).status

  test('answers the edge’s callers, and audits who they are and by whose word', async () => {
    const { status, answer } = await call(await edge.caller(ada(), SELF, NONE))
    assert.equal(status, 200)
    assert.ok(answer?.result)
    const { subjects, source } = await proxy.audited(({ type }) => type === 'mcp_tool_call')
    assert.equal(subjects['user'], 'ada')
    assert.equal(subjects['asserted_by'], 'edge')
    assert.equal(source.extra['request_id'], REQUEST)
    const list = { method: 'tools/list', headers: { 'waggle-assertion': await edge.caller(ada(), SELF, NONE) } }
    assert.ok(toolNames(await exchange(proxy.mcp, list)).includes('echo'))
  })

  test('does not show the edge its catalog', async () => {
    assert.equal(await read(await edge.catalog(SELF)), 401)
    assert.equal(await read(await edge.caller(ada(), SELF, NONE)), 401)
  })

  test('shows the uplink its catalog', async () => {
    assert.equal(await read(await uplink.catalog(SELF)), 200)
  })

  test('answers no caller whom the uplink asserts, and does not act for the uplink itself', async () => {
    const asked = recorder.received.length
    assert.equal((await call(await uplink.caller(ada(), SELF, NONE))).status, 401)
    assert.equal((await call(await uplink.catalog(SELF))).status, 401)
    assert.equal(recorder.received.length, asked)
  })

  test('believes neither of them for another server', async () => {
    const other = 'test/test/MCPServer/other'
    assert.equal((await call(await edge.caller(ada(), other, NONE))).status, 401)
    assert.equal(await read(await uplink.catalog(other)), 401)
    // The same server of another cluster.
    assert.equal((await call(await edge.caller(ada(), 'prod/test/MCPServer/tools', NONE))).status, 401)
  })

  test('writes down every assertion that it refuses, once, and does nothing', async () => {
    const asked = recorder.received.length
    for (let known = -1; known !== proxy.audit().length; await sleep(250)) known = proxy.audit().length
    const from = proxy.audit().length
    const forger = await signingPair('e1')
    const stranger = new AssertionSigner('edge', { kid: 'e1', key: forger.privateJwk }, Date.now)
    const late = assertionSigner({ ASSERTION_KEYS: JSON.stringify([edgeKey.privateJwk]) }, () => Date.now() - 120_000)
    assert.ok(late)
    const wrong = [
      await stranger.caller(ada(), SELF, NONE),
      await late.caller(ada(), SELF, NONE),
      await edge.caller(ada(), 'test/test/MCPServer/other', NONE),
      await edge.caller(ada(), 'prod/test/MCPServer/tools', NONE),
      'made-up',
    ]
    for (const assertion of wrong) assert.equal((await call(assertion)).status, 401)
    const refused = () =>
      proxy
        .audit()
        .slice(from)
        .filter(({ outcome }) => outcome === 'denied')
    await proxy.audited(() => refused().length >= wrong.length)
    assert.equal(refused().length, wrong.length)
    for (const { metadata, subjects } of refused()) {
      assert.equal(metadata.extra['reason'], 'unauthenticated')
      assert.match(String(metadata.extra['detail']), /^assertion /u)
      assert.equal(subjects['user'], undefined, 'nobody is named by what does not verify')
    }
    assert.equal(recorder.received.length, asked)
  })
})
