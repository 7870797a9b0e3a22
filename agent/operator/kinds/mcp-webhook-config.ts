// MCPWebhookConfig: webhooks that may change or refuse requests. This version calls none, and servers that name them refuse
// everybody: a check that is left out would be worse than none.

import type { MCPWebhookConfig } from '../../../crds/mcp-webhook-config.ts'
import { configPlanner, unsupported, type Verdict } from './config.ts'

export function judgeWebhooks({ spec }: MCPWebhookConfig): Verdict {
  const { mutating = [], validating = [] } = spec
  return unsupported(
    `webhooks (${mutating.length} mutating, ${validating.length} validating) are not called in this version, so servers that name this config refuse every caller`,
  )
}

export const webhookConfig = configPlanner<MCPWebhookConfig>({
  kind: 'MCPWebhookConfig',
  finalizer: 'mcpwebhookconfig.toolhive.stacklok.dev/finalizer',
  judge: judgeWebhooks,
})
