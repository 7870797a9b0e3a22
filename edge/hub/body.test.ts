import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyDigest, type SnapshotItem } from '../../protocol/snapshot.ts'
import { openBody } from './body.ts'

const server = {
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'MCPServer',
  metadata: { namespace: 'test', name: 'a', uid: 'u' },
  spec: { image: 'example.com/x:1', transport: 'streamable-http' },
}
const published = (tools: string) =>
  `{"tools":[${tools}],"prompts":[],"resources":[],"resourceTemplates":[],"era":"modern","revision":"2026-07-28","capabilities":{},"ttlMs":60000}`
const tool = '{"name":"one", "inputSchema":{"type":"object"},"future":1.50}'

async function open(text: string, more: Partial<SnapshotItem> = {}) {
  const bytes = new Uint8Array(Buffer.from(text))
  const digest = await bodyDigest(bytes)
  return openBody({ kind: 'MCPServer', namespace: 'test', name: 'a', uid: 'u', digest, ...more }, bytes)
}

test('a body has the manifest, and the catalog with every item as its server wrote it', async () => {
  const opened = await open(`{"resource":${JSON.stringify(server)},"catalog":${published(tool)}}`)
  assert.ok(opened.ok)
  assert.equal(opened.resource.metadata.name, 'a')
  assert.equal(opened.catalog?.sections.tools[0]?.text, tool)
})

test('a body without a catalog says nothing of tools', async () => {
  const opened = await open(JSON.stringify({ resource: server }))
  assert.ok(opened.ok)
  assert.equal(opened.catalog, undefined)
})

test('one malformed tool is dropped alone', async () => {
  const opened = await open(`{"resource":${JSON.stringify(server)},"catalog":${published(`{"name":7},${tool}`)}}`)
  assert.ok(opened.ok)
  assert.deepEqual(
    opened.catalog?.sections.tools.map(({ id }) => id),
    ['one'],
  )
  assert.equal(opened.catalog?.problems.length, 1)
})

const other = { ...server, metadata: { ...server.metadata, name: 'b' } }
for (const [what, text, more] of [
  ['is not what its digest says', JSON.stringify({ resource: server }), { digest: '0'.repeat(64) }],
  ['is no JSON', '{"resource":', {}],
  ['is nothing', 'null', {}],
  ['has no manifest', '{}', {}],
  ['is of another resource', JSON.stringify({ resource: other }), {}],
  ['is of another kind', JSON.stringify({ resource: server }), { kind: 'MCPGroup' }],
  [
    'has a manifest with a field that nobody knows',
    JSON.stringify({ resource: { ...server, spec: { image: 'x', y: 1 } } }),
    {},
  ],
  ['has a catalog that is none', JSON.stringify({ resource: server, catalog: [] }), {}],
  [
    'has two catalogs',
    `{"resource":${JSON.stringify(server)},"catalog":${published('')},"catalog":${published(tool)}}`,
    {},
  ],
] as const) {
  test(`a body that ${what} is refused`, async () => {
    const opened = await open(text, more)
    assert.equal(opened.ok, false)
    assert.equal('reason' in opened && opened.reason, 'invalid')
  })
}

test('a catalog that isolates could not hold is refused as too large', async () => {
  const large = `{"name":"one","inputSchema":{"type":"object"},"description":"${'x'.repeat(200_000)}"}`
  const opened = await open(
    `{"resource":${JSON.stringify(server)},"catalog":${published(Array(45).fill(large).join(','))}}`,
  )
  assert.equal('reason' in opened && opened.reason, 'too_large')
})

test('a policy that cannot be read says what it is about, if it can', async () => {
  const policy = {
    apiVersion: 'waggle.dev/v1alpha1',
    kind: 'ToolPolicy',
    metadata: { namespace: 'test', name: 'a' },
    spec: { targetRef: { kind: 'MCPServer', name: 'guarded' }, rules: [{ tools: ['*'], novelty: true }] },
  }
  const opened = await open(JSON.stringify({ resource: policy }), { kind: 'ToolPolicy' })
  assert.deepEqual('target' in opened && opened.target, { kind: 'MCPServer', name: 'guarded' })
})

const virtual = (spec: object, annotations: object = {}) => ({
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'VirtualMCPServer',
  metadata: { namespace: 'test', name: 'a', annotations },
  spec: { backends: [{ name: 'x' }], ...spec },
})

test('a manifest decides nothing about logins and credentials, whatever its uplink left in it', async () => {
  const opened = await open(
    JSON.stringify({
      resource: virtual(
        {
          incomingAuth: { type: 'anonymous' },
          outgoingAuth: {
            source: 'inline',
            backends: { x: { type: 'externalAuthConfigRef', externalAuthConfigRef: { name: 'key-of-the-edge' } } },
          },
        },
        { 'waggle.dev/additional-oidc-configs': 'another', 'waggle.dev/federation': 'prefixed' },
      ),
    }),
    { kind: 'VirtualMCPServer' },
  )
  assert.ok(opened.ok && opened.resource.kind === 'VirtualMCPServer', JSON.stringify(opened))
  const { spec, metadata } = opened.resource
  assert.equal(spec.incomingAuth, undefined)
  assert.equal(spec.outgoingAuth, undefined)
  assert.deepEqual(metadata.annotations, { 'waggle.dev/federation': 'prefixed' })
  assert.deepEqual(
    spec.backends?.map(({ name }) => name),
    ['x'],
  )
})

test('a manifest is refused whose word on callers nobody could hold to', async () => {
  const spec = { image: 'x', transport: 'streamable-http', authzConfigRef: { name: 'cedar' } }
  const opened = await open(JSON.stringify({ resource: { ...server, spec } }))
  assert.equal(opened.ok, false)
})
