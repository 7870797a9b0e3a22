import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readUplinkSettings } from './settings.ts'

const good = {
  POD_NAMESPACE: 'waggle-system',
  POD_NAME: 'uplink-0',
  POD_UID: 'uid',
  WAGGLE_CLUSTER: 'alpha',
  WAGGLE_EDGE_URL: 'https://mcp.example.com/',
  WAGGLE_EDGE_TOKEN_FILE: '/token',
  WAGGLE_UPLINK_LEASE: 'lease',
  WAGGLE_UPLINK_SECRET: 'secret',
  WAGGLE_UPLINK_KEYS_CONFIGMAP: 'keys',
}

test('what the chart says is read, and what it leaves out has defaults', () => {
  const settings = readUplinkSettings({ ...good, WATCH_NAMESPACE: 'a, b,a' })
  assert.equal(settings.edge, 'https://mcp.example.com')
  assert.deepEqual(settings.namespaces, ['a', 'b'])
  assert.equal(settings.graceMs, 30_000)
  assert.equal(readUplinkSettings({ ...good, WATCH_NAMESPACE: '' }).namespaces, undefined)
  assert.equal(readUplinkSettings({ ...good, WAGGLE_EDGE_URL: 'http://127.0.0.1:8787' }).edge, 'http://127.0.0.1:8787')
})

test('what is missing or wrong is named', () => {
  for (const name of Object.keys(good).filter((one) => one !== 'WAGGLE_EDGE_TOKEN_FILE'))
    assert.throws(() => readUplinkSettings({ ...good, [name]: '' }), new RegExp(`^Error: ${name}:`, 'u'))
  const wrong = {
    WAGGLE_EDGE_URL: 'http://mcp.example.com',
    WAGGLE_JOIN_TOKEN_FILE: '/join',
    WAGGLE_GRACE_SECONDS: '-1',
    WAGGLE_METRICS_PORT: 'x',
  }
  for (const [name, value] of Object.entries(wrong))
    assert.throws(() => readUplinkSettings({ ...good, [name]: value }), new RegExp(`^Error: ${name}:`, 'u'))
  for (const url of ['ftp://x', 'https://a@b', 'https://a?b', 'nonsense'])
    assert.throws(() => readUplinkSettings({ ...good, WAGGLE_EDGE_URL: url }), /WAGGLE_EDGE_URL/u)
})
