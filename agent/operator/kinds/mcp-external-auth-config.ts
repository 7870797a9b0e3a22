// MCPExternalAuthConfig: how servers are authenticated to. Types that this version cannot do say so, and servers that name
// them are not called.

import type { MCPExternalAuthConfig } from '../../../crds/mcp-external-auth-config.ts'
import { configPlanner, invalid, unsupported, valid, type Verdict } from './config.ts'

export function judgeExternalAuth({ spec }: MCPExternalAuthConfig): Verdict {
  switch (spec.type) {
    case 'unauthenticated':
      return valid('servers are called without a credential')
    case 'bearerToken':
      return spec.bearerToken === undefined
        ? invalid('spec.bearerToken is required when type is bearerToken')
        : valid(`servers are called with the token in the Secret ${spec.bearerToken.tokenSecretRef.name}`)
    case 'headerInjection':
      return spec.headerInjection === undefined
        ? invalid('spec.headerInjection is required when type is headerInjection')
        : valid(
            `servers are called with the header ${spec.headerInjection.headerName} from the Secret ${spec.headerInjection.valueSecretRef.name}`,
          )
    case 'obo':
      return {
        valid: false,
        reason: 'EnterpriseRequired',
        message: 'type obo belongs to an enterprise build; servers that name this config are not called',
      }
    default:
      return unsupported(
        `authentication of type ${spec.type} is not available in this version; servers that name this config are not called. Use bearerToken or headerInjection`,
      )
  }
}

export const externalAuthConfig = configPlanner<MCPExternalAuthConfig>({
  kind: 'MCPExternalAuthConfig',
  finalizer: 'mcpexternalauthconfig.toolhive.stacklok.dev/finalizer',
  judge: judgeExternalAuth,
})
