import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { schemas } from './cluster.ts'
import { allKinds, elsewhere, isEdgeKind, kindOf, kinds } from './kinds.ts'

test('a kind is found by its name, plural, singular and short names in any case', () => {
  for (const word of ['VirtualMCPServer', 'virtualmcpservers', 'VIRTUALMCPSERVER', 'vmcp']) {
    assert.equal(kindOf(word), 'VirtualMCPServer')
  }
  assert.equal(kindOf('rp'), 'MCPRemoteProxy')
  assert.equal(kindOf('toolpolicies'), 'ToolPolicy')
  for (const word of ['mcpserver', '', 'constructor']) assert.equal(kindOf(word), undefined)
  assert.equal(kindOf('mcpserver', 'cluster'), 'MCPServer')
})

test('no word means two kinds, and a kind is either for edges or has a word on where it belongs', () => {
  const words = allKinds.flatMap((kind) => {
    const { plural, singular, shortNames } = kinds[kind]
    return [...new Set<string>([plural, singular, ...shortNames])]
  })
  assert.equal(new Set(words).size, words.length)
  for (const kind of allKinds) assert.equal(Object.hasOwn(elsewhere, kind), !isEdgeKind(kind))
})

interface Node {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

function unbounded(node: Node, path: string): string[] {
  if (node['x-kubernetes-preserve-unknown-fields'] === true) return []
  const found: string[] = []
  if (node.type === 'string' && node.enum === undefined && node.maxLength === undefined) found.push(path)
  if (node.type === 'array' && node.maxItems === undefined) found.push(path)
  const values = node.additionalProperties
  if (typeof values === 'object' && Object.keys(values).length > 0) {
    if (node.maxProperties === undefined) found.push(path)
    found.push(...unbounded(values, `${path}.*`))
  }
  if (node.items !== undefined) found.push(...unbounded(node.items, `${path}[]`))
  for (const [name, child] of Object.entries(node.properties ?? {})) found.push(...unbounded(child, `${path}.${name}`))
  return found
}

test('every schema can be written as an OpenAPI schema in which every string, list and map has a maximum', () => {
  for (const [kind, schema] of Object.entries(schemas)) {
    const written = z.toJSONSchema(schema, {
      target: 'openapi-3.0',
      io: 'input',
      unrepresentable: 'throw',
      reused: 'inline',
      cycles: 'throw',
    })
    assert.deepEqual(unbounded(written as Node, kind), [])
    assert.ok(!/\(\?[=!<]/.test(JSON.stringify(written)), `${kind}: patterns must be RE2`)
  }
})
