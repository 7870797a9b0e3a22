import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { parseManifest, type Problem } from './manifest.ts'

function manifest(kind: string, spec: string): string {
  const version = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
  return `{apiVersion: ${version}, kind: ${kind}, metadata: {name: a}, spec: ${spec}}`
}

function refused(yaml: string): Problem[] {
  const parsed = parseManifest(parse(yaml))
  assert.ok(!parsed.ok, JSON.stringify(parsed))
  return parsed.problems
}

test('specs that do not fit together are refused where the fault is', () => {
  const cases: [kind: string, spec: string, path: string, message: RegExp][] = [
    ['MCPRemoteProxy', '{}', 'spec.remoteUrl', /is required/],
    ['MCPRemoteProxy', '{remoteUrl: ftp://a}', 'spec.remoteUrl', /https:\/\//],
    ['MCPRemoteProxy', '{remoteUrl: "https://"}', 'spec.remoteUrl', /absolute URL/],
    ['MCPRemoteProxy', '{remoteUrl: "https://u:p@a.example"}', 'spec.remoteUrl', /without user/],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, authzConfigRef: {name: a}, authzConfig: {type: inline, inline: {policies: [p]}}}',
      'spec.authzConfigRef',
      /does not go with authzConfig/,
    ],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, sessionStorage: {provider: redis}}',
      'spec.sessionStorage.address',
      /is required when provider is redis/,
    ],
    ['MCPServerEntry', '{remoteUrl: https://a.example}', 'spec.transport', /is required: sse, streamable-http/],
    ['VirtualMCPServer', '{incomingAuth: {type: oidc}}', 'spec.incomingAuth.oidcConfigRef', /default issuer/],
    [
      'VirtualMCPServer',
      '{incomingAuth: {type: anonymous, oidcConfigRef: {name: a}}}',
      'spec.incomingAuth.oidcConfigRef',
      /does not go with type: anonymous/,
    ],
    [
      'VirtualMCPServer',
      '{outgoingAuth: {default: {type: externalAuthConfigRef}}}',
      'spec.outgoingAuth.default.externalAuthConfigRef',
      /is required/,
    ],
    [
      'VirtualMCPServer',
      '{config: {aggregation: {conflictResolution: priority}}}',
      'spec.config.aggregation.conflictResolutionConfig.priorityOrder',
      /is required/,
    ],
    ['VirtualMCPServer', '{passthroughHeaders: [Cookie]}', 'spec.passthroughHeaders[0]', /credential/],
    ['MCPOIDCConfig', '{type: inline}', 'spec.inline', /is required when type is inline/],
    [
      'MCPOIDCConfig',
      '{type: inline, inline: {issuer: https://a.example}, kubernetesServiceAccount: {}}',
      'spec.kubernetesServiceAccount',
      /does not go with type: inline/,
    ],
    ['MCPOIDCConfig', '{type: inline, inline: {issuer: http://a.example}}', 'spec.inline.issuer', /must use https/],
    ['MCPExternalAuthConfig', '{type: bearerToken}', 'spec.bearerToken', /is required when type is bearerToken/],
    [
      'MCPExternalAuthConfig',
      '{type: unauthenticated, bearerToken: {tokenSecretRef: {name: a, key: k}}}',
      'spec.bearerToken',
      /remove it or change type/,
    ],
    [
      'MCPExternalAuthConfig',
      '{type: headerInjection, headerInjection: {headerName: Mcp-Session-Id, valueSecretRef: {name: a, key: k}}}',
      'spec.headerInjection.headerName',
      /can not be forwarded/,
    ],
    ['MCPToolConfig', '{toolsFilter: echo}', 'spec.toolsFilter', /must be a list, not a string/],
    [
      'VirtualMCPServer',
      '{config: {rateLimiting: {shared: {maxTokens: 1, refillPeriod: 1s}}}, sessionStorage: {provider: memory}}',
      'spec.sessionStorage',
      /with provider: redis is required/,
    ],
    [
      'VirtualMCPServer',
      '{embeddingServerRef: {name: tei}, config: {optimizer: {embeddingProvider: openai}}}',
      'spec.embeddingServerRef',
      /keep one of the two/,
    ],
  ]
  for (const [kind, spec, path, message] of cases) {
    const problems = refused(manifest(kind, spec))
    assert.equal(problems.length, 1, `${kind} ${spec}: ${JSON.stringify(problems)}`)
    assert.equal(problems[0]?.path, path, `${kind} ${spec}`)
    assert.match(problems[0]?.message ?? '', message)
  }
})

test('empty lists in a rule are refused, since they could mean everybody or nobody', () => {
  const rules = '[{tools: [], groups: [], scopes: [], claims: {a: []}}]'
  const problems = refused(manifest('ToolPolicy', `{targetRef: {kind: MCPServerEntry, name: a}, rules: ${rules}}`))
  assert.deepEqual(problems.map(({ path }) => path).sort(), [
    'spec.rules[0].claims.a',
    'spec.rules[0].groups',
    'spec.rules[0].scopes',
    'spec.rules[0].tools',
  ])
})

test('headers that HTTP, MCP or the edge decide are refused, and credentials in plain text', () => {
  const verdict = (name: string): string | undefined => {
    const parsed = parseManifest({
      ...parse(manifest('MCPServerEntry', '{}')),
      spec: {
        remoteUrl: 'https://a.example',
        transport: 'sse',
        headerForward: { addPlaintextHeaders: { [name]: 'secret-value' } },
      },
    })
    assert.ok(!JSON.stringify(parsed.ok ? [] : parsed.problems).includes('secret-value'))
    return parsed.ok ? undefined : parsed.problems[0]?.message
  }
  for (const name of [
    'Host',
    'connection',
    'X-Forwarded-For',
    'Content-Type',
    'Mcp-Method',
    'waggle-assertion',
    'TE',
  ]) {
    assert.match(verdict(name) ?? '', /can not be forwarded/, name)
  }
  assert.match(verdict('authorization') ?? '', /bearerToken or headerInjection/)
  assert.match(verdict('no spaces') ?? '', /HTTP header name/)
  assert.equal(verdict('X-Team'), undefined)
})

test('a header may come from one place only', () => {
  const secret = '{headerName: X-Key, valueSecretRef: {name: a, key: k}}'
  const problems = refused(
    manifest(
      'MCPServerEntry',
      `{remoteUrl: https://a.example, transport: sse,
        headerForward: {addPlaintextHeaders: {x-key: v}, addHeadersFromSecret: [${secret}]}}`,
    ),
  )
  assert.deepEqual(
    problems.map(({ path }) => path),
    ['spec.headerForward.addHeadersFromSecret[0].headerName'],
  )
})
