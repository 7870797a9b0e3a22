import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { EgressRules } from './egress.ts'
import { Network } from './network.ts'

describe('an address that a name resolves to', () => {
  const rules = new EgressRules(['fixture.example.com', '*.corp.example', '10.1.0.0/16', '127.0.0.9'])
  const table: readonly (readonly [string, string, boolean, boolean])[] = [
    ['api.example', '93.184.216.34', false, true],
    ['api.example', '10.0.0.1', false, false],
    ['api.example', '10.0.0.1', true, true],
    ['api.example', '10.1.2.3', false, true],
    ['fixture.example.com', '10.0.0.1', false, true],
    ['a.corp.example', '192.168.0.1', false, true],
    ['api.example', '127.0.0.1', true, false],
    ['api.example', '127.0.0.9', false, true],
    ['api.example', '::1', true, false],
    ['api.example', '::ffff:127.0.0.1', true, false],
    ['fixture.example.com', '169.254.169.254', true, false],
    ['fixture.example.com', 'fd00:ec2::254', true, false],
    ['fixture.example.com', 'fe80::1%eth0', true, false],
  ]
  for (const [host, address, allowPrivate, admitted] of table)
    test(`${host} → ${address}${allowPrivate ? ', private allowed' : ''}: ${admitted ? 'called' : 'refused'}`, () => {
      assert.equal(rules.admits(host, address, allowPrivate), admitted)
    })
})

describe('a connection', () => {
  const server = createServer((request, response) => {
    if (request.url === '/silent') return
    response.setHeader('set-cookie', ['a=1', 'b=2'])
    response.end(`${request.method} ${request.headers['content-length'] ?? '-'}`)
  })
  let port = 0
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const way = { allowPrivate: true, ca: undefined }

  test('is not made to a name that leads inward, and is where the admin named it', async () => {
    const url = `http://localhost:${port}/`
    await assert.rejects(new Network([], '').fetch(way)(url, {}), /may not be called/u)
    const response = await new Network(['localhost'], '').fetch(way)(url, { method: 'POST', body: 'é' })
    assert.equal(await response.text(), 'POST 2')
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2'])
  })

  test('ends when its signal does, before the answer and after', async () => {
    const fetch = new Network(['127.0.0.1'], '').fetch(way)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/silent`, { signal: AbortSignal.timeout(50) }))
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`, {})).text(), 'GET -')
  })

  test('is refused where the URL already says that it leads inward', () => {
    const network = new Network(['127.0.0.0/8'], '')
    network.guard('http://127.0.0.1:1/', 'test/one', false)
    assert.throws(() => network.guard('http://[::1]:1/', 'test/one', true))
    assert.throws(() => network.guard('http://169.254.169.254/', 'test/one', true))
    assert.throws(() => network.guard('http://10.0.0.1/', 'test/one', false))
  })
})
