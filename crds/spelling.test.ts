import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readKind, schemas } from './cluster.ts'
import { allKinds, type Kind } from './kinds.ts'
import { isStructural } from './rule.ts'
import { written } from './spelling.ts'

const forms = new Map(allKinds.map((kind) => [kind, written(schemas[kind].shape.spec)]))

/** Messages of what an API server would refuse in a spec. */
function refused(kind: Kind, spec: string): string[] {
  const issues = forms.get(kind)?.safeParse(parse(spec)).error?.issues ?? []
  return issues.filter(isStructural).map(({ path, message }) => `${path.join('.')} ${message}`)
}

test('an API server lets through every old spelling, and the operator reads it with a warning', () => {
  const cases: [kind: Kind, spec: string, warned: string][] = [
    ['MCPServer', '{image: a, port: 9000}', 'spec.port'],
    ['MCPServer', '{image: a, targetPort: 9000}', 'spec.targetPort'],
    ['MCPServer', '{image: a, groupRef: g}', 'spec.groupRef'],
    ['MCPServer', '{image: a, telemetry: {prometheus: {enabled: true}}}', 'spec.telemetry'],
    ['MCPServer', '{image: a, oidcConfig: {type: kubernetes}}', 'spec.oidcConfig'],
    [
      'MCPServer',
      '{image: a, oidcConfig: {type: kubernetes}, sessionStorage: {provider: redis, address: "r:1"}, rateLimiting: {perUser: {maxTokens: 1, refillPeriod: 1s}}}',
      'spec.oidcConfig',
    ],
    ['MCPServer', '{image: a, sessionStorage: {provider: memory, keyPrefix: p}}', 'spec.sessionStorage.keyPrefix'],
    ['MCPRemoteProxy', '{url: https://a.example, proxyPort: 8080}', 'spec.url'],
    ['MCPRemoteProxy', '{remoteURL: https://a.example, groupRef: g}', 'spec.remoteURL'],
    ['MCPRemoteProxy', '{url: https://a.example, targetPort: 80}', 'spec.targetPort'],
    ['MCPServerEntry', '{url: https://a.example, transport: sse}', 'spec.url'],
    ['VirtualMCPServer', '{groupRef: g, incomingAuth: {type: anonymous}}', 'spec.groupRef'],
    ['VirtualMCPServer', '{config: {groupRef: g}}', 'spec.config.groupRef'],
    ['VirtualMCPServer', '{aggregation: {conflictResolution: manual}}', 'spec.aggregation'],
    ['VirtualMCPServer', '{compositeTools: [{name: t, steps: []}]}', 'spec.compositeTools'],
    ['VirtualMCPServer', '{operational: {timeouts: {default: 5s}}}', 'spec.operational'],
    [
      'VirtualMCPServer',
      '{outgoingAuth: {default: {type: external_auth_config_ref, externalAuthConfigRef: {name: x}}}}',
      'spec.outgoingAuth.default.type',
    ],
    [
      'VirtualMCPServer',
      '{incomingAuth: {type: oidc, oidcConfig: {type: kubernetes}}}',
      'spec.incomingAuth.oidcConfig',
    ],
    [
      'MCPExternalAuthConfig',
      '{type: tokenExchange, tokenExchange: {token_url: https://a.example, audience: b, client_id: c, client_secret_ref: {name: s, key: k}, scope: "a b", external_token_header_name: X-T}}',
      'spec.tokenExchange.token_url',
    ],
    [
      'VirtualMCPCompositeToolDefinition',
      '{name: t, failureMode: continue, steps: [{id: a, tool: x.y}]}',
      'spec.failureMode',
    ],
    [
      'VirtualMCPCompositeToolDefinition',
      '{name: t, steps: [{id: a, tool: x.y, onError: {action: retry, maxRetries: 3}}]}',
      'spec.steps[0].onError.maxRetries',
    ],
  ]
  for (const [kind, spec, warned] of cases) {
    assert.deepEqual(refused(kind, spec), [], `${kind} ${spec}`)
    const read = readKind(kind, { ...frame(kind), spec: parse(spec) as unknown })
    assert.ok(read.ok, `${spec}: ${JSON.stringify(read)}`)
    assert.ok(
      read.warnings.some(({ path }) => path === warned),
      `${spec}: ${JSON.stringify(read.warnings)}`,
    )
  }
})

