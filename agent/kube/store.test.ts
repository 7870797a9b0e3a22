import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { KubeObject } from './object.ts'
import { keyOf } from './object.ts'
import { Store } from './store.ts'

function pod(namespace: string, name: string, version: string, label = 'x', uid = `${namespace}-${name}`): KubeObject {
  const metadata = { name, namespace, uid, resourceVersion: version, labels: { app: label } }
  return { apiVersion: 'v1', kind: 'Pod', metadata }
}

const byLabel = (object: KubeObject): string[] => Object.values(object.metadata.labels ?? {})

test('every change is told once, and what did not change is not told', () => {
  const told: string[] = []
  const store = new Store({}, (old, next) =>
    told.push(`${old?.metadata.resourceVersion ?? '-'} ${next?.metadata.resourceVersion ?? '-'}`),
  )
  store.upsert(pod('n', 'a', '1'))
  store.upsert(pod('n', 'a', '1'))
  store.upsert(pod('n', 'a', '2'))
  store.remove(pod('n', 'a', '2'))
  store.remove(pod('n', 'a', '2'))
  assert.deepEqual(told, ['- 1', '1 2', '2 -'])
})

test('an object that was deleted and made again is told as two changes', () => {
  const told: string[] = []
  const store = new Store({}, (old, next) => told.push(`${old?.metadata.uid ?? '-'} ${next?.metadata.uid ?? '-'}`))
  store.upsert(pod('n', 'a', '1', 'x', 'first'))
  store.upsert(pod('n', 'a', '2', 'x', 'second'))
  assert.deepEqual(told, ['- first', 'first -', '- second'])
})

test('replacing one namespace leaves the others alone', () => {
  const store = new Store({}, () => undefined)
  store.replace([pod('one', 'a', '1'), pod('one', 'b', '1')], 'one')
  store.replace([pod('two', 'a', '1')], 'two')
  store.replace([pod('one', 'b', '2')], 'one')
  assert.deepEqual(store.list().map(keyOf).sort(), ['one/b', 'two/a'])
  assert.equal(store.get('one', 'b')?.metadata.resourceVersion, '2')
})

test('an index that was not declared is a mistake in the program', () => {
  assert.throws(() => new Store({}, () => undefined).byIndex('label', 'x'), /index "label" is not declared/)
})

test('indexes always say what a scan of all objects would', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const label = fc.constantFrom('x', 'y', 'z')
  const step = fc.record({ gone: fc.boolean(), name, label, version: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = new Store({ label: byLabel }, () => undefined)
      for (const { gone, name, label, version } of steps) {
        if (gone) store.remove(pod('n', name, ''))
        else store.upsert(pod('n', name, `${version}`, label))
        for (const each of ['x', 'y', 'z']) {
          const scanned = store.list().filter((object) => byLabel(object).includes(each))
          assert.deepEqual(store.byIndex('label', each).map(keyOf).sort(), scanned.map(keyOf).sort())
        }
      }
    }),
  )
})
