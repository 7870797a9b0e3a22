import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { parseManifest } from './manifest.ts'

const toolhive = 'toolhive.stacklok.dev/v1beta1'

function read(kind: string, spec: string) {
  return parseManifest({ apiVersion: toolhive, kind, metadata: { name: 'a' }, spec: parse(spec) as unknown })
}

function without(url: string, rest: string): string {
  return `{${url}${rest === '' ? '' : `, ${rest}`}}`
}

test('an old spelling gives the same resource as the present one, and a warning at the old path', () => {
  const cases: [kind: string, old: string, path: string, present: string][] = [
    ['MCPRemoteProxy', '{url: https://a.example}', 'spec.url', '{remoteUrl: https://a.example}'],
    ['MCPRemoteProxy', '{remoteURL: https://a.example}', 'spec.remoteURL', '{remoteUrl: https://a.example}'],
    [
      'MCPServerEntry',
      '{url: https://a.example, transport: sse}',
      'spec.url',
      '{remoteUrl: https://a.example, transport: sse}',
    ],
    [
      'MCPRemoteProxy',
      without('remoteUrl: https://a.example', 'groupRef: demo'),
      'spec.groupRef',
      without('remoteUrl: https://a.example', 'groupRef: {name: demo}'),
    ],
    [
      'MCPRemoteProxy',
      without('remoteUrl: https://a.example', 'port: 9000'),
      'spec.port',
      without('remoteUrl: https://a.example', 'proxyPort: 9000'),
    ],
    [
      'MCPRemoteProxy',
      without('remoteUrl: https://a.example', 'targetPort: 9000'),
      'spec.targetPort',
      without('remoteUrl: https://a.example', ''),
    ],
    ['VirtualMCPServer', '{groupRef: demo}', 'spec.groupRef', '{groupRef: {name: demo}}'],
    ['VirtualMCPServer', '{config: {groupRef: demo}}', 'spec.config.groupRef', '{groupRef: {name: demo}}'],
    [
      'VirtualMCPServer',
      '{groupRef: {name: demo}, config: {groupRef: demo}}',
      'spec.config.groupRef',
      '{groupRef: {name: demo}}',
    ],
    ['VirtualMCPServer', '{backends: [grafana]}', 'spec.backends[0]', '{backends: [{name: grafana}]}'],
    [
      'VirtualMCPServer',
      '{aggregation: {conflictResolution: manual}}',
      'spec.aggregation',
      '{config: {aggregation: {conflictResolution: manual}}}',
    ],
    [
      'VirtualMCPServer',
      '{operational: {timeouts: {default: 5s}}}',
      'spec.operational',
      '{config: {operational: {timeouts: {default: 5s}}}}',
    ],
    [
      'VirtualMCPServer',
      '{outgoingAuth: {backends: {b: {type: external_auth_config_ref, externalAuthConfigRef: {name: x}}}}}',
      'spec.outgoingAuth.backends.b.type',
      '{outgoingAuth: {backends: {b: {type: externalAuthConfigRef, externalAuthConfigRef: {name: x}}}}}',
    ],
    [
      'VirtualMCPServer',
      '{sessionStorage: {provider: memory, keyPrefix: toolhive-sessions}}',
      'spec.sessionStorage.keyPrefix',
      '{sessionStorage: {provider: memory, keyPrefix: "toolhive-sessions:"}}',
    ],
    [
      'MCPExternalAuthConfig',
      '{type: tokenExchange, tokenExchange: {token_url: https://a.example, audience: b, client_secret_ref: {name: s, key: k}, scope: "a b"}}',
      'spec.tokenExchange.token_url',
      '{type: tokenExchange, tokenExchange: {tokenUrl: https://a.example, audience: b, clientSecretRef: {name: s, key: k}, scopes: [a, b]}}',
    ],
    [
      'MCPExternalAuthConfig',
      '{type: bearer_token, bearer_token: {token_secret_ref: {name: s, key: k}}}',
      'spec.type',
      '{type: bearerToken, bearerToken: {tokenSecretRef: {name: s, key: k}}}',
    ],
  ]
  for (const [kind, old, path, present] of cases) {
    const before = read(kind, old)
    const now = read(kind, present)
    assert.ok(before.ok && now.ok, `${old}: ${JSON.stringify([before, now])}`)
    assert.deepEqual(before.resource, now.resource, old)
    assert.ok(
      before.warnings.some((warning) => warning.path === path),
      `${old}: ${JSON.stringify(before.warnings)}`,
    )
    assert.ok(
      !now.warnings.some((warning) => warning.path === path && path !== 'spec.groupRef' && !path.endsWith('type')),
    )
  }
})

test('old and present spelling with different values contradict each other', () => {
  const parsed = read('MCPRemoteProxy', '{url: https://a.example, remoteUrl: https://b.example}')
  assert.ok(!parsed.ok)
  assert.deepEqual(
    parsed.problems.map(({ path, suggestion }) => [path, suggestion]),
    [['spec.url', 'spec.remoteUrl']],
  )
})

test('old fields that restricted access are refused with what to write instead', () => {
  const cases: [kind: string, spec: string, path: string, advice: RegExp][] = [
    ['MCPRemoteProxy', '{remoteUrl: https://a.example, tools: [echo]}', 'spec.tools', /MCPToolConfig/],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, oidcConfig: {type: inline}}',
      'spec.oidcConfig',
      /MCPOIDCConfig/,
    ],
    [
      'VirtualMCPServer',
      '{incomingAuth: {type: anonymous, oidcConfig: {type: inline}}}',
      'spec.incomingAuth.oidcConfig',
      /MCPOIDCConfig/,
    ],
  ]
  for (const [kind, spec, path, advice] of cases) {
    const parsed = read(kind, spec)
    assert.ok(!parsed.ok, spec)
    assert.deepEqual(
      parsed.problems.map((problem) => problem.path),
      [path],
    )
    assert.match(parsed.problems[0]?.message ?? '', advice)
  }
})

test('the input is not changed', () => {
  const input = {
    apiVersion: toolhive,
    kind: 'MCPRemoteProxy',
    metadata: { name: 'a' },
    spec: { url: 'https://a.example' },
  }
  const before = structuredClone(input)
  parseManifest(input)
  assert.deepEqual(input, before)
})
