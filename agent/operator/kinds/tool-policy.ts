// ToolPolicy: who may use which tools of its target. A policy without a target is in force nowhere, and says so.

import type { ToolPolicy } from '../../../crds/tool-policy.ts'
import { resourceKey } from '../../../plan/resources.ts'
import type { Planner } from '../kind.ts'
import { no, plan, yes } from './condition.ts'

export const toolPolicy: Planner<ToolPolicy> = {
  kind: 'ToolPolicy',
  plan({ resource }, world) {
    const { targetRef, rules } = resource.spec
    const { namespace } = resource.metadata
    if (!world.resources.has(resourceKey(targetRef.kind, namespace, targetRef.name))) {
      const message = `spec.targetRef: there is no ${targetRef.kind} ${namespace}/${targetRef.name} yet`
      return plan({ conditions: [no('Ready', 'TargetNotFound', message), no('Valid', 'TargetNotFound', message)] })
    }
    const message = `in force for ${targetRef.kind} ${targetRef.name}; rules: ${rules.length}`
    return plan({ conditions: [yes('Ready', 'InForce', message), yes('Valid', 'InForce', message)] })
  },
}
