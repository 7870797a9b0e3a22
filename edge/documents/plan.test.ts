import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { maxResources, planApply, planDelete } from './plan.ts'
import type { ApplyPlan } from './plan.ts'
import { resourceCodec } from './resources.ts'
import type { ResourceDocument } from './resources.ts'
import { applied, emptyDocument, manifest, parsed, pick } from './sample.ts'

const url = 'https://mcp.example.com/mcp'
const entry = (place: string, spec: object = {}, metadata: object = {}) =>
  manifest('MCPServerEntry', place, { remoteUrl: url, transport: 'streamable-http', ...spec }, metadata)

function plan(inputs: readonly object[], current = emptyDocument): ApplyPlan {
  return planApply(current, inputs.map(parsed), Date.UTC(2026, 10, 1, 12), () => 'fresh')
}

function actions(result: ApplyPlan): string[] {
  return result.kind === 'planned' ? result.results.map(({ action }) => action) : [result.reason]
}

function problems(result: ApplyPlan): [number, string][] {
  return result.kind === 'refused' ? result.problems.map(({ index, path }) => [index, path]) : []
}

test('a new resource gets a uid, generation 1 and a creation time', () => {
  const after = applied([entry('a/x')])
  const { uid, generation, creationTimestamp, resourceVersion } = pick(after, 'MCPServerEntry', 'a/x').metadata
  assert.deepEqual([uid, generation, creationTimestamp, resourceVersion], ['uid', 1, '2026-11-01T00:00:00Z', '1'])
})

test('the same manifest again changes nothing, whatever the order of its fields', () => {
  const current = applied([entry('a/x', {}, { labels: { a: '1', b: '2' } })])
  const again = plan([entry('a/x', {}, { labels: { b: '2', a: '1' } })], current)
  assert.deepEqual(actions(again), ['unchanged'])
  assert.equal(again.kind === 'planned' && again.next, undefined)
})

test('a changed spec bumps generation and version and keeps uid and creation time', () => {
  const current = applied([entry('a/x')])
  const after = applied([entry('a/x', { transport: 'sse' })], current)
  const [old, now] = [pick(current, 'MCPServerEntry', 'a/x').metadata, pick(after, 'MCPServerEntry', 'a/x').metadata]
  assert.deepEqual(
    [now.generation, now.uid, now.creationTimestamp],
    [old.generation + 1, old.uid, old.creationTimestamp],
  )
  assert.notEqual(now.resourceVersion, old.resourceVersion)
})

test('changed annotations bump the version but not the generation', () => {
  const current = applied([entry('a/x')])
  const after = applied([entry('a/x', {}, { annotations: { note: 'hi' } })], current)
  const { generation, resourceVersion } = pick(after, 'MCPServerEntry', 'a/x').metadata
  assert.deepEqual([generation, resourceVersion], [1, '2'])
})

test('a stated resourceVersion must be the stored one', () => {
  const current = applied([entry('a/x')])
  const at = (resourceVersion: string) => plan([entry('a/x', { transport: 'sse' }, { resourceVersion })], current)
  assert.deepEqual(actions(at('1')), ['configured'])
  assert.deepEqual(actions(at('7')), ['conflict'])
  assert.deepEqual(problems(at('7')), [[0, 'metadata.resourceVersion']])
  assert.deepEqual(actions(plan([entry('a/new', {}, { resourceVersion: '1' })])), ['conflict'])
})

test('one refused manifest refuses all of them', () => {
  const result = plan([entry('a/x'), entry('a/y'), entry('a/x')])
  assert.deepEqual(problems(result), [[2, 'metadata.name']])
})

const remote = (place: string) => manifest('MCPRemoteProxy', place, { remoteUrl: url })
const virtual = (place: string) => manifest('VirtualMCPServer', place, {})

for (const [name, inputs, refused] of [
  ['two endpoints cannot have the same URL', [remote('a/x'), virtual('a/x')], ['metadata.name', 'metadata.name']],
  ['two servers cannot have the same key', [remote('a/x'), entry('a/x')], ['metadata.name', 'metadata.name']],
  ['a virtual server may be called like an entry', [virtual('a/x'), entry('a/x')], []],
  ['the same name in two namespaces is no clash', [remote('a/x'), virtual('b/x')], []],
  ['no endpoint may lie under the path of the admin API', [virtual('admin/v1')], ['metadata.namespace']],
] as const) {
  test(name, () =>
    assert.deepEqual(
      problems(plan(inputs)).map(([, path]) => path),
      refused,
    ),
  )
}

test('a clash with a resource that is already there is refused too', () => {
  assert.deepEqual(problems(plan([entry('a/x')], applied([remote('a/x')]))), [[0, 'metadata.name']])
})

test('there can be 5,000 resources and no more', () => {
  const resources = new Map(
    Array.from({ length: maxResources }, (_, n) => [
      `MCPGroup/a/g${n}`,
      pick(applied([entry('a/x')]), 'MCPServerEntry', 'a/x'),
    ]),
  )
  assert.deepEqual(actions(plan([entry('b/one')], { revision: 1, resources })), ['too_large'])
})

test('a delete needs the resource to exist and, where stated, to be at that version', () => {
  const current = applied([entry('a/x')])
  const key = 'MCPServerEntry/a/x'
  assert.equal(planDelete(current, 'MCPServerEntry/a/y').kind, 'refused')
  assert.equal(planDelete(current, key, '9').kind, 'refused')
  const gone = planDelete(current, key, '1')
  assert.equal(gone.kind === 'planned' && gone.next.resources.size, 0)
})

test('versions never repeat, not even for a resource that was deleted and created again', () => {
  const step = fc.record({ name: fc.constantFrom('x', 'y'), sse: fc.boolean(), remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let current: ResourceDocument = emptyDocument
      const seen = new Map<string, string>()
      for (const { name, sse, remove } of steps) {
        if (remove) {
          const result = planDelete(current, `MCPServerEntry/a/${name}`)
          if (result.kind === 'planned') current = result.next
          continue
        }
        current = applied([entry(`a/${name}`, { transport: sse ? 'sse' : 'streamable-http' })], current)
        const stored = pick(current, 'MCPServerEntry', `a/${name}`)
        const text = JSON.stringify(stored)
        const id = `${name} ${stored.metadata.resourceVersion}`
        assert.equal(seen.get(id) ?? text, text)
        seen.set(id, text)
      }
    }),
  )
})

test('the stored form reads back as what was written', () => {
  const document = applied([entry('a/x'), remote('a/y')])
  assert.deepEqual(resourceCodec.parse(JSON.parse(JSON.stringify(resourceCodec.print(document)))), document)
  assert.throws(() => resourceCodec.parse({ format: 2, revision: 1, items: [] }), /unknown format 2/)
})
