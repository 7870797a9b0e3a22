// Why scenarios of docs/conformance.md fail, go against advice or find nothing to check: one factual line each. The tests hold
// every such result against this list, and every line of it against the results: none is forgotten, none outlives its reason.

import type { Revision } from './suite.ts'
import type { Target } from './targets.ts'

export interface Note {
  readonly revision: Revision
  readonly targets: readonly Target[]
  readonly scenarios: readonly string[]
  readonly why: string
}

export const notes: readonly Note[] = [
  {
    revision: '2025-11-25',
    targets: ['legacy'],
    scenarios: ['server-sse-polling'],
    why: 'the server cuts its stream, the edge comes back for the rest by itself, and the client gets one JSON answer: it has nothing to poll.',
  },
  {
    revision: '2025-11-25',
    targets: ['dual', 'modern'],
    scenarios: ['server-sse-polling'],
    why: 'the modern era knows no polling; the server answers at once, and the client gets JSON.',
  },
  {
    revision: '2026-07-28',
    targets: ['dual', 'modern'],
    scenarios: ['server-stateless'],
    why:
      'advised is to tell listeners when `test_trigger_tool_change` or `test_trigger_prompt_change` is called. ' +
      'The fixture then only says that its lists changed; the edge looks, sees that they did not, and tells its clients nothing.',
  },
  {
    revision: '2026-07-28',
    targets: ['legacy'],
    scenarios: [
      'server-stateless',
      'input-required-result-basic-elicitation',
      'input-required-result-basic-sampling',
      'input-required-result-basic-list-roots',
      'input-required-result-request-state',
      'input-required-result-multiple-input-requests',
      'input-required-result-multi-round',
      'input-required-result-missing-input-response',
      'input-required-result-non-tool-request',
      'input-required-result-result-type',
      'input-required-result-tampered-state',
      'input-required-result-capability-check',
      'input-required-result-validate-input',
    ],
    why:
      'these tools ask the client back. Towards a legacy server the edge declares nothing on behalf of a modern client, ' +
      'because the answer would have to reach a call that is still open; so such a server does not ask.',
  },
  {
    revision: '2026-07-28',
    targets: ['legacy'],
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
  {
    revision: '2026-07-28',
    targets: ['legacy'],
    scenarios: ['sep-2640-skills-directory', 'sep-2640-skills-enumeration', 'sep-2640-skills-manifest'],
    why: 'the fixture has its skill in the modern era only.',
  },
  {
    revision: '2026-07-28',
    targets: ['direct', 'dual', 'legacy', 'modern'],
    scenarios: ['tasks-status-notifications'],
    why: 'this release of the suite skips it always.',
  },
]
