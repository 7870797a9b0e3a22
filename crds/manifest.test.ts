import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse } from 'yaml'
import { kinds } from './kinds.ts'
import { parseManifest, type Problem, type Resource } from './manifest.ts'

const linear = `
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPRemoteProxy
metadata:
  name: linear
  namespace: platform-tools
spec:
  url: https://mcp.linear.app/mcp
  proxyPort: 8080
`

const platformTools = `
apiVersion: toolhive.stacklok.dev/v1beta1
kind: VirtualMCPServer
metadata:
  name: platform-tools-vmcp
  namespace: platform-tools
spec:
  backends:
    - name: grafana
      namespace: platform-tools
    - name: github
      namespace: platform-tools
    - name: linear
      namespace: platform-tools
  proxyPort: 9090
`

function accepted(yaml: string): { resource: Resource; warnings: Problem[] } {
  const parsed = parseManifest(parse(yaml))
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed
}

function refused(yaml: string): Problem[] {
  const parsed = parseManifest(parse(yaml))
  assert.ok(!parsed.ok, JSON.stringify(parsed))
  return parsed.problems
}

function manifest(kind: string, spec: string, version = 'toolhive.stacklok.dev/v1beta1'): string {
  return `{apiVersion: ${version}, kind: ${kind}, metadata: {name: a}, spec: ${spec}}`
}

test('the MCPRemoteProxy of the article is accepted as printed', () => {
  const { resource, warnings } = accepted(linear)
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPRemoteProxy',
    metadata: { name: 'linear', namespace: 'platform-tools' },
    spec: {
      remoteUrl: 'https://mcp.linear.app/mcp',
      transport: 'streamable-http',
      allowPrivateEndpoint: false,
      proxyPort: 8080,
    },
  })
  assert.deepEqual(
    warnings.map(({ path, suggestion }) => [path, suggestion]),
    [
      ['spec.url', 'spec.remoteUrl'],
      ['spec.proxyPort', undefined],
    ],
  )
})

test('the VirtualMCPServer of the article is accepted as printed', () => {
  const { resource, warnings } = accepted(platformTools)
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'VirtualMCPServer',
    metadata: { name: 'platform-tools-vmcp', namespace: 'platform-tools' },
    spec: {
      backends: ['grafana', 'github', 'linear'].map((name) => ({ name, namespace: 'platform-tools' })),
      config: {
        aggregation: { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '{workload}_' } },
      },
      proxyPort: 9090,
    },
  })
  assert.deepEqual(
    warnings.map(({ path }) => path),
    ['spec.proxyPort'],
  )
})

test('all problems of a manifest are reported at once, each with its path', () => {
  const problems = refused(`
apiVersion: toolhive.stacklok.dev/v2
kind: VirtualMCPServer
metadata:
  name: Not_A_Name
  annotations: {waggle.dev/call-timout: 3s}
spec:
  groupRf: {name: demo}
  incomingAuth: {type: oidc}
  backends: [{name: a}, {nam: b}, {name: a}]
  config:
    aggregation:
      conflictResolution: priorty
      tools: [{workload: a, overrides: {x.y: {descripton: z}}}]
  proxyPort: '9090'
`)
  assert.deepEqual(
    new Map(problems.map(({ path, suggestion }) => [path, suggestion])),
    new Map([
      ['apiVersion', 'toolhive.stacklok.dev/v1beta1'],
      ['metadata.annotations["waggle.dev/call-timout"]', 'waggle.dev/call-timeout'],
      ['metadata.name', undefined],
      ['spec.backends[1].name', undefined],
      ['spec.backends[1].nam', 'name'],
      ['spec.backends[2].name', undefined],
      ['spec.incomingAuth.oidcConfigRef', undefined],
      ['spec.config.aggregation.conflictResolution', 'priority'],
      ['spec.config.aggregation.tools[0].overrides["x.y"].descripton', 'description'],
      ['spec.proxyPort', undefined],
      ['spec.groupRf', 'groupRef'],
    ]),
  )
})

test('a kind of the cluster is refused with what to do instead', () => {
  const [problem] = refused(manifest('MCPServer', '{image: x}'))
  assert.equal(problem?.path, 'kind')
  assert.match(problem?.message ?? '', /runs in a cluster/)
})

test('kinds and versions that nobody knows are refused with a suggestion', () => {
  const cases: [string, string, string | undefined][] = [
    ['{}', 'kind', undefined],
    ['{kind: VirtualMCPSever}', 'kind', 'VirtualMCPServer'],
    ['{kind: vmcp}', 'kind', 'VirtualMCPServer'],
    ['{kind: List, items: []}', 'kind', undefined],
    ['{kind: MCPGroup, metadata: {name: a}}', 'apiVersion', 'toolhive.stacklok.dev/v1beta1'],
    [manifest('ToolPolicy', '{targetRef: {kind: MCPServer, name: a}, rules: []}'), 'apiVersion', 'waggle.dev/v1alpha1'],
    ['[]', '', undefined],
    ['text', '', undefined],
  ]
  for (const [yaml, path, suggestion] of cases) {
    const problems = refused(yaml)
    assert.equal(problems.length, 1, yaml)
    assert.equal(problems[0]?.path, path, yaml)
    assert.equal(problems[0]?.suggestion, suggestion, yaml)
  }
})

