import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegisteredItem } from '../documents/registry.ts'
import { excess, MAX_MEMBERS, MAX_NAMES, MAX_VIRTUAL } from './weight.ts'

/** Only what is weighed. */
function item(kind: RegisteredItem['kind'], name: string, spec: object): RegisteredItem {
  const metadata = { namespace: 'test', name }
  const resource = { kind, metadata, spec } as unknown as RegisteredItem['resource']
  return { kind, ...metadata, uid: name, digest: '', registeredAt: 0, resource, catalog: undefined }
}
const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))
const namesOf = (items: readonly RegisteredItem[]) => excess(items).map((one) => one.item.name)

test('virtual servers that each have a whole group are too many long before they are many', () => {
  const servers = many(1_000, (at) => item('MCPServer', `s${at}`, { groupRef: { name: 'all' } }))
  const virtual = many(100, (at) => item('VirtualMCPServer', `v${at}`, { groupRef: { name: 'all' } }))
  const fit = MAX_MEMBERS / servers.length
  assert.deepEqual(
    namesOf([...virtual, ...servers]),
    virtual.slice(fit).map(({ name }) => name),
  )
  assert.deepEqual(namesOf(servers), [])
})

test('so are virtual servers without members, and names of tools in policies', () => {
  const virtual = many(MAX_VIRTUAL + 1, (at) => item('VirtualMCPServer', `v${at}`, { backends: [] }))
  assert.deepEqual(namesOf(virtual), [`v${MAX_VIRTUAL}`])
  const policy = (name: string) => item('ToolPolicy', name, { rules: [{ tools: many(MAX_NAMES / 2, String) }] })
  assert.deepEqual(namesOf(['a', 'b', 'c'].map(policy)), ['c'])
})
