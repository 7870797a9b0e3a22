// MCPAuthzConfig: policies over what callers may do. This version evaluates none, and servers that name them refuse everybody:
// a policy that is ignored would be worse than none.

import type { MCPAuthzConfig } from '../../../crds/mcp-authz-config.ts'
import { configPlanner, unsupported, type Verdict } from './config.ts'

export function judgeAuthz({ spec }: MCPAuthzConfig): Verdict {
  return unsupported(
    `policies of type ${spec.type} are not evaluated in this version, so servers that name this config refuse every caller; use a ToolPolicy`,
  )
}

export const authzConfig = configPlanner<MCPAuthzConfig>({
  kind: 'MCPAuthzConfig',
  finalizer: 'mcpauthzconfig.toolhive.stacklok.dev/finalizer',
  judge: judgeAuthz,
})
