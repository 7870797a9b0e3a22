import assert from 'node:assert/strict'
import { test } from 'node:test'
import { group, GROUP_FINALIZER } from './mcp-group.ts'
import { planned, verdicts, type Manifest } from './scene.ts'

const groupRef = { name: 'fleet' }
const fleet: Manifest = { kind: 'MCPGroup', name: 'fleet' }
const server: Manifest = {
  kind: 'MCPServer',
  name: 'grafana',
  spec: { image: 'grafana', transport: 'streamable-http', groupRef },
}
const remote: Manifest = { kind: 'MCPRemoteProxy', name: 'linear', spec: { remoteUrl: 'https://a.example', groupRef } }
const entry: Manifest = {
  kind: 'MCPServerEntry',
  name: 'docs',
  spec: { remoteUrl: 'https://b.example', transport: 'streamable-http', groupRef },
}

test('a group lists the servers of its namespace that have joined, by kind', () => {
  const elsewhere = { ...server, name: 'other', namespace: 'team-a' }
  const alone = { ...remote, name: 'alone', spec: { remoteUrl: 'https://a.example' } }
  const { status, conditions } = planned(group, { manifests: [fleet, server, remote, entry, elsewhere, alone] })
  assert.deepEqual(status, {
    phase: 'Ready',
    servers: ['grafana'],
    serverCount: 1,
    remoteProxies: ['linear'],
    remoteProxyCount: 1,
    entries: ['docs'],
    entryCount: 1,
  })
  assert.deepEqual(verdicts({ conditions }), {
    MCPServersChecked: 'True ListMCPServersSucceeded',
    Ready: 'True Ready',
  })
})

test('an empty group is ready: servers may come later', () => {
  const { status } = planned(group, { manifests: [fleet] })
  assert.equal(status['phase'], 'Ready')
  assert.equal(status['serverCount'], 0)
})

test("a group is let go as soon as somebody deletes it, with ToolHive's finalizer", () => {
  assert.deepEqual(planned(group, { manifests: [fleet] }).finalizers, [GROUP_FINALIZER])
  const going = { ...fleet, deleting: true, finalizers: [GROUP_FINALIZER] }
  assert.deepEqual(planned(group, { manifests: [going, server] }).finalizers, [])
})
