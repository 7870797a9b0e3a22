// What becomes of one name that two members want, and of a server on the old SSE transport, behind real proxies' program.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEverything } from '../../examples/servers/everything.ts'
import type { RunConfig } from '../../agent/run-config.ts'
import { startIssuer } from '../issuer.ts'
import { startRecorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { proxyConfig, server, tokensOf, virtualConfig } from './configs.ts'
import { startProxy } from './proxy.ts'

test('the conflict strategies decide whose a name is', async () => {
  const [one, two] = await Promise.all([startRecorder(), startRecorder()])
  const servers = [server('test/one', one.url), server('test/two', two.url)]
  const base = virtualConfig({ servers })
  const strategy = (aggregation: Partial<RunConfig['endpoint']['aggregation']>): RunConfig => ({
    ...base,
    endpoint: { ...base.endpoint, aggregation: { ...base.endpoint.aggregation, ...aggregation } },
  })
  const proxy = await startProxy({ role: 'vmcp', config: base })
  try {
    assert.deepEqual(await proxy.lists(['one_echo']), ['one_echo', 'two_echo'])
    await proxy.configure(strategy({ strategy: 'priority', priorityOrder: ['two', 'one'] }))
    assert.deepEqual(await proxy.lists(['echo']), ['echo'])
    await exchange(proxy.mcp, { method: 'tools/call', params: { name: 'echo', arguments: {} } })
    assert.deepEqual([one.calls('tools/call').length, two.calls('tools/call').length], [0, 1])
    await proxy.configure(strategy({ strategy: 'manual' }))
    assert.deepEqual(await proxy.lists([]), [])
  } finally {
    await proxy.close()
    await Promise.all([one.close(), two.close()])
  }
})

test('a server on the old SSE transport is served to clients of both eras', async () => {
  const everything = await startEverything({ transport: 'sse' })
  const proxy = await startProxy({
    config: proxyConfig({ servers: [server('test/old', everything.url, { transport: 'sse' })] }),
  })
  try {
    await proxy.lists(['echo'])
    const params = { name: 'echo', arguments: { message: 'hello' } }
    const modern = await exchange(proxy.mcp, { method: 'tools/call', params })
    assert.match(JSON.stringify(modern.answer?.result), /hello/u)
    const session = await openSession(proxy.mcp, undefined)
    const legacy = await exchange(proxy.mcp, { method: 'tools/call', params, era: 'legacy', session })
    assert.match(JSON.stringify(legacy.answer?.result), /hello/u)
    const ended = await fetch(proxy.mcp, { method: 'DELETE', headers: { 'mcp-session-id': session ?? '' } })
    assert.equal(ended.status, 204)
  } finally {
    await proxy.close()
    await everything.close()
  }
})

test('subjects that a service-account issuer does not name are refused', async () => {
  const [issuer, recorder] = await Promise.all([startIssuer(), startRecorder()])
  const proxy = await startProxy({
    config: proxyConfig({
      servers: [server('test/one', recorder.url)],
      guard: tokensOf(issuer.url, 'tools', {
        subjects: ['system:serviceaccount:test:client', 'system:serviceaccount:robots:'],
      }),
    }),
  })
  try {
    const status = async (sub: string) =>
      (await exchange(proxy.mcp, { method: 'tools/list', token: await issuer.token('tools', { sub }) })).status
    assert.equal(await status('system:serviceaccount:test:client'), 200)
    assert.equal(await status('system:serviceaccount:robots:any'), 200)
    for (const other of ['test:other', 'test:client2', 'robots', 'robots2:any', ''])
      assert.equal(await status(`system:serviceaccount:${other}`), 401, other)
  } finally {
    await proxy.close()
    await Promise.all([recorder.close(), issuer.close()])
  }
})
