import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreign } from './origin.ts'

const own = 'http://mcp-tools-proxy.team.svc.cluster.local:8080/mcp'
const admitted = (host: string, origin: string | undefined, isOpen: boolean) =>
  foreign(new Headers({ host, ...(origin !== undefined && { origin }) }), own, isOpen) === undefined

test('programs come without an origin, whatever host they ask for', () => {
  assert.ok(admitted('anything.example', undefined, true))
})

test('pages of other origins are refused, with a token or without', () => {
  for (const isOpen of [true, false]) {
    assert.ok(!admitted('tools.example', 'https://evil.example', isOpen))
    assert.ok(!admitted('tools.example', 'null', isOpen))
    assert.ok(!admitted('localhost:8080', 'http://localhost:3000', isOpen))
  }
})

test('a page of the same origin is served, and by a name of one’s own only where no token is asked for', () => {
  assert.ok(admitted('localhost:8080', 'http://localhost:8080', true))
  assert.ok(admitted('10.0.0.7:8080', 'http://10.0.0.7:8080', true))
  assert.ok(
    admitted('mcp-tools-proxy.team.svc.cluster.local:8080', 'http://mcp-tools-proxy.team.svc.cluster.local:8080', true),
  )
  assert.ok(!admitted('rebound.evil.example', 'http://rebound.evil.example', true))
  assert.ok(admitted('tools.example', 'https://tools.example', false))
})
