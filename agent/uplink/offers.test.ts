import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../kube/object.ts'
import { shutTargets, withheld } from './offers.ts'
import { see } from './seen.ts'

function object(
  kind: 'MCPServer' | 'VirtualMCPServer' | 'ToolPolicy',
  spec: unknown,
  annotations: Record<string, string> = {},
): KubeObject {
  const apiVersion = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
  return { apiVersion, kind, metadata: { name: 'a', namespace: 'team', uid: 'u', generation: 1, annotations }, spec }
}
const server = (more: object, annotations?: Record<string, string>) =>
  see('MCPServer', object('MCPServer', { image: 'x', ...more }, annotations), undefined)

const cedar = { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } }

test('what its owner keeps back, and what nobody may call, is not told', () => {
  const hidden = [
    server({}, { 'waggle.dev/publish': 'false' }),
    server({ authzConfig: cedar }),
    server({ authzConfigRef: { name: 'x' } }),
    server({ webhookConfigRef: { name: 'x' } }),
    server({ image: 7 }),
    see(
      'VirtualMCPServer',
      object('VirtualMCPServer', { incomingAuth: { type: 'anonymous', authzConfig: cedar } }),
      undefined,
    ),
  ]
  for (const one of hidden) assert.equal(typeof withheld(one, new Set()), 'string', JSON.stringify(one.problems))
  assert.equal(withheld(server({}), new Set()), undefined)
  assert.equal(withheld(server({}, { 'waggle.dev/publish': 'true' }), new Set()), undefined)
})

test('a policy that cannot be read keeps its target back', () => {
  const targetRef = { kind: 'MCPServer', name: 'a' }
  const policy = (rules: unknown) => see('ToolPolicy', object('ToolPolicy', { targetRef, rules }), undefined)
  const good = policy([{ tools: ['*'], groups: ['ops'] }])
  const bad = policy([{ tools: ['*'], grups: ['ops'] }])
  assert.equal(withheld(server({}), shutTargets([good])), undefined)
  assert.equal(typeof withheld(server({}), shutTargets([good, bad])), 'string')
})

test('a resource is read again when what it asks for is different, and not for its status', () => {
  const raw = object('MCPServer', { image: 'x' })
  const first = see('MCPServer', raw, undefined)
  const again = { ...raw, status: { phase: 'Ready' } }
  assert.equal(see('MCPServer', again, { raw, seen: first }), first)
  const annotated = { ...raw, metadata: { ...raw.metadata, annotations: { 'waggle.dev/publish': 'false' } } }
  assert.notEqual(see('MCPServer', annotated, { raw, seen: first }), first)
})