test('the older version is read as the present one, with a warning', () => {
  const { resource, warnings } = accepted(manifest('MCPGroup', '{}', 'toolhive.stacklok.dev/v1alpha1'))
  assert.equal(resource.apiVersion, 'toolhive.stacklok.dev/v1beta1')
  assert.deepEqual(
    warnings.map(({ message }) => message),
    ['toolhive.stacklok.dev/v1alpha1 is deprecated; use v1beta1'],
  )
})

test('what a server sets is dropped, what identifies the object is kept', () => {
  const { resource, warnings } = accepted(`
apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPGroup
metadata:
  name: a
  uid: u
  resourceVersion: '7'
  generation: 3
  creationTimestamp: '2026-10-01T00:00:00Z'
  managedFields: [{manager: kubectl}]
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', team.example.com/owner: me}
spec: {description: null}
status: {phase: Ready}
`)
  assert.deepEqual(warnings, [])
  assert.deepEqual(resource, {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPGroup',
    metadata: {
      name: 'a',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '7',
      annotations: { 'team.example.com/owner': 'me' },
    },
    spec: {},
  })
})

test('the namespace of the options is used only where the manifest names none', () => {
  const namespaceOf = (yaml: string): string | undefined => {
    const parsed = parseManifest(parse(yaml), { defaultNamespace: 'team' })
    return parsed.ok ? parsed.resource.metadata.namespace : undefined
  }
  assert.equal(namespaceOf(manifest('MCPGroup', '{}')), 'team')
  assert.equal(namespaceOf(linear), 'platform-tools')
})

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
  ]
  for (const [kind, spec, path, message] of cases) {
    const problems = refused(manifest(kind, spec))
    assert.equal(problems.length, 1, `${kind} ${spec}: ${JSON.stringify(problems)}`)
    assert.equal(problems[0]?.path, path, `${kind} ${spec}`)
    assert.match(problems[0]?.message ?? '', message)
  }
})

test('what the edge does not act on is accepted with a warning that names it', () => {
  const cases: [kind: string, spec: string, paths: string[]][] = [
    ['MCPExternalAuthConfig', '{type: xaa, xaa: {idpTokenUrl: https://a.example}}', ['spec.type']],
    ['MCPExternalAuthConfig', '{type: unauthenticated}', []],
    ['MCPOIDCConfig', '{type: kubernetesServiceAccount, kubernetesServiceAccount: {}}', ['spec.type']],
    [
      'VirtualMCPServer',
      '{authServerConfig: {issuer: https://a.example}, config: {optimizer: {}, compositeTools: [{name: x}], audit: {enabled: true}}}',
      ['spec.authServerConfig', 'spec.config.audit', 'spec.config.compositeTools', 'spec.config.optimizer'],
    ],
    [
      'MCPRemoteProxy',
      '{remoteUrl: https://a.example, resources: {limits: {cpu: 100m}}, authzConfigRef: {name: a}}',
      ['spec.authzConfigRef', 'spec.resources'],
    ],
  ]
  for (const [kind, spec, paths] of cases) {
    const { warnings } = accepted(manifest(kind, spec))
    assert.deepEqual(warnings.map(({ path }) => path).sort(), paths, `${kind} ${spec}`)
  }
})

test('a ToolPolicy takes single claim values, numbers and booleans as lists of text', () => {
  const spec = `{targetRef: {kind: MCPServerEntry, name: board}, rules: [
    {tools: ['delete_*'], groups: [admins], claims: {dept: ops, verified: true, level: [3, four]}, scopes: [mcp:write]},
    {tools: ['*']}]}`
  const { resource, warnings } = accepted(manifest('ToolPolicy', spec, 'waggle.dev/v1alpha1'))
  assert.ok(resource.kind === 'ToolPolicy')
  assert.deepEqual(resource.spec.rules[0]?.claims, { dept: ['ops'], verified: ['true'], level: ['3', 'four'] })
  assert.deepEqual(
    warnings.map(({ path }) => path),
    ['spec.rules[1]'],
  )
})

