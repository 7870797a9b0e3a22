// Whether the steps of a composite tool fit together: names, order, templates. What a single field must look like is the schema's.

import type { CompositeTool } from '../../../crds/composite-tool.ts'

type Step = CompositeTool['steps'][number]

/** Problems are many at once, but a status is no log. */
const MOST = 32

/** What is wrong with a workflow, each with the field's path inside it; empty when it can run. */
export function workflowProblems(tool: CompositeTool): string[] {
  const { steps, parameters, output } = tool
  const ids = new Set(steps.map(({ id }) => id))
  const problems = [
    ...(steps.length === 0 ? ['steps: at least one is needed'] : []),
    ...duplicates(steps),
    ...steps.flatMap((step, i) => stepProblems(step, `steps[${i}]`, ids)),
    ...cycle(steps),
    ...parameterProblems(parameters),
    ...outputProblems(output, ids),
  ]
  return problems.slice(0, MOST)
}

function duplicates(steps: readonly Step[]): string[] {
  const seen = new Set<string>()
  return steps.flatMap(({ id }, i) => {
    const again = seen.has(id)
    seen.add(id)
    return again ? [`steps[${i}].id: "${id}" is the id of an earlier step too`] : []
  })
}

function stepProblems(step: Step, path: string, ids: ReadonlySet<string>): string[] {
  const problems: string[] = []
  const need = (field: 'tool' | 'message' | 'collection' | 'step'): void => {
    const value = step[field]
    if (value === undefined || value === '')
      problems.push(`${path}.${field}: is required for a step of type ${step.type ?? 'tool'}`)
  }
  switch (step.type ?? 'tool') {
    case 'tool':
      need('tool')
      break
    case 'elicitation':
      need('message')
      break
    case 'forEach':
      need('collection')
      need('step')
      problems.push(...innerProblems(step.step, `${path}.step`, ids, step.itemVar))
      break
  }
  for (const [i, on] of (step.dependsOn ?? []).entries()) {
    if (on === step.id) problems.push(`${path}.dependsOn[${i}]: a step cannot wait for itself`)
    else if (!ids.has(on)) problems.push(`${path}.dependsOn[${i}]: there is no step "${on}"`)
  }
  if (step.onError?.action === 'retry' && (step.onError.retryCount ?? 0) < 1)
    problems.push(`${path}.onError.retryCount: must be 1 or more with action retry`)
  const { condition, message, collection } = step
  for (const [field, text] of Object.entries({ condition, message, collection }))
    if (text !== undefined) problems.push(...templateProblems(text, `${path}.${field}`, ids))
  problems.push(
    ...texts(step.arguments, `${path}.arguments`).flatMap((one) => templateProblems(one.text, one.path, ids)),
  )
  return problems
}

/** The step of a forEach: a tool call, written as any step but without a place of its own in the order. */
function innerProblems(step: unknown, path: string, ids: ReadonlySet<string>, itemVar: string | undefined): string[] {
  if (step === undefined) return []
  const { tool, type = 'tool', arguments: given } = step as Readonly<Record<string, unknown>>
  const problems: string[] = []
  if (type !== 'tool') problems.push(`${path}.type: only steps of type tool can be repeated`)
  if (typeof tool !== 'string' || tool === '') problems.push(`${path}.tool: is required`)
  if (itemVar !== undefined && !/^[A-Za-z_]\w*$/u.test(itemVar))
    problems.push(`${path.replace(/step$/u, 'itemVar')}: must be a name of letters, digits and "_"`)
  problems.push(...texts(given, `${path}.arguments`).flatMap((one) => templateProblems(one.text, one.path, ids)))
  return problems
}

/** Names the steps of one circle, if steps wait for each other in one. */
function cycle(steps: readonly Step[]): string[] {
  const waits = new Map(steps.map(({ id, dependsOn = [] }) => [id, dependsOn.filter((on) => on !== id)]))
  const done = new Set<string>()
  const path: string[] = []
  const find = (id: string): string[] | undefined => {
    if (done.has(id)) return undefined
    const at = path.indexOf(id)
    if (at >= 0) return [...path.slice(at), id]
    path.push(id)
    for (const on of waits.get(id) ?? []) {
      const found = find(on)
      if (found !== undefined) return found
    }
    path.pop()
    done.add(id)
    return undefined
  }
  for (const { id } of steps) {
    const found = find(id)
    if (found !== undefined) return [`steps: they wait for each other in a circle: ${found.join(' → ')}`]
  }
  return []
}

function templateProblems(text: string, path: string, ids: ReadonlySet<string>): string[] {
  const problems: string[] = []
  let rest = text
  for (let open = rest.indexOf('{{'); open >= 0; open = rest.indexOf('{{')) {
    const close = rest.indexOf('}}', open + 2)
    if (close < 0) return [...problems, `${path}: a "{{" is never closed`]
    const action = rest.slice(open + 2, close)
    if (action.replace(/^-|-$/gu, '').trim() === '') problems.push(`${path}: "{{}}" says nothing`)
    for (const [, id = ''] of action.matchAll(/\.steps\.(\w+)/gu))
      if (!ids.has(id)) problems.push(`${path}: there is no step "${id}"`)
    rest = rest.slice(close + 2)
  }
  return rest.includes('}}') ? [...problems, `${path}: a "}}" was never opened`] : problems
}

/** Every string in a value, with where it is. The value's depth was bounded when it was read. */
function texts(value: unknown, path: string): { readonly path: string; readonly text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }]
  if (Array.isArray(value)) return value.flatMap((item, i) => texts(item, `${path}[${i}]`))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]) => texts(item, `${path}.${name}`))
}

function parameterProblems(parameters: CompositeTool['parameters']): string[] {
  if (parameters === undefined || parameters['type'] === 'object') return []
  return ['parameters.type: must be object: the tool takes named arguments']
}

function outputProblems(output: CompositeTool['output'], ids: ReadonlySet<string>): string[] {
  if (output === undefined) return []
  const problems: string[] = []
  for (const name of output.required ?? [])
    if (!Object.hasOwn(output.properties, name)) problems.push(`output.required: there is no property "${name}"`)
  for (const [name, { type, value, properties }] of Object.entries(output.properties)) {
    const path = `output.properties.${name}`
    if (value === undefined && (type !== 'object' || properties === undefined))
      problems.push(`${path}.value: is required, as a template that gives the value`)
    if (value !== undefined) problems.push(...templateProblems(value, `${path}.value`, ids))
  }
  return problems
}
