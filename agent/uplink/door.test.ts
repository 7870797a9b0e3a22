import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { HttpDoors, inward, outward, Unreached } from './door.ts'

test('only what is meant for the other side passes, in either direction', () => {
  const given = {
    accept: 'a',
    authorization: 'secret',
    cookie: 'secret',
    host: 'elsewhere',
    'mcp-session-id': 's',
    'x-forwarded-for': 'secret',
    'waggle-assertion': 'w',
    'content-length': '7',
  }
  assert.deepEqual(inward(given), { accept: 'a', 'mcp-session-id': 's', 'waggle-assertion': 'w' })
  const answered: [string, string | string[] | undefined][] = [
    ['Content-Type', 'application/json'],
    ['set-cookie', ['a=b']],
    ['mcp-session-id', ['one', 'two']],
    ['waggle-assertion', 'echoed'],
    ['retry-after', undefined],
  ]
  assert.deepEqual(outward(answered), { 'content-type': 'application/json', 'mcp-session-id': 'one' })
})

test('a refused connection is no call made, and one that breaks may be', async (t) => {
  const doors = new HttpDoors()
  t.after(() => doors.close())
  const server = createServer((socket) => {
    socket.once('data', () => socket.destroy())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const call = (url: string) => {
    const { signal } = new AbortController()
    return doors.door(url)({ method: 'POST', headers: {}, body: new Uint8Array(2), signal })
  }
  await assert.rejects(call(`http://127.0.0.1:${port}/mcp`), (error) => !(error instanceof Unreached))
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  await assert.rejects(call(`http://127.0.0.1:${port}/mcp`), Unreached)
  await assert.rejects(call('http://does-not-exist.invalid/mcp'), Unreached)
})
