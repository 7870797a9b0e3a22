import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseManifest } from '../crds/manifest.ts'
import { readManifests } from './manifests.ts'

const folder = fileURLToPath(new URL('edge', import.meta.url))

test('every manifest of the demo is accepted without a warning', () => {
  const manifests = readManifests(folder)
  assert.equal(manifests.length, 10)
  for (const manifest of manifests) {
    const parsed = parseManifest(manifest)
    assert.deepEqual(parsed.ok ? parsed.warnings : parsed.problems, [], JSON.stringify(manifest).slice(0, 200))
  }
})

test('only the ports that were taken are replaced', () => {
  const manifests = readManifests(folder, new Map([[8792, 'http://127.0.0.1:9999']]))
  const urls = manifests.flatMap((manifest) => {
    const { spec } = manifest as { spec: { remoteUrl?: string } }
    return spec.remoteUrl === undefined ? [] : [spec.remoteUrl]
  })
  assert.deepEqual(urls, ['http://127.0.0.1:8791/mcp', 'http://127.0.0.1:9999/mcp', 'http://127.0.0.1:8793/sse'])
})