test('old fields that nobody can act on are let through, and then a problem that says what to write', () => {
  const cases: [kind: Kind, spec: string, path: string, advice: RegExp][] = [
    ['MCPServer', '{image: a, tools: [x]}', 'spec.tools', /MCPToolConfig/],
    ['MCPRemoteProxy', '{url: https://a.example, tools: [x]}', 'spec.tools', /MCPToolConfig/],
    [
      'MCPServer',
      '{image: a, oidcConfig: {type: configMap, configMap: {name: c}}}',
      'spec.oidcConfig',
      /MCPOIDCConfig/,
    ],
    ['MCPRegistry', '{registries: [{name: a}]}', 'spec.registries', /configYAML/],
    ['MCPRemoteProxy', '{url: https://a.example, remoteUrl: https://b.example}', 'spec.url', /contradicts/],
  ]
  for (const [kind, spec, path, advice] of cases) {
    assert.deepEqual(refused(kind, spec), [], `${kind} ${spec}`)
    const read = readKind(kind, { ...frame(kind), spec: parse(spec) as unknown })
    assert.ok(!read.ok, spec)
    const found = read.problems.find((problem) => problem.path === path)
    assert.match(found?.message ?? '', advice, JSON.stringify(read.problems))
  }
})

test('what no spelling says is refused by API servers too', () => {
  const cases: [kind: Kind, spec: string, message: RegExp][] = [
    ['MCPRemoteProxy', '{proxyPort: 1}', /remoteUrl is required/],
    ['MCPServerEntry', '{transport: sse}', /remoteUrl is required/],
    ['MCPRegistry', '{}', /configYAML is required/],
    ['MCPExternalAuthConfig', '{type: tokenExchange, tokenExchange: {audience: a}}', /tokenUrl is required/],
    ['MCPServer', '{image: a, ports: 1}', /Unrecognized key/],
    [
      'VirtualMCPServer',
      '{outgoingAuth: {default: {type: external_auth_config_ref}}}',
      /externalAuthConfigRef is required/,
    ],
  ]
  for (const [kind, spec, message] of cases) assert.match(refused(kind, spec).join('; '), message, `${kind} ${spec}`)
})

test('the written form has no stand-ins for absent objects, which an API server would store', () => {
  assert.deepEqual(forms.get('VirtualMCPServer')?.safeParse({ config: {} }).data, { config: {} })
  for (const kind of ['MCPGroup', 'MCPToolConfig', 'VirtualMCPServer', 'EmbeddingServer'] as const) {
    assert.equal(forms.get(kind)?.safeParse(undefined).data, undefined, kind)
  }
})

test('what only code can judge is let through by an API server and refused by the operator', () => {
  const cases: [kind: Kind, spec: string, path: string][] = [
    ['MCPServer', '{image: a, resources: {limits: {memory: lots}}}', 'spec.resources.limits.memory'],
    ['MCPRemoteProxy', '{remoteUrl: "https://u:p@a.example"}', 'spec.remoteUrl'],
    ['VirtualMCPServer', '{backends: [{name: a}, {name: a}]}', 'spec.backends[1].name'],
    [
      'MCPWebhookConfig',
      '{validating: [{name: a, url: https://a.example, timeout: 1h}]}',
      'spec.validating[0].timeout',
    ],
  ]
  for (const [kind, spec, path] of cases) {
    assert.deepEqual(refused(kind, spec), [], `${kind} ${spec}`)
    const read = readKind(kind, { ...frame(kind), spec: parse(spec) as unknown })
    assert.ok(!read.ok, spec)
    assert.deepEqual(
      read.problems.map((problem) => problem.path),
      [path],
    )
  }
})

function frame(kind: Kind) {
  return { apiVersion: schemas[kind].shape.apiVersion.value, kind, metadata: { name: 'a', namespace: 'n' } }
}
