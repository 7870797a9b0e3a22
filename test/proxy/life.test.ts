// The life of a proxy: configurations that come and are broken, servers that go and return, and its own orderly end.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFixture, type Fixture } from '../peers/fixture.ts'
import { startRecorder, type Recorder } from '../peers/recorder.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { listen } from '../streams/listener.ts'
import { member, proxyConfig, server } from './configs.ts'
import { startProxy, type TestProxy } from './proxy.ts'

const call = (proxy: TestProxy, name: string) =>
  exchange(proxy.mcp, { method: 'tools/call', params: { name, arguments: {} } })

/** Waits (60 s) until its health page says so. */
async function says(proxy: TestProxy, status: 'healthy' | 'degraded'): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await sleep(20)) {
    const health = (await (await fetch(`${proxy.url}/health`)).json()) as { status: string }
    if (health.status === status) return
    assert.ok(Date.now() < deadline, JSON.stringify(health))
  }
}

describe('a running proxy', () => {
  let recorder: Recorder
  let proxy: TestProxy
  const one = () => server('test/tools', recorder.url)
  before(async () => {
    recorder = await startRecorder()
    proxy = await startProxy({ config: proxyConfig({ servers: [one()] }) })
  })
  after(async () => {
    await proxy?.close()
    await recorder?.close()
  })

  test('takes up a configuration without cutting a call in flight', async () => {
    const waiting = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    recorder.takeover = ({ message }, response) => {
      if (message?.method !== 'tools/call') return false
      arrived.resolve()
      void (async () => {
        await waiting.promise
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"content":[]}}`)
      })()
      return true
    }
    const slow = call(proxy, 'echo')
    await arrived.promise
    const renamed = member(one(), { overrides: { echo: { name: 'repeat' } } })
    await proxy.configure(
      proxyConfig({ servers: [one()], members: [renamed] }, { egressAllow: ['127.0.0.1', 'localhost'] }),
    )
    await proxy.lists(['repeat'])
    waiting.resolve()
    assert.ok((await slow).answer?.result)
    recorder.takeover = undefined
    assert.ok((await call(proxy, 'repeat')).answer?.result)
    assert.ok((await call(proxy, 'echo')).answer?.error)
  })

  test('reports a configuration that is broken, and serves the last good one', async () => {
    for (const broken of ['{', '{"format":2}', JSON.stringify({ ...proxyConfig({ servers: [] }), prefix: 'tools/' })]) {
      await proxy.configure(broken)
      const { answer, body } = await call(proxy, 'repeat')
      assert.ok(answer?.result, body)
    }
    const reasons = proxy.lines().filter((line) => line.includes('run_config_refused'))
    assert.match(reasons.join('\n'), /is not JSON.*format.*prefix: must be empty/su)
  })

  test('says nothing of its calls where the audit is off', async () => {
    await proxy.configure(proxyConfig({ servers: [one()] }, { audit: { enabled: false } }))
    await proxy.lists(['echo'])
    const events = proxy.audit().length
    await call(proxy, 'echo')
    await sleep(200)
    assert.equal(proxy.audit().length, events)
  })

  test('lets nobody in once its configuration says so, streams that are open included', async () => {
    const session = (await openSession(proxy.mcp, undefined)) ?? ''
    const heard = await listen(proxy.mcp, undefined, session)
    assert.equal(heard.status, 200)
    const closed = { issuers: [], audience: undefined, resource: undefined, scopes: [] }
    await proxy.configure(proxyConfig({ servers: [one()], guard: closed }))
    assert.equal((await call(proxy, 'echo')).status, 401)
    assert.ok(await heard.ended(30_000))
    await proxy.configure(proxyConfig({ servers: [one()] }))
    await proxy.lists(['echo'])
  })
})

describe('a proxy whose server dies', () => {
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

  test('says so at once, keeps its list, and is back soon after the server', async () => {
    const port = Number(new URL(fixture.url).port)
    await fixture.close()
    for (let times = 0; times < 6; times += 1) {
      const { answer } = await call(proxy, 'test_simple_text')
      assert.ok(answer?.error)
    }
    await proxy.lists(['test_simple_text'])
    await says(proxy, 'degraded')
    fixture = await startFixture({ port })
    const started = performance.now()
    // Its breaker is open for 15 s, but closes when the server is seen.
    for (;;) {
      if ((await call(proxy, 'test_simple_text')).answer?.result !== undefined) break
      assert.ok(performance.now() - started < 10_000)
      await sleep(50)
    }
    await says(proxy, 'healthy')
  })
})

test('a proxy notices by the calls that fail that a server is gone which offers no stream', async () => {
  const recorder = await startRecorder()
  for (const list of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
    const section = list === 'resources/templates/list' ? 'resourceTemplates' : list.slice(0, list.indexOf('/'))
    const items = section === 'tools' ? '{"name":"echo","inputSchema":{"type":"object"}}' : ''
    // Nothing but a call makes it look again during this test.
    recorder.on(list, () => `{"${section}":[${items}],"ttlMs":600000,"cacheScope":"public"}`)
  }
  const proxy = await startProxy({ config: proxyConfig({ servers: [server('test/tools', recorder.url)] }) })
  try {
    assert.ok((await call(proxy, 'echo')).answer?.result)
    await recorder.close()
    await says(proxy, 'healthy')
    for (let times = 0; times < 5; times += 1) assert.ok((await call(proxy, 'echo')).answer?.error)
    await says(proxy, 'degraded')
  } finally {
    await proxy.close()
    await recorder.close()
  }
})

describe('the end of a proxy', () => {
  test('comes in order: not ready, calls under way answered, streams ended, exit 0', async () => {
    const recorder = await startRecorder()
    const proxy = await startProxy({
      config: proxyConfig({ servers: [server('test/tools', recorder.url)] }),
      env: { WAGGLE_GRACE_SECONDS: '6' },
    })
    try {
      const arrived = Promise.withResolvers<void>()
      let finish = (): void => undefined
      recorder.takeover = ({ message }, response) => {
        if (message?.method !== 'tools/call') return false
        finish = () => {
          response.writeHead(200, { 'content-type': 'application/json' })
          response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"content":[]}}`)
        }
        arrived.resolve()
        return true
      }
      const session = (await openSession(proxy.mcp, undefined)) ?? ''
      const heard = await listen(proxy.mcp, undefined, session)
      const slow = call(proxy, 'echo')
      await arrived.promise
      const started = performance.now()
      const ended = proxy.end()
      while ((await fetch(`${proxy.internal}/readyz`)).status !== 503) {
        assert.ok(performance.now() - started < 5_000)
        await sleep(20)
      }
      assert.equal((await fetch(`${proxy.internal}/livez`)).status, 200)
      // Who has not heard of the end yet is still served.
      const list = await exchange(proxy.mcp, { method: 'tools/list' })
      assert.equal(list.status, 200)
      assert.equal(list.headers.get('connection'), 'close')
      // Nobody new is served by then, and the call is still under way.
      await sleep(7_000 - (performance.now() - started))
      finish()
      const finished = performance.now()
      assert.ok((await slow).answer?.result)
      assert.ok(await heard.ended(15_000))
      assert.equal(await ended, 0)
      // Long before it would give up on what is under way.
      assert.ok(performance.now() - finished < 15_000)
      const named = proxy.audit().filter(({ target }) => target['name'] === 'echo')
      assert.equal(named.length, 1)
    } finally {
      await proxy.close()
      await recorder.close()
    }
  })

  test('is not held up by a call that never ends', async () => {
    const recorder = await startRecorder()
    const proxy = await startProxy({
      config: proxyConfig({ servers: [server('test/tools', recorder.url)] }),
      env: { WAGGLE_DRAIN_SECONDS: '1' },
    })
    try {
      const arrived = Promise.withResolvers<void>()
      recorder.takeover = ({ message }) => {
        if (message?.method !== 'tools/call') return false
        arrived.resolve()
        return true
      }
      const stuck = call(proxy, 'echo').catch(() => undefined)
      await arrived.promise
      const started = performance.now()
      assert.equal(await proxy.end(), 0)
      assert.ok(performance.now() - started < 15_000)
      await stuck
    } finally {
      await proxy.close()
      await recorder.close()
    }
  })
})
