import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { isKind, type Kind } from '../kinds.ts'
import { isTree } from '../plain.ts'
import { root } from './drift.ts'
import { editorSchema } from './editor.ts'

const judges = new Map<Kind, z.ZodType>()

/** The editor's schema of a kind, read as an editor reads it. */
function judge(kind: Kind): z.ZodType {
  const known = judges.get(kind)
  if (known !== undefined) return known
  const made = z.fromJSONSchema(
    JSON.parse(JSON.stringify(editorSchema(kind))) as Parameters<typeof z.fromJSONSchema>[0],
  )
  judges.set(kind, made)
  return made
}

test('an editor marks nothing in the examples for a cluster', () => {
  let judged = 0
  for (const file of globSync('examples/cluster/**/*.yaml', { cwd: root })) {
    for (const document of parseAllDocuments(readFileSync(join(root, file), 'utf8'))) {
      const manifest: unknown = document.toJS()
      if (!isTree(manifest) || typeof manifest['kind'] !== 'string' || !isKind(manifest['kind'])) continue
      const parsed = judge(manifest['kind']).safeParse(manifest)
      assert.ok(parsed.success, `${file}: ${parsed.success ? '' : z.prettifyError(parsed.error)}`)
      judged++
    }
  }
  assert.ok(judged >= 10, `${judged} manifests`)
})

test('an editor marks a field that does not exist, a wrong type and a missing field', () => {
  const server = (spec: object): object => ({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata: { name: 'a' },
    spec,
  })
  const accepts = (spec: object): boolean => judge('MCPServer').safeParse(server(spec)).success
  assert.equal(accepts({ image: 'a' }), true)
  assert.equal(accepts({ image: 'a', imag: 'b' }), false)
  assert.equal(accepts({ image: 1 }), false)
  assert.equal(accepts({}), false)
  assert.equal(accepts({ image: 'a', transport: 'http' }), false)
})
