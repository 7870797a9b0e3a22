import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { lookup } from 'node:dns'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { followConfigMap } from './config-map.ts'
import { fetchOver } from './http.ts'

/** An API server with one ConfigMap, whose answers a test may take over. */
async function scripted() {
  const asked: string[] = []
  const watches = new Set<ServerResponse>()
  const state = { version: 1, text: 'one', takeover: undefined as ((r: ServerResponse) => boolean) | undefined }
  const object = () => ({ metadata: { resourceVersion: String(state.version) }, data: { text: state.text } })
  const server = createServer((request: IncomingMessage, response) => {
    asked.push(`${request.headers.authorization} ${request.url}`)
    if (state.takeover?.(response) === true) return
    if (request.url?.includes('watch=true') !== true) {
      response.end(JSON.stringify(object()))
      return
    }
    watches.add(response)
    response.once('close', () => watches.delete(response))
    response.flushHeaders()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const found: (string | undefined)[] = []
  const failures: unknown[] = []
  const stop = new AbortController()
  const following = followConfigMap(
    {
      access: {
        server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        authorization: async () => 'Bearer pod',
      },
      fetch: fetchOver({ lookup, ca: undefined }),
      namespace: 'team',
      name: 'tools-runconfig',
      found: (data) => found.push(data['text']),
      failed: (error) => failures.push(error),
    },
    stop.signal,
  )
  return {
    asked,
    watches,
    state,
    found,
    failures,
    change: (text: string) => {
      state.version += 1
      state.text = text
      for (const response of watches) response.write(`${JSON.stringify({ type: 'MODIFIED', object: object() })}\n`)
    },
    until: async (text: string) => {
      for (const deadline = Date.now() + 30_000; found.at(-1) !== text; await sleep(10))
        if (Date.now() > deadline) throw new Error(`found ${found.join(', ')}`)
    },
    watched: async () => {
      for (const deadline = Date.now() + 30_000; watches.size === 0; await sleep(10))
        if (Date.now() > deadline) throw new Error('nobody watches')
    },
    close: async () => {
      stop.abort()
      await following
      server.closeAllConnections()
      server.close()
    },
  }
}

test('the object is got and watched by its name, and nothing else is asked for', async () => {
  const api = await scripted()
  await api.until('one')
  await api.watched()
  api.change('two')
  await api.until('two')
  api.change('three')
  await api.until('three')
  await api.close()
  assert.equal(api.asked[0], 'Bearer pod /api/v1/namespaces/team/configmaps/tools-runconfig')
  assert.equal(api.asked.length, 2)
  assert.match(api.asked[1] ?? '', /\/configmaps\?watch=true&fieldSelector=metadata\.name%3Dtools-runconfig&/u)
  assert.deepEqual(api.failures, [])
})

test('what happens while a watch is away is found when it is back', async () => {
  const api = await scripted()
  await api.watched()
  const before = [...api.watches]
  api.state.version += 1
  api.state.text = 'missed'
  for (const response of before) response.socket?.destroy()
  await api.until('missed')
  await api.watched()
  api.change('after')
  await api.until('after')
  await api.close()
})

test('an event that arrives in pieces is one event, and an expired watch begins anew', async () => {
  const api = await scripted()
  await api.watched()
  const event = { type: 'MODIFIED', object: { metadata: { resourceVersion: '9' }, data: { text: 'pieces é' } } }
  const bytes = Buffer.from(`${JSON.stringify(event)}\n`)
  const [response] = api.watches
  response?.write(bytes.subarray(0, bytes.length - 6))
  await sleep(30)
  response?.write(bytes.subarray(bytes.length - 6))
  await api.until('pieces é')
  const gets = api.asked.length
  api.state.text = 'anew'
  response?.write('{"type":"ERROR","object":{"metadata":{},"code":410}}\n')
  await api.until('anew')
  assert.ok(api.asked.length > gets)
  await api.close()
})

test('an API server that is away is asked at a bounded pace, and told of once', async () => {
  const api = await scripted()
  await api.watched()
  api.state.takeover = (response) => {
    response.writeHead(500).end()
    return true
  }
  const before = api.asked.length
  for (const response of api.watches) response.end()
  await sleep(2_500)
  assert.ok(api.asked.length - before <= 6, String(api.asked.length - before))
  for (const deadline = Date.now() + 30_000; api.failures.length === 0; await sleep(10))
    assert.ok(Date.now() < deadline, 'nobody is told')
  assert.equal(api.failures.length, 1)
  api.state.takeover = undefined
  api.state.text = 'back'
  await api.until('back')
  await api.close()
})
