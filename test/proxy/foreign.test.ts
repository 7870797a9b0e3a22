// What belongs to another namespace, or to nobody's, gets nothing from a proxy: no Secret of the same name, no way inward.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startIssuer, type Issuer } from '../issuer.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import { member, proxyConfig, server, tokensOf } from './configs.ts'
import { startProxy } from './proxy.ts'

describe('a server of another namespace', () => {
  let recorder: Recorder
  before(async () => {
    recorder = await startRecorder()
  })
  after(() => recorder?.close())

  test('gets no Secret of the proxy’s own namespace, although its own has the same name', async () => {
    const github = { namespace: 'elsewhere', name: 'github', key: 'token' }
    const credential = { kind: 'header', header: 'authorization', prefix: 'Bearer ', secret: github } as const
    for (const rest of [{ credential }, { secretHeaders: [{ header: 'x-token', secret: github }] }]) {
      const theirs = server('elsewhere/tools', recorder.url, rest)
      const proxy = await startProxy({
        config: proxyConfig({ servers: [theirs], members: [member(theirs)] }),
        secrets: { 'github/token': 'of-this-namespace' },
      })
      await exchange(proxy.mcp, { method: 'tools/call', params: { name: 'echo', arguments: {} } })
      await proxy.close()
    }
    assert.doesNotMatch(JSON.stringify(recorder.received), /of-this-namespace/u)
  })
})

describe('an issuer', () => {
  let issuer: Issuer
  before(async () => {
    issuer = await startIssuer()
  })
  after(() => issuer?.close())

  test('whose one address the admin allowed is asked nothing at another that is inside', async () => {
    const audience = 'https://tools.example/mcp'
    const backend = server('test/tools', 'http://127.0.0.1:9/mcp')
    const guard = tokensOf(issuer.url.replace('127.0.0.1', 'localhost'), audience, {
      jwksUrl: 'http://localhost:9/keys',
      introspectionUrl: `${issuer.url}/introspect`,
      clientId: issuer.clientId,
      allowPrivate: false,
    })
    const proxy = await startProxy({
      config: proxyConfig({ servers: [backend], guard }, { egressAllow: ['localhost'] }),
    })
    const { answer } = await exchange(proxy.mcp, { method: 'tools/list', token: issuer.opaque(audience) })
    await proxy.close()
    assert.equal(answer?.result, undefined)
    assert.equal(issuer.fetches.introspection, 0)
  })
})
