import assert from 'node:assert/strict'
import { test } from 'node:test'
import { message, planned, verdicts, type Manifest } from './scene.ts'
import { toolPolicy } from './tool-policy.ts'

const policy: Manifest = {
  kind: 'ToolPolicy',
  name: 'careful',
  spec: { targetRef: { kind: 'MCPRemoteProxy', name: 'linear' }, rules: [{ tools: ['delete_*'], groups: ['admins'] }] },
}
const target: Manifest = { kind: 'MCPRemoteProxy', name: 'linear', spec: { remoteUrl: 'https://mcp.linear.app/mcp' } }

test('a policy is in force where its target is', () => {
  const plan = planned(toolPolicy, { manifests: [policy, target] })
  assert.deepEqual(verdicts(plan), { Ready: 'True InForce', Valid: 'True InForce' })
  assert.match(message(plan, 'Ready'), /MCPRemoteProxy linear; rules: 1/)
})

test('a policy waits for its target, in its own namespace only', () => {
  for (const manifests of [[policy], [policy, { ...target, namespace: 'team-a' }]]) {
    const plan = planned(toolPolicy, { manifests })
    assert.deepEqual(verdicts(plan), { Ready: 'False TargetNotFound', Valid: 'False TargetNotFound' })
    assert.match(message(plan, 'Ready'), /there is no MCPRemoteProxy platform-tools\/linear yet/)
  }
})
