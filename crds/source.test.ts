import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSources, type Source } from './source.ts'

function sourcesOf(file: string, text: string): readonly Source[] {
  const reading = readSources(file, text)
  assert.ok(reading.ok)
  return reading.sources
}

function problemsOf(file: string, text: string): readonly string[] {
  const reading = readSources(file, text)
  assert.ok(!reading.ok)
  return reading.problems
}

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
  const [a, b] = sourcesOf('all.yaml', text)
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
  const sources = sourcesOf('list.json', json)
  assert.deepEqual(
    sources.map(({ value }) => (value as { kind: string }).kind),
    ['A', 'B'],
  )
  assert.equal(sources[1]?.line('spec.x'), 6)
})

test('lines are found through anchors', () => {
  const [, b] = sourcesOf('f', 'kind: A\nspec: &s\n  url: x\n---\nkind: B\n')
  const [c] = sourcesOf('f', 'base: &s\n  url: x\nspec: *s\n')
  assert.equal(b?.line('kind'), 5)
  assert.equal(c?.line('spec.url'), 2)
})

test('empty documents and files are no resources', () => {
  assert.deepEqual(sourcesOf('f', ''), [])
  assert.deepEqual(sourcesOf('f', '# nothing\n---\n---\n'), [])
})

test('a file that is not YAML is refused with the line', () => {
  assert.match(problemsOf('bad.yaml', 'a: 1\nb: [1,\nc: }\n')[0] ?? '', /^bad\.yaml:[34]: /)
  assert.match(problemsOf('twice.yaml', 'a: 1\na: 2\n')[0] ?? '', /^twice\.yaml:2: .*unique/)
})

test('what a problem quotes of the file steers no terminal', () => {
  const [problem = ''] = problemsOf('f', 'a: | \u009b31m\u202ex\n  b\n')
  assert.match(problem, /^f:1: .* 31m x/)
})

test('an alias that leads nowhere, and a merge of what is no map, are refused by name', () => {
  assert.match(problemsOf('f', 'spec: *nowhere\n').join(), /^f: .*nowhere/)
  assert.match(problemsOf('f', '<<: 5\n').join(), /^f: .*[Mm]erge/)
})

test('aliases that multiply are refused, not expanded', () => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++)
    bomb.push(
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  assert.match(problemsOf('bomb.yaml', bomb.join('\n')).join(), /^bomb\.yaml: .*Excessive alias count/)
})
