// The endpoint of everything spans servers, issuers and credentials that know nothing of each other: what one endpoint
// grants must not open another, and what a caller may not see must not reach it in any form.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import type { Issuer } from '../issuer.ts'
import { entry, manifest, oidc, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange, openSession, toolNames } from '../peers/wire.ts'

const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`
type Spec = Readonly<Record<string, unknown>>

const oidcAuth = (name: string): Spec => ({ incomingAuth: { type: 'oidc', oidcConfigRef: { name } } })

/** Waits (60 s) until the edge has asked a server for its tools. */
async function listed(server: Recorder): Promise<void> {
  for (let turn = 0; turn < 600 && server.calls('tools/list').length === 0; turn += 1) await sleep(100)
  await sleep(3_000)
}

describe('the endpoint of everything', () => {
  let edge: TestEdge
  let elsewhere: Issuer
  let shared: Recorder
  let secret: Recorder
  let ledger: Recorder
  let url: string

  before(async () => {
    shared = await startRecorder({ era: 'both', tools: ['read', 'write'].map(tool) })
    secret = await startRecorder({ tools: ['merger'].map(tool) })
    ledger = await startRecorder({ era: 'legacy', tools: ['merger_book'].map(tool) })
    const capabilities = '{"tools":{},"x-merger-extension":{}}'
    secret.on(
      'server/discover',
      () =>
        `{"supportedVersions":["2026-07-28"],"capabilities":${capabilities},"instructions":"Merger with ACME on Friday"}`,
    )
    elsewhere = await startIssuer()
    edge = await startEdge()
    await edge.secret('tokens', { strong: 'strong-token', weak: 'weak-token' })
    const bearer = (name: string, key: string) =>
      manifest('MCPExternalAuthConfig', name, {
        type: 'bearerToken',
        bearerToken: { tokenSecretRef: { name: 'tokens', key } },
      })
    const outgoing = (name: string): Spec => ({
      outgoingAuth: {
        source: 'inline',
        backends: { shared: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name } } },
      },
    })
    await edge.apply([
      bearer('strong', 'strong'),
      bearer('weak', 'weak'),
      entry('shared', shared.url),
      entry('secret', secret.url),
      entry('ledger', ledger.url),
      oidc('elsewhere', elsewhere.url),
      oidc('roles', edge.issuer.url, {}, { 'waggle.dev/groups-claim': 'roles' }),
      virtual('a-strong', ['shared'], { ...oidcAuth('elsewhere'), ...outgoing('strong') }),
      virtual('b-weak', ['shared'], outgoing('weak')),
      virtual('board', ['secret', 'ledger'], oidcAuth('elsewhere')),
      virtual('roles', ['shared'], { ...oidcAuth('roles'), ...outgoing('weak') }),
      policy('weak-write', 'b-weak', [{ tools: ['write'], groups: ['nobody-at-all'] }]),
      policy('role-write', 'roles', [{ tools: ['write'], groups: ['admins'] }]),
    ])
    await edge.lists(edge.endpoint('b-weak'), ['read'])
    url = `${edge.url}/mcp`
    await edge.lists(url, ['shared_read'])
    await listed(ledger)
  })

  after(async () => {
    await edge?.close()
    await elsewhere?.close()
    for (const peer of [shared, secret, ledger]) await peer?.close()
  })

  test('a call uses the credential of the endpoint that admits the caller, not that of another', async () => {
    const token = await edge.token(url)
    const before = shared.received.length
    const called = await exchange(url, { method: 'tools/call', params: { name: 'shared_read', arguments: {} }, token })
    assert.ok(called.answer?.result, called.body)
    const used = shared.received
      .slice(before)
      .filter(({ message }) => message?.method === 'tools/call')
      .map(({ headers }) => headers.authorization)
    assert.deepEqual(used, ['Bearer weak-token'])
  })

  test('what hidden servers say about themselves stays hidden', async () => {
    const token = await edge.token(url)
    assert.deepEqual(
      toolNames(await exchange(url, { method: 'tools/list', token })).filter((n) => n.includes('merger')),
      [],
    )
    const discovered = await exchange(url, { method: 'server/discover', token })
    assert.doesNotMatch(discovered.body, /merger|test\/secret/i)
    const initialized = await exchange(url, {
      method: 'initialize',
      era: 'legacy',
      token,
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    })
    assert.doesNotMatch(initialized.body, /merger|test\/secret/i)
  })

  test('groups are read from the claim that the granting endpoint names', async () => {
    const claims = { groups: ['admins'], roles: ['guests'] }
    const direct = await exchange(edge.endpoint('roles'), {
      method: 'tools/list',
      token: await edge.token(edge.endpoint('roles'), claims),
    })
    assert.deepEqual(toolNames(direct), ['read'])
    const listed = await exchange(url, { method: 'tools/list', token: await edge.token(url, claims) })
    assert.ok(!toolNames(listed).includes('shared_write'), listed.body)
  })

  test('a log level is told to no server that the caller may not use', async () => {
    const before = ledger.calls('initialize').length
    const token = await edge.token(url)
    const session = await openSession(url, token)
    await exchange(url, { method: 'logging/setLevel', era: 'legacy', token, session, params: { level: 'debug' } })
    await sleep(300)
    assert.equal(ledger.calls('logging/setLevel').length, 0)
    assert.equal(
      ledger.calls('initialize').length,
      before,
      'a session was opened at a server that is hidden from the caller',
    )
  })
})

describe('opaque tokens at the endpoint of everything', () => {
  let edge: TestEdge
  let curious: Issuer
  let backend: Recorder

  before(async () => {
    backend = await startRecorder()
    curious = await startIssuer()
    edge = await startEdge()
    const { issuer } = edge
    await edge.secret('introspection', { honest: issuer.clientSecret, curious: curious.clientSecret })
    const introspection = (one: Issuer, key: string): Spec => ({
      introspectionUrl: `${one.url}/introspect`,
      clientId: one.clientId,
      clientSecretRef: { name: 'introspection', key },
    })
    await edge.apply([
      entry('backend', backend.url),
      oidc('curious', curious.url, { ...introspection(curious, 'curious') }),
      oidc('honest', issuer.url, { ...introspection(issuer, 'honest') }),
      virtual('a-curious', ['backend'], oidcAuth('curious')),
      virtual('b-honest', ['backend'], oidcAuth('honest')),
    ])
    await edge.lists(edge.endpoint('b-honest'), ['echo'])
  })

  after(async () => {
    await edge?.close()
    await curious?.close()
    await backend?.close()
  })

  test('one issuer does not get to see the tokens of another', async () => {
    const before = curious.fetches.introspection
    const token = edge.issuer.opaque(`${edge.url}/mcp`)
    await exchange(`${edge.url}/mcp`, { method: 'tools/list', token })
    assert.equal(curious.fetches.introspection, before, 'a live token was sent to another issuer')
  })
})
