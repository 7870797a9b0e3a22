import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readKind } from './cluster.ts'
import { envName } from './mcp-server.ts'
import type { Problem } from './problem.ts'

const grafana = `
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPServer
metadata:
  name: grafana
  namespace: platform-tools
spec:
  image: grafana/mcp-grafana:latest
  transport: streamable-http
  mcpPort: 8000
  proxyPort: 8080
  env:
    - name: GRAFANA_URL
      value: "https://your-grafana.internal"
  secrets:
    - name: grafana-token
      key: token
      targetEnvName: GRAFANA_SERVICE_ACCOUNT_TOKEN
  resources:
    limits:
      cpu: '200m'
      memory: '256Mi'
    requests:
      cpu: '50m'
      memory: '128Mi'
`

function read(spec: string) {
  return readKind('MCPServer', {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name: 'a', namespace: 'n' },
    spec: parse(spec) as unknown,
  })
}

function problemsOf(spec: string): readonly Problem[] {
  const parsed = read(spec)
  assert.ok(!parsed.ok, spec)
  return parsed.problems
}

test('the MCPServer of the article is accepted as printed, without a warning', () => {
  const parsed = readKind('MCPServer', parse(grafana))
  assert.ok(parsed.ok, JSON.stringify(parsed))
  assert.deepEqual(parsed.warnings, [])
  const { spec } = parsed.resource
  assert.deepEqual(
    [spec.image, spec.transport, spec.mcpPort, spec.proxyPort, spec.resources?.limits?.memory],
    ['grafana/mcp-grafana:latest', 'streamable-http', 8000, 8080, '256Mi'],
  )
  assert.deepEqual(spec.secrets?.map(envName), ['GRAFANA_SERVICE_ACCOUNT_TOKEN'])
})

test('two keys of one Secret make two variables, and one variable is not made twice', () => {
  const parsed = read('{image: a, secrets: [{name: s, key: a}, {name: s, key: b, targetEnvName: B}]}')
  assert.ok(parsed.ok && parsed.resource.spec.secrets?.map(envName).join() === 'a,B')
  const [problem] = problemsOf('{image: a, secrets: [{name: s, key: a}, {name: t, key: b, targetEnvName: a}]}')
  assert.equal(problem?.path, 'spec.secrets[1].targetEnvName')
})

test('what does not go together is refused with what to do', () => {
  const redis = 'sessionStorage: {provider: redis, address: "redis:6379"}'
  const cases: [spec: string, path: string][] = [
    ['{}', 'spec.image'],
    ['{image: a, resources: {limits: {cpu: abc}}}', 'spec.resources.limits.cpu'],
    ['{image: a, authzConfigRef: {name: a}, authzConfig: {configMap: {name: a}}}', 'spec.authzConfigRef'],
    ['{image: a, rateLimiting: {shared: {maxTokens: 1, refillPeriod: 1s}}}', 'spec.sessionStorage'],
    [`{image: a, ${redis}, rateLimiting: {perUser: {maxTokens: 1, refillPeriod: 1s}}}`, 'spec.oidcConfigRef'],
    ['{image: a, tools: [x]}', 'spec.tools'],
    ['{image: a, port: 1, proxyPort: 2}', 'spec.port'],
  ]
  for (const [spec, path] of cases) {
    assert.deepEqual(
      problemsOf(spec).map((problem) => problem.path),
      [path],
      spec,
    )
  }
})

test('old ports and a bare group are read as the present ones', () => {
  const parsed = read('{image: a, port: 9000, targetPort: 9001, groupRef: g}')
  assert.ok(parsed.ok)
  const { proxyPort, mcpPort, groupRef } = parsed.resource.spec
  assert.deepEqual({ proxyPort, mcpPort, groupRef }, { proxyPort: 9000, mcpPort: 9001, groupRef: { name: 'g' } })
  assert.deepEqual(
    parsed.warnings.map(({ path }) => path),
    ['spec.port', 'spec.targetPort', 'spec.groupRef'],
  )
})

test('what the API server adds stays readable, and a status that nobody can read is none', () => {
  const object = (status: unknown) => ({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: {
      name: 'a',
      namespace: 'n',
      generation: 3,
      finalizers: ['x/y'],
      deletionTimestamp: 't',
      managedFields: [],
    },
    spec: { image: 'a' },
    status,
  })
  const parsed = readKind('MCPServer', object({ phase: 'Ready', url: 'http://a', newer: 1 }))
  assert.ok(parsed.ok)
  const { metadata, status } = parsed.resource
  assert.deepEqual([metadata.generation, metadata.finalizers, metadata.deletionTimestamp], [3, ['x/y'], 't'])
  assert.equal(status?.phase, 'Ready')
  const odd = readKind('MCPServer', object({ phase: 7 }))
  assert.ok(odd.ok && odd.resource.status === undefined)
})

test('a prefix is a path that a proxy can serve', () => {
  for (const good of ['/tools', 'tools/', '/a/b.c/~d', '/', ''])
    assert.ok(read(`image: a\nendpointPrefix: ${JSON.stringify(good)}`).ok, good)
  for (const bad of ['/a?b', '/a#b', '/a b', '/a//b', '/../b', '/a/.', '/a"b', '/a\\b'])
    assert.equal(problemsOf(`image: a\nendpointPrefix: ${JSON.stringify(bad)}`)[0]?.path, 'spec.endpointPrefix', bad)
})
