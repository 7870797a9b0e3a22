import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { type Observation, readResource } from './cluster.ts'
import type { Kind } from './kinds.ts'

function read(kind: Kind, spec: string): Observation {
  return readResource({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind,
    metadata: { name: 'a', namespace: 'n' },
    spec: parse(spec) as unknown,
  })
}

test('an inline issuer becomes a config that the server names', () => {
  const parsed = read(
    'MCPServer',
    '{image: a, oidcConfig: {type: inline, resourceUrl: https://me.example, inline: {issuer: https://i.example, audience: x, scopes: [s]}}}',
  )
  assert.ok(parsed.ok && parsed.resource.kind === 'MCPServer', JSON.stringify(parsed))
  const [config] = parsed.derived
  assert.deepEqual(parsed.resource.spec.oidcConfigRef, {
    name: config?.metadata.name,
    audience: 'x',
    scopes: ['s'],
    resourceUrl: 'https://me.example',
  })
  assert.equal(config?.metadata.namespace, 'n')
  assert.equal(config?.spec.inline?.issuer, 'https://i.example')
  assert.deepEqual(
    parsed.warnings.map(({ path }) => path),
    ['spec.oidcConfig'],
  )
})

test("the cluster's own tokens are for the audience toolhive unless it says otherwise", () => {
  const parsed = read(
    'VirtualMCPServer',
    '{incomingAuth: {type: oidc, oidcConfig: {type: kubernetes, kubernetes: {serviceAccount: bot, namespace: n}}}}',
  )
  assert.ok(parsed.ok && parsed.resource.kind === 'VirtualMCPServer', JSON.stringify(parsed))
  assert.equal(parsed.resource.spec.incomingAuth?.oidcConfigRef?.audience, 'toolhive')
  assert.equal(parsed.derived[0]?.spec.type, 'kubernetesServiceAccount')
  assert.equal(parsed.derived[0]?.spec.kubernetesServiceAccount?.serviceAccount, 'bot')
})

test('what can not be converted is a problem at its own place, never an open endpoint', () => {
  const cases: [kind: Kind, spec: string, path: string][] = [
    ['MCPServer', '{image: a, oidcConfig: {type: configMap, configMap: {name: x}}}', 'spec.oidcConfig'],
    ['MCPServer', '{image: a, oidcConfig: {type: inline}}', 'spec.oidcConfig.inline.issuer'],
    ['MCPServer', '{image: a, oidcConfig: x}', 'spec.oidcConfig'],
    ['MCPServer', '{image: a, oidcConfigRef: {name: b}, oidcConfig: {type: kubernetes}}', 'spec.oidcConfig'],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, oidcConfig: {type: kubernetes, kubernetes: {nope: 1}}}',
      'spec.oidcConfig.kubernetes.nope',
    ],
    [
      'MCPServerEntry',
      '{remoteUrl: https://a.example, transport: sse, oidcConfig: {type: kubernetes}}',
      'spec.oidcConfig',
    ],
  ]
  for (const [kind, spec, path] of cases) {
    const parsed = read(kind, spec)
    assert.ok(!parsed.ok, spec)
    assert.deepEqual(
      parsed.problems.map((problem) => problem.path),
      [path],
      spec,
    )
  }
})
