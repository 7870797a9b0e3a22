import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowList, badItems } from './allow-list.ts'

test('a list allows names, names below a domain, addresses and ranges, and nothing else', () => {
  const list = allowList(['mcp.linear.app', '*.corp.example', '10.1.2.3', '192.168.0.0/16', 'fd00::/8', '[::1]'])
  const cases: readonly (readonly [string, boolean])[] = [
    ['mcp.linear.app', true],
    ['MCP.Linear.App.', true],
    ['other.linear.app', false],
    ['a.corp.example', true],
    ['a.b.corp.example', true],
    ['corp.example', false],
    ['evilcorp.example', false],
    ['10.1.2.3', true],
    ['10.1.2.4', false],
    ['192.168.7.9', true],
    ['192.169.0.1', false],
    ['[fd12::1]', true],
    ['fe80::1', false],
    ['::1', true],
    ['', false],
  ]
  for (const [host, allowed] of cases) assert.equal(list.has(host), allowed, host)
})

test('items that mean nothing allow nothing and are named', () => {
  const bad = ['', '*', '*.', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/8/8', 'https://a.example', 'a b', '-a.example']
  assert.deepEqual(badItems([...bad, 'a.example']), bad)
  const list = allowList(bad)
  for (const host of ['10.0.0.1', 'a.example', 'x', '']) assert.equal(list.has(host), false, host)
})
