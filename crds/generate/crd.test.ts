import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinds } from '../kinds.ts'
import { crd, rootSchema } from './crd.ts'
import { fields } from './field.ts'
import { outputs } from './outputs.ts'
import { published, publishedKinds } from './published.ts'
import type { Structural } from './structural.ts'

/** A schema and everything below it, with paths. */
function* nodes(node: Structural, path: string): Generator<[path: string, node: Structural]> {
  yield [path, node]
  for (const [name, child] of Object.entries(node.properties ?? {})) yield* nodes(child, `${path}.${name}`)
  if (node.items !== undefined) yield* nodes(node.items, `${path}[]`)
  if (node.additionalProperties !== undefined) yield* nodes(node.additionalProperties, `${path}.*`)
}

test('every field has a description that kubectl can print', () => {
  const silent = publishedKinds.flatMap((kind) =>
    [...fields(kind, 'spec'), ...fields(kind, 'status')]
      .filter(({ description }) => !/^\w.*\.$/s.test(description))
      .map(({ path }) => `${kind} ${path}`),
  )
  assert.deepEqual(silent, [])
})

test('every rule says what to do', () => {
  for (const kind of publishedKinds) {
    for (const [path, node] of nodes(rootSchema(kind), kind)) {
      for (const { rule, message, fieldPath } of node['x-kubernetes-validations'] ?? []) {
        assert.ok((message ?? '').length > 10, `${path}: ${rule}`)
        const field = fieldPath?.slice(1)
        assert.ok(field === undefined || node.properties?.[field] !== undefined, `${path}: no field ${field}`)
      }
    }
  }
})

test('the keys of list maps are always there', () => {
  for (const kind of publishedKinds) {
    for (const [path, { items, 'x-kubernetes-list-map-keys': keys }] of nodes(rootSchema(kind), kind)) {
      for (const key of keys ?? []) {
        const given = items?.required?.includes(key) === true || items?.properties?.[key]?.default !== undefined
        assert.ok(given, `${path}: ${key} may be missing`)
      }
    }
  }
})

test('one version of each kind is stored, and older ones warn', () => {
  for (const kind of publishedKinds) {
    const { versions, names } = crd(kind).spec
    assert.deepEqual(
      versions.filter(({ storage }) => storage).map(({ name }) => name),
      [kinds[kind].apiVersion.split('/')[1]],
    )
    for (const version of versions.slice(1)) {
      const today = 'toolhive.stacklok.dev/v1alpha1 is deprecated; use v1beta1'
      if (kind === 'MCPRegistry') assert.match(version.deprecationWarning ?? '', /MCPRegistry is deprecated/)
      else assert.equal(version.deprecationWarning, today)
      assert.deepEqual(version.schema, versions[0]?.schema)
    }
    assert.deepEqual(names['categories'], ['toolhive'])
  }
})

test('the columns of the article come first, all others are for -o wide', () => {
  for (const kind of ['MCPServer', 'MCPRemoteProxy', 'VirtualMCPServer'] as const) {
    const narrow = published(kind).columns.filter(({ priority = 0 }) => priority === 0)
    assert.deepEqual(
      narrow.map(({ name }) => name.toUpperCase()),
      ['STATUS', 'URL', 'AGE'],
      kind,
    )
  }
})

test('no CRD is larger than 200 kB, so that kubectl can apply it in any way', () => {
  for (const [path, content] of outputs()) {
    if (path.startsWith('charts/'))
      assert.ok(Buffer.byteLength(content) < 200_000, `${path}: ${Buffer.byteLength(content)}`)
  }
})

test('no template of the chart has a brace that Helm would read', () => {
  for (const [path, content] of outputs()) {
    if (!path.startsWith('charts/')) continue
    const actions = content.match(/\{\{.*?\}\}/g)?.filter((action) => action !== '{{ "{{" }}')
    assert.deepEqual(
      actions,
      ['{{- if .Values.crds.install }}', '{{- if .Values.crds.keep }}', '{{- end }}', '{{- end }}'],
      path,
    )
  }
})