test('empty lists in a rule are refused, since they could mean everybody or nobody', () => {
  const rules = '[{tools: [], groups: [], scopes: [], claims: {a: []}}]'
  const problems = refused(
    manifest('ToolPolicy', `{targetRef: {kind: MCPServerEntry, name: a}, rules: ${rules}}`, 'waggle.dev/v1alpha1'),
  )
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

test('input that is no JSON, too deep or too big is refused', () => {
  let deep: unknown = {}
  for (let i = 0; i < 10_000; i++) deep = { deep }
  const loop: Record<string, unknown> = {}
  loop['loop'] = loop
  const spec = (value: unknown): unknown => ({ ...parse(manifest('VirtualMCPServer', '{}')), spec: value })
  const cases: unknown[] = [
    deep,
    loop,
    new Date(),
    new Map(),
    () => 1,
    1n,
    Number.NaN,
    undefined,
    JSON.parse('{"__proto__": {"kind": "MCPGroup"}}'),
    spec({ config: { optimizer: { text: 'x'.repeat(1_100_000) } } }),
    spec({ config: { optimizer: { list: Array.from({ length: 60_000 }, () => 0) } } }),
    spec({ config: { optimizer: deep } }),
  ]
  for (const [index, input] of cases.entries()) {
    const parsed = parseManifest(input)
    assert.ok(!parsed.ok && parsed.problems.length === 1, `case ${index}`)
  }
})

test('a manifest with thousands of faults is answered with a bounded list, quickly', () => {
  const spec = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`remote${i}`, i]))
  const started = performance.now()
  const parsed = parseManifest({ ...parse(linear), spec })
  assert.ok(!parsed.ok && parsed.problems.length <= 100)
  assert.ok(performance.now() - started < 2000)
})

const names = fc.constantFrom(
  ...Object.keys(kinds),
  'MCPServer',
  'apiVersion',
  'kind',
  'metadata',
  'spec',
  'name',
  'constructor',
  '__proto__',
  'toString',
)
const fields = fc.constantFrom(
  'url',
  'remoteURL',
  'remoteUrl',
  'groupRef',
  'backends',
  'config',
  'aggregation',
  'incomingAuth',
  'outgoingAuth',
  'default',
  'type',
  'tokenExchange',
  'token_url',
  'scope',
  'headerForward',
  'addPlaintextHeaders',
  'addHeadersFromSecret',
  'headerName',
  'rules',
  'claims',
  'tools',
  'sessionStorage',
  'keyPrefix',
  'inline',
)
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, -1, 1.5, '', 'a', 'oidc', 'redis', 'https://a.example', 'token_exchange'),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fields, names, fc.string({ maxLength: 4 })), tie('tree'), { maxKeys: 6 }),
  ),
}))

const right: Readonly<Record<string, unknown>> = {
  MCPRemoteProxy: { url: 'https://a.example', groupRef: 'g', sessionStorage: { provider: 'memory', keyPrefix: 'p' } },
  MCPServerEntry: { remoteUrl: 'https://a.example', transport: 'sse' },
  VirtualMCPServer: {
    backends: ['a'],
    operational: { failureHandling: { circuitBreaker: {} } },
    config: { groupRef: 'g' },
  },
  MCPOIDCConfig: { type: 'inline', inline: { issuer: 'https://a.example' } },
  MCPExternalAuthConfig: { type: 'token_exchange', tokenExchange: { token_url: 'https://a.example', audience: 'b' } },
  ToolPolicy: { targetRef: { kind: 'MCPServer', name: 'a' }, rules: [{ tools: ['*'], claims: { a: 1 } }] },
}
const valid = fc
  .record({ kind: fc.constantFrom(...Object.keys(kinds)), extra: fc.dictionary(fields, tree, { maxKeys: 2 }) })
  .map(({ kind, extra }) => ({
    apiVersion: kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1alpha1',
    kind,
    metadata: { name: 'a', annotations: {} },
    spec: { ...extra, ...(right[kind] as object | undefined) },
  }))

test('a resource that was accepted is accepted again, unchanged and without complaints about old spellings', () => {
  for (const [kind, spec] of Object.entries({ ...right, MCPGroup: {}, MCPToolConfig: { toolsFilter: ['a'] } })) {
    const apiVersion = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
    const first = parseManifest({ apiVersion, kind, metadata: { name: 'a' }, spec })
    assert.ok(first.ok, JSON.stringify(first))
    const second = parseManifest(first.resource)
    assert.ok(second.ok, JSON.stringify(second))
    assert.deepEqual(second.resource, first.resource)
    assert.deepEqual(
      second.warnings,
      first.warnings.filter(({ message }) => !/old|write \{|it was added/.test(message)),
    )
  }
})

test('whatever the input, the answer is a resource or at least one problem', () => {
  const whole = fc.record({
    apiVersion: fc.constantFrom(
      'toolhive.stacklok.dev/v1beta1',
      'toolhive.stacklok.dev/v1alpha1',
      'waggle.dev/v1alpha1',
    ),
    kind: fc.constantFrom(...Object.keys(kinds)),
    metadata: fc.oneof(fc.constant({ name: 'a' }), tree),
    spec: tree,
  })
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.anything(), whole, valid), (input) => {
      const parsed = parseManifest(input)
      if (parsed.ok) {
        accepted++
        const again = parseManifest(parsed.resource)
        assert.ok(again.ok)
        assert.deepEqual(again.resource, parsed.resource)
      } else {
        assert.ok(parsed.problems.length > 0)
        for (const { path, message } of parsed.problems) assert.ok(typeof path === 'string' && message.length > 0)
      }
    }),
    { numRuns: 2000 },
  )
  assert.ok(accepted > 20, `only ${accepted} inputs were accepted: the generator is too wild`)
})
