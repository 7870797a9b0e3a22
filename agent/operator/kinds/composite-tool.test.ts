import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compositeTool } from './composite-tool.ts'
import { planned, verdicts, type Manifest } from './scene.ts'

const definition = (spec: object): Manifest => ({
  kind: 'VirtualMCPCompositeToolDefinition',
  name: 'deploy',
  spec: { name: 'deploy', ...spec },
})
const step = (id: string, more: object = {}): object => ({ id, tool: 'github.create_pr', ...more })

const cases: readonly { readonly name: string; readonly spec: object; readonly errors: readonly RegExp[] }[] = [
  { name: 'one step', spec: { steps: [step('a')] }, errors: [] },
  {
    name: 'steps that wait for others and use their results',
    spec: {
      parameters: { type: 'object', properties: { title: { type: 'string' } } },
      steps: [
        step('a'),
        step('b', {
          dependsOn: ['a'],
          condition: '{{ eq .steps.a.status "completed" }}',
          arguments: { title: '{{ .params.title }}', list: ['{{ .steps.a.output.url }}'] },
          onError: { action: 'retry', retryCount: 2 },
        }),
        { id: 'ask', type: 'elicitation', message: 'Merge {{.steps.b.output.id}}?', dependsOn: ['b'] },
        {
          id: 'each',
          type: 'forEach',
          collection: '{{ .steps.b.output.files }}',
          itemVar: 'file',
          step: { type: 'tool', tool: 'github.lint', arguments: { path: '{{ .forEach.file }}' } },
        },
      ],
      output: { properties: { url: { type: 'string', value: '{{ .steps.b.output.url }}' } }, required: ['url'] },
    },
    errors: [],
  },
  { name: 'no steps', spec: { steps: [] }, errors: [/steps: at least one is needed/] },
  {
    name: 'one id twice',
    spec: { steps: [step('a'), step('a')] },
    errors: [/steps\[1\]\.id: "a" is the id of an earlier/],
  },
  {
    name: 'steps that wait for nobody, themselves and each other',
    spec: {
      steps: [
        step('a', { dependsOn: ['gone', 'a', 'c'] }),
        step('b', { dependsOn: ['a'] }),
        step('c', { dependsOn: ['b'] }),
      ],
    },
    errors: [
      /steps\[0\]\.dependsOn\[0\]: there is no step "gone"/,
      /steps\[0\]\.dependsOn\[1\]: a step cannot wait for itself/,
      /a → c → b → a/,
    ],
  },
  {
    name: 'steps without what their type needs',
    spec: { steps: [{ id: 'a' }, { id: 'b', type: 'elicitation' }, { id: 'c', type: 'forEach' }] },
    errors: [
      /steps\[0\]\.tool: is required for a step of type tool/,
      /steps\[1\]\.message: is required/,
      /steps\[2\]\.collection: is required/,
      /steps\[2\]\.step: is required/,
    ],
  },
  {
    name: 'a forEach that repeats a question',
    spec: {
      steps: [
        { id: 'a', type: 'forEach', collection: '[]', itemVar: '1x', step: { type: 'elicitation', message: 'x' } },
      ],
    },
    errors: [/step\.type: only steps of type tool/, /step\.tool: is required/, /itemVar: must be a name/],
  },
  {
    name: 'broken templates',
    spec: {
      steps: [
        step('a', { arguments: { one: '{{ .params.x', two: ['}}'], three: '{{}}', four: '{{ .steps.zzz.output }}' } }),
      ],
    },
    errors: [
      /arguments\.one: a "\{\{" is never closed/,
      /arguments\.two\[0\]: a "\}\}" was never opened/,
      /arguments\.three: "\{\{\}\}" says nothing/,
      /arguments\.four: there is no step "zzz"/,
    ],
  },
  {
    name: 'a retry that never tries again',
    spec: { steps: [step('a', { onError: { action: 'retry' } })] },
    errors: [/onError\.retryCount: must be 1 or more/],
  },
  {
    name: 'arguments and a result that nobody could give',
    spec: {
      steps: [step('a')],
      parameters: { type: 'array' },
      output: { properties: { url: { type: 'string' } }, required: ['other'] },
    },
    errors: [/parameters\.type: must be object/, /there is no property "other"/, /properties\.url\.value: is required/],
  },
]

for (const { name, spec, errors } of cases) {
  test(`a composite tool with ${name} is ${errors.length === 0 ? 'valid' : 'invalid, and says where'}`, () => {
    const plan = planned(compositeTool, { manifests: [definition(spec)] })
    const found = plan.status['validationErrors'] as readonly string[]
    assert.equal(found.length, errors.length, found.join('\n'))
    for (const [i, pattern] of errors.entries()) assert.match(found[i] ?? '', pattern)
    const isValid = errors.length === 0
    assert.equal(plan.status['validationStatus'], isValid ? 'Valid' : 'Invalid')
    const seen = verdicts(plan)
    assert.equal(seen['WorkflowValidated'], isValid ? 'True ValidationSucceeded' : 'False ValidationFailed')
    assert.equal(seen['Ready'], isValid ? 'True ValidationSucceeded' : 'False ValidationFailed')
    assert.equal('Stalled' in seen, !isValid)
  })
}

test('a composite tool lists the virtual servers that name it', () => {
  const user: Manifest = {
    kind: 'VirtualMCPServer',
    name: 'fleet',
    spec: { config: { compositeToolRefs: [{ name: 'deploy' }] } },
  }
  const { status } = planned(compositeTool, { manifests: [definition({ steps: [step('a')] }), user] })
  assert.deepEqual(status['referencingVirtualServers'], ['fleet'])
})
