// Composite tools as older releases wrote them, turned into today's form: one reaction to errors for all steps, retries under another name.
import type { Notes } from './alias.ts'
import { isTree, type Json, type Tree } from './plain.ts'
import { formatPath } from './problem.ts'

/** Rewrites a composite tool in place. `path` leads to it. */
export function normaliseWorkflow(tool: Json | undefined, path: readonly PropertyKey[], notes: Notes): void {
  if (!isTree(tool)) return
  const steps = Array.isArray(tool['steps']) ? tool['steps'] : []
  const mode = tool['failureMode']
  if (mode === 'abort' || mode === 'continue' || mode === 'best_effort') {
    delete tool['failureMode']
    notes.warnings.push({
      path: formatPath([...path, 'failureMode']),
      message: 'is an old form; write onError: {action: …} in each step',
    })
    if (mode !== 'abort') for (const step of steps) if (isTree(step)) step['onError'] ??= { action: 'continue' }
  }
  for (const [index, step] of steps.entries()) {
    if (isTree(step)) retries(step, [...path, 'steps', index], notes)
  }
}

function retries(step: Tree, path: readonly PropertyKey[], notes: Notes): void {
  const handler = step['onError']
  if (!isTree(handler) || handler['maxRetries'] === undefined) return
  const at = formatPath([...path, 'onError', 'maxRetries'])
  const present = formatPath([...path, 'onError', 'retryCount'])
  const given = handler['maxRetries']
  delete handler['maxRetries']
  if (handler['retryCount'] !== undefined && handler['retryCount'] !== given) {
    notes.problems.push({ path: at, message: `contradicts ${present}; remove ${at}`, suggestion: present })
    return
  }
  handler['retryCount'] = given
  notes.warnings.push({ path: at, message: `is an old spelling; write ${present}`, suggestion: present })
}
