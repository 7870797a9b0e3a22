// Proxies conform, and so does a virtual server that calls one as its caller.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { conform, explain, failing } from '../conformance/suite.ts'
import { startFixture, type Fixture } from '../peers/fixture.ts'
import { proxied, proxyConfig, server, signer, virtualConfig } from './configs.ts'
import { signingPair, startProxy, type TestProxy } from './proxy.ts'

describe('conformance in a cluster', () => {
  let fixture: Fixture
  let proxy: TestProxy
  let virtual: TestProxy
  before(async () => {
    const keys = await signingPair()
    fixture = await startFixture()
    const one = server('test/one', fixture.url)
    proxy = await startProxy({ config: proxyConfig({ name: 'one', servers: [one], signers: [signer(keys)] }) })
    const config = virtualConfig({ servers: [proxied('one', proxy)] })
    const { endpoint } = config
    virtual = await startProxy({
      role: 'vmcp',
      signing: keys,
      config: { ...config, endpoint: { ...endpoint, aggregation: { ...endpoint.aggregation, prefixFormat: '' } } },
    })
  })
  after(async () => {
    await virtual?.close()
    await proxy?.close()
    await fixture?.close()
  })

  for (const host of ['a proxy', 'a virtual server over a proxy'])
    for (const revision of ['2025-11-25', '2026-07-28'] as const)
      test(`every scored scenario of ${revision} passes at ${host}`, async () => {
        const { mcp } = host === 'a proxy' ? proxy : virtual
        const report = await conform(mcp, revision)
        assert.equal(report.scored.length, report.required)
        assert.deepEqual(failing(report.scored), [], explain(report.scored))
      })
})
