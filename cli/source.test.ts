import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from './failure.ts'
import { readSources } from './source.ts'

test('every document of a file knows the lines of its fields', () => {
  const text = `# servers
kind: A
metadata:
  annotations:
    waggle.dev/x: y
---
kind: B
spec:
  backends:
    - name: one
    - {name: two,
       namesapce: x}
`
  const [a, b] = readSources('all.yaml', text)
  assert.equal(a?.line('metadata.annotations["waggle.dev/x"]'), 5)
  assert.equal(a?.line(''), 2)
  assert.equal(b?.line('kind'), 7)
  assert.equal(b?.line('spec.backends[1].namesapce'), 12)
  assert.equal(b?.line('spec.backends[0].missing'), 10)
  assert.equal(b?.line('spec.remoteUrl'), 8)
})

test('the items of a list are resources with lines of their own', () => {
  const json = `{
  "kind": "List",
  "items": [
    {"kind": "A"},
    {"kind": "B",
     "spec": {"x": 1}}
  ]
}`
  const sources = readSources('list.json', json)
  assert.deepEqual(
    sources.map(({ value }) => (value as { kind: string }).kind),
    ['A', 'B'],
  )
  assert.equal(sources[1]?.line('spec.x'), 6)
})

test('lines are found through anchors', () => {
  const [, b] = readSources('f', 'kind: A\nspec: &s\n  url: x\n---\nkind: B\n')
  const [c] = readSources('f', 'base: &s\n  url: x\nspec: *s\n')
  assert.equal(b?.line('kind'), 5)
  assert.equal(c?.line('spec.url'), 2)
})

test('empty documents and files are no resources', () => {
  assert.deepEqual(readSources('f', ''), [])
  assert.deepEqual(readSources('f', '# nothing\n---\n---\n'), [])
})

test('a file that is not YAML is refused with the line', () => {
  assert.throws(
    () => readSources('bad.yaml', 'a: 1\nb: [1,\nc: }\n'),
    (error: unknown) => error instanceof Failure && /^bad\.yaml:[34]: /.test(error.lines[0] ?? ''),
  )
  assert.throws(
    () => readSources('twice.yaml', 'a: 1\na: 2\n'),
    (error: unknown) => error instanceof Failure && /^twice\.yaml:2: .*unique/.test(error.lines[0] ?? ''),
  )
})

test('aliases that multiply are refused, not expanded', () => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++)
    bomb.push(
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  assert.throws(() => readSources('bomb.yaml', bomb.join('\n')), /expand to too much/)
})
