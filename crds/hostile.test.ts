import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse } from 'yaml'
import { edgeKinds } from './kinds.ts'
import { parseManifest } from './manifest.ts'

function manifest(kind: string, spec: string): string {
  const version = kind === 'ToolPolicy' ? 'waggle.dev/v1alpha1' : 'toolhive.stacklok.dev/v1beta1'
  return `{apiVersion: ${version}, kind: ${kind}, metadata: {name: a}, spec: ${spec}}`
}

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
  const parsed = parseManifest({ ...parse(manifest('MCPRemoteProxy', '{}')), spec })
  assert.ok(!parsed.ok && parsed.problems.length <= 100)
  assert.ok(performance.now() - started < 2000)
})

const names = fc.constantFrom(
  ...edgeKinds,
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
  .record({ kind: fc.constantFrom(...edgeKinds), extra: fc.dictionary(fields, tree, { maxKeys: 2 }) })
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
    kind: fc.constantFrom(...edgeKinds),
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
