import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkAnnotations, commaList } from './annotation.ts'
import type { Kind } from './kinds.ts'

test('annotations are checked by the kind that carries them', () => {
  const cases: [kind: Kind, key: string, value: string, right: boolean][] = [
    ['MCPOIDCConfig', 'clock-skew', '60s', true],
    ['MCPOIDCConfig', 'clock-skew', '0s', true],
    ['MCPOIDCConfig', 'clock-skew', '5m', true],
    ['MCPOIDCConfig', 'clock-skew', '5m1s', false],
    ['MCPOIDCConfig', 'clock-skew', '60', false],
    ['MCPOIDCConfig', 'algorithms', 'RS256, ES256', true],
    ['MCPOIDCConfig', 'algorithms', 'HS256', false],
    ['MCPOIDCConfig', 'algorithms', 'none', false],
    ['MCPOIDCConfig', 'algorithms', '', false],
    ['MCPOIDCConfig', 'groups-claim', 'groups', true],
    ['MCPOIDCConfig', 'groups-claim', ' ', false],
    ['VirtualMCPServer', 'additional-oidc-configs', 'a,b', true],
    ['VirtualMCPServer', 'additional-oidc-configs', 'a b', false],
    ['VirtualMCPServer', 'federation', 'prefixed', true],
    ['VirtualMCPServer', 'federation', 'both', false],
    ['VirtualMCPServer', 'call-timeout', '30m', true],
    ['VirtualMCPServer', 'call-timeout', '0s', false],
    ['VirtualMCPServer', 'call-timeout', '31m', false],
    ['MCPServerEntry', 'allow-virtual-servers-from', 'team-a, team-b', true],
    ['MCPServerEntry', 'allow-virtual-servers-from', '*', false],
    ['MCPRemoteProxy', 'federation', 'interchangeable', true],
    ['MCPServer', 'trust-hints', 'true', true],
    ['MCPServer', 'trust-hints', 'yes', false],
    ['VirtualMCPServer', 'trust-hints', 'true', false],
    ['MCPServer', 'publish', 'false', true],
    ['VirtualMCPServer', 'publish', 'true', true],
    ['MCPRemoteProxy', 'publish', 'no', false],
    ['MCPServerEntry', 'publish', 'false', false],
  ]
  for (const [kind, key, value, right] of cases) {
    const problems = checkAnnotations(kind, { [`waggle.dev/${key}`]: value })
    assert.equal(problems.length, right ? 0 : 1, `${kind} ${key}=${value}`)
  }
})

test('an unknown key of ours is refused, with the nearest one or its right place', () => {
  const [misspelt] = checkAnnotations('MCPOIDCConfig', { 'waggle.dev/clockskew': '1s' })
  assert.equal(misspelt?.suggestion, 'waggle.dev/clock-skew')
  const [misplaced] = checkAnnotations('MCPGroup', { 'waggle.dev/federation': 'prefixed' })
  assert.match(misplaced?.message ?? '', /belongs on MCPServer or MCPRemoteProxy or MCPServerEntry or VirtualMCPServer/)
  assert.equal(checkAnnotations('MCPGroup', { 'waggle.dev/constructor': 'x' }).length, 1)
})

test('keys of others are left alone', () => {
  assert.deepEqual(checkAnnotations('MCPGroup', { 'example.com/clock-skew': 'x', 'waggle.dev.example/a': 'y' }), [])
})

test('a comma-separated list is trimmed and has no empty items', () => {
  assert.deepEqual(commaList(' a, b,,c '), ['a', 'b', 'c'])
  assert.deepEqual(commaList(undefined), [])
})
