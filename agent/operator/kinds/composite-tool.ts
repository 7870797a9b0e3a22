// VirtualMCPCompositeToolDefinition: a tool made of others. It is checked and kept; this version does not run it.

import type { VirtualMCPCompositeToolDefinition } from '../../../crds/virtual-mcp-composite-tool-definition.ts'
import type { Planner } from '../kind.ts'
import { no, plan, stuck, yes } from './condition.ts'
import { workflowProblems } from './workflow.ts'

export const compositeTool: Planner<VirtualMCPCompositeToolDefinition> = {
  kind: 'VirtualMCPCompositeToolDefinition',
  plan(observed, world) {
    const { kind, metadata, spec } = observed.resource
    const problems = workflowProblems(spec)
    const isValid = problems.length === 0
    const message = isValid
      ? `steps: ${spec.steps.length}. Composite tools are checked by this version, and offered by a later one`
      : problems.join('; ')
    const condition = isValid
      ? yes('WorkflowValidated', 'ValidationSucceeded', message)
      : no('WorkflowValidated', 'ValidationFailed', message)
    return plan({
      conditions: [
        ...(isValid ? [yes('Ready', 'ValidationSucceeded', message)] : stuck('ValidationFailed', message)),
        condition,
      ],
      status: {
        validationStatus: isValid ? 'Valid' : 'Invalid',
        validationErrors: problems,
        referencingVirtualServers: world
          .referrers(kind, metadata.namespace, metadata.name)
          .filter((one) => one.kind === 'VirtualMCPServer')
          .map((one) => one.metadata.name)
          .sort()
          .slice(0, 1024),
      },
    })
  },
}
