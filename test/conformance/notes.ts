// Why the scenarios that fail somewhere in docs/conformance.md do: one factual line each. The tests hold every failure against
// this list, and every line of it against the failures, so none is forgotten and none outlives its reason.

import type { Revision } from './suite.ts'
import type { Target } from './targets.ts'

export interface Note {
  readonly revision: Revision
  readonly target: Target
  readonly scenarios: readonly string[]
  readonly why: string
}

export const notes: readonly Note[] = [
  {
    revision: '2026-07-28',
    target: 'legacy',
    scenarios: [
      'server-stateless',
      'input-required-result-basic-elicitation',
      'input-required-result-basic-sampling',
      'input-required-result-basic-list-roots',
      'input-required-result-request-state',
      'input-required-result-multiple-input-requests',
      'input-required-result-multi-round',
      'input-required-result-non-tool-request',
      'input-required-result-result-type',
      'input-required-result-tampered-state',
      'input-required-result-capability-check',
    ],
    why:
      'these tools ask the client back. Towards a legacy server the edge declares nothing on behalf of a modern client, ' +
      'because the answer would have to reach a call that is still open; so such a server does not ask.',
  },
  {
    revision: '2026-07-28',
    target: 'legacy',
    scenarios: [
      'tasks-lifecycle',
      'tasks-capability-negotiation',
      'tasks-wire-fields',
      'tasks-request-state-removal',
      'tasks-mrtr-input',
      'tasks-request-headers',
      'tasks-dispatch-and-envelope',
      'tasks-required-task-error',
      'tasks-mrtr-composition',
    ],
    why: 'the tasks extension (SEP-2663) is one of 2026-07-28; a legacy server has no such tasks.',
  },
]
