import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readResource } from '../../crds/cluster.ts'
import { sha256 } from '../../gateway/sha256.ts'
import { MAX_BODY, MAX_ITEMS, type SnapshotBody } from '../../protocol/snapshot.ts'
import { bodyText, makeSnapshot, type Offer } from './snapshot.ts'
import type { Published } from '../../plan/trim.ts'

function offer(kind: 'MCPServer' | 'ToolPolicy', name: string, catalog?: string): Offer {
  const spec =
    kind === 'MCPServer' ? { image: 'one' } : { targetRef: { kind: 'MCPServer', name: 'a' }, rules: [{ tools: ['*'] }] }
  const apiVersion = kind === 'MCPServer' ? 'toolhive.stacklok.dev/v1beta1' : 'waggle.dev/v1alpha1'
  const reading = readResource({ apiVersion, kind, metadata: { name, namespace: 'team' }, spec })
  assert.ok(reading.ok)
  return { resource: reading.resource as Published, uid: `uid-${name}`, catalog }
}

test('the same offers make the same text in any order, and other ones another', () => {
  const offers = ['a', 'b', 'c', 'd'].map((name) => offer('MCPServer', name, `{"tools":["${name}"]}`))
  const { text } = makeSnapshot(offers)
  fc.assert(
    fc.property(fc.shuffledSubarray(offers, { minLength: 4 }), (shuffled) => {
      assert.equal(makeSnapshot(shuffled.map((one) => ({ ...one }))).text, text)
    }),
  )
  const [first, ...others] = offers
  assert.ok(first !== undefined)
  const changes: readonly Offer[] = [
    { ...first, catalog: '{"tools":[]}' },
    { ...first, catalog: undefined },
    { ...first, uid: 'uid-again' },
  ]
  const texts = changes.map((change) => makeSnapshot([change, ...others]).text)
  assert.equal(new Set([text, ...texts, makeSnapshot(others).text]).size, 5)
})

test('a body is found by the digest of its text, and holds the catalog byte for byte', async () => {
  const catalog = '{"tools": [ {"name":"a","inputSchema":{"maximum":1.0e400}} ]}'
  const { items, bodies } = makeSnapshot([offer('MCPServer', 'a', catalog), offer('MCPServer', 'b')])
  for (const { digest, name } of items) {
    const body = bodies.get(digest)
    assert.ok(body !== undefined)
    const text = bodyText(body)
    assert.equal(await sha256(text), digest)
    const { resource, ...rest } = JSON.parse(text) as SnapshotBody
    const { metadata } = resource as { metadata: { name: string; uid: string } }
    assert.deepEqual([metadata.name, metadata.uid], [name, `uid-${name}`])
    assert.equal('catalog' in rest, name === 'a')
    if (name === 'a') assert.ok(text.endsWith(`,"catalog":${catalog}}`))
  }
})

test('what is too large or too much stays out and is named, and policies stay out last', () => {
  const huge = makeSnapshot([offer('MCPServer', 'huge', `"${'x'.repeat(MAX_BODY)}"`), offer('MCPServer', 'a')])
  assert.deepEqual(
    huge.items.map((item) => item.name),
    ['a'],
  )
  assert.deepEqual(
    huge.dropped.map(({ key, reason }) => [key, reason]),
    [['MCPServer/team/huge', 'too_large']],
  )
  const { resource } = offer('MCPServer', 'a')
  const many = Array.from({ length: MAX_ITEMS }, (_, index): Offer => {
    const metadata = { ...resource.metadata, name: `s${index}` }
    return { resource: { ...resource, metadata }, uid: `u${index}`, catalog: undefined }
  })
  const full = makeSnapshot([...many, offer('ToolPolicy', 'limits')])
  assert.equal(full.items.length, MAX_ITEMS)
  assert.equal(full.items[0]?.kind, 'ToolPolicy')
  assert.deepEqual(
    full.dropped.map(({ reason }) => reason),
    ['too_many'],
  )
})
