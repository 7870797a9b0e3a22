// MCPOIDCConfig: whose tokens guard an endpoint. Invalid while the certificates that it wants trusted are not there: without
// them no token can be verified.

import type { MCPOIDCConfig } from '../../../crds/mcp-oidc-config.ts'
import type { World } from '../kind.ts'
import { bundleProblem } from './bundle.ts'
import { configPlanner, invalid, valid, type Verdict } from './config.ts'

export function judgeOidc({ metadata, spec }: MCPOIDCConfig, world: World): Verdict {
  if (spec.type === 'kubernetesServiceAccount') {
    const { serviceAccount, issuer = 'https://kubernetes.default.svc' } = spec.kubernetesServiceAccount ?? {}
    const namespace = spec.kubernetesServiceAccount?.namespace ?? metadata.namespace
    const who =
      serviceAccount === undefined ? 'every service account' : `the service account ${namespace}/${serviceAccount}`
    return valid(`tokens of ${who} of this cluster, issued by ${issuer}`)
  }
  if (spec.inline === undefined) return invalid('spec.inline is required when type is inline')
  const { issuer, caBundleRef, jwksAuthTokenPath } = spec.inline
  const missing = bundleProblem('spec.inline.caBundleRef', caBundleRef, metadata.namespace, world)
  if (missing !== undefined) return invalid(missing)
  const note =
    jwksAuthTokenPath === undefined || jwksAuthTokenPath === ''
      ? ''
      : '; jwksAuthTokenPath is not used, for keys of this cluster write type: kubernetesServiceAccount'
  return valid(`tokens of ${issuer}${note}`)
}

export const oidcConfig = configPlanner<MCPOIDCConfig>({
  kind: 'MCPOIDCConfig',
  finalizer: 'mcpoidcconfig.toolhive.stacklok.dev/finalizer',
  judge: judgeOidc,
})
