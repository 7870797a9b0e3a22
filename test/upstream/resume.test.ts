// Calls whose stream from a legacy server breaks are answered all the same, and executed once; what a server says outside of
// calls is heard while somebody listens, and no longer.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectV1, connectV2 } from '../clients/sdk.ts'
import type { Traveller } from '../clients/journey.ts'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { exchange, openSession } from '../peers/wire.ts'
import { listen } from '../streams/listener.ts'
import { startResumable } from './resumable.ts'
import type { Resumable } from './resumable.ts'

const clients: Readonly<Record<string, (url: string, token: string) => Promise<Traveller>>> = {
  'SDK v1': connectV1,
  'SDK v2, legacy': (url, token) => connectV2(url, token, 'legacy'),
  'SDK v2, modern': (url, token) => connectV2(url, token, { pin: '2026-07-28' }),
}

async function eventually(what: () => boolean, message: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !what(); await sleep(50)) assert.ok(Date.now() < deadline, message)
}

describe('streams of legacy servers', () => {
  const servers = new Map<string, Resumable>()
  let edge: TestEdge

  before(async () => {
    servers.set('closing', await startResumable('streamable-http', 'closed by the server'))
    servers.set('cut', await startResumable('streamable-http', 'cut by the network'))
    servers.set('old', await startResumable('sse'))
    edge = await startEdge({
      resources: [...servers].flatMap(([name, { url }]) => [
        entry(name, url, name === 'old' ? { transport: 'sse' } : {}),
        virtual(name, [name]),
      ]),
    })
    for (const name of servers.keys()) await edge.lists(edge.endpoint(name), ['count'])
  })
  after(async () => {
    await edge?.close()
    for (const server of servers.values()) await server.close()
  })

  function server(name: string): Resumable {
    const found = servers.get(name)
    assert.ok(found)
    return found
  }

  for (const name of ['closing', 'cut', 'old']) {
    for (const [client, connect] of Object.entries(clients)) {
      test(`a call to the ${name} server by ${client} is answered with all its progress, and executed once`, async () => {
        const { ran, resumed } = server(name)
        const [ranBefore, resumedBefore] = [ran(), resumed.length]
        const endpoint = edge.endpoint(name)
        const traveller = await connect(endpoint, await edge.token(endpoint))
        const steps: number[] = []
        const result = await traveller.callTool('count', {}, (step) => {
          steps.push((step as { progress: number }).progress)
        })
        assert.deepEqual((result as { content: unknown }).content, [{ type: 'text', text: 'three' }])
        assert.deepEqual(steps, [1, 2, 3])
        assert.equal(ran() - ranBefore, 1)
        if (name !== 'old') assert.ok(resumed.length > resumedBefore)
        await traveller.close()
      })
    }
  }

  test('a caller that leaves while its stream is being gone on with leaves no connection behind', async () => {
    const { open } = server('closing')
    const endpoint = edge.endpoint('closing')
    const token = await edge.token(endpoint)
    // The edge's own stream for changes of the catalog stays.
    await eventually(() => open() <= 1, 'streams are open before')
    const params = { name: 'linger', arguments: {}, _meta: { progressToken: 1 } }
    const leave = new AbortController()
    const ask = { method: 'tools/call', params, token, era: 'legacy', signal: leave.signal } as const
    const leaving = Array.from({ length: 5 }, () => assert.rejects(exchange(endpoint, ask)))
    await eventually(() => open() > 1, 'no stream was gone on with')
    leave.abort()
    await Promise.all(leaving)
    await eventually(() => open() <= 1, 'streams are still open')
  })

  for (const name of ['closing', 'old']) {
    test(`the ${name} server learns of the log level before the first call of a session that set it before`, async () => {
      const endpoint = edge.endpoint(name)
      const token = await edge.token(endpoint)
      const session = await openSession(endpoint, token)
      const ask = { token, era: 'legacy', session } as const
      server(name).levels.length = 0
      assert.ok(
        (await exchange(endpoint, { ...ask, method: 'logging/setLevel', params: { level: 'error' } })).answer?.result,
      )
      const params = { name: 'count', arguments: {} }
      assert.ok((await exchange(endpoint, { ...ask, method: 'tools/call', params })).answer?.result)
      assert.deepEqual(server(name).levels, ['error'])
      await exchange(endpoint, { ...ask, method: 'logging/setLevel', params: { level: 'alert' } })
      await eventually(() => server(name).levels.includes('alert'), 'the new level did not arrive')
    })

    test(`what the ${name} server says outside of calls is heard by who listens`, async () => {
      const endpoint = edge.endpoint(name)
      const token = await edge.token(endpoint)
      const session = await openSession(endpoint, token)
      assert.ok(session)
      const call = () =>
        exchange(endpoint, {
          method: 'tools/call',
          params: { name: 'count', arguments: {} },
          token,
          era: 'legacy',
          session,
        })
      assert.ok((await call()).answer?.result)
      const listener = await listen(endpoint, token, session)
      for (const text of ['one', 'two']) {
        const said = ({ params }: { params?: unknown }) => JSON.stringify(params ?? {}).includes(`said ${text}`)
        const repeat = setInterval(() => void server(name).say(`said ${text}`), 200)
        await listener.until(said).finally(() => clearInterval(repeat))
        assert.ok((await call()).answer?.result, 'calls go on meanwhile')
      }
      listener.leave()
    })
  }
})
