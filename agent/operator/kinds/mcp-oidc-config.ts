// MCPOIDCConfig: whose tokens guard an endpoint. Invalid while the certificates that it wants trusted are not there: without
// them no token can be verified.

import { isApiServer } from '../../../gateway/backend/egress.ts'
import type { MCPOIDCConfig } from '../../../crds/mcp-oidc-config.ts'
import type { World } from '../kind.ts'
import { bundleProblem } from './bundle.ts'
import { configPlanner, invalid, valid, type Verdict } from './config.ts'

const API_SERVER = 'https://kubernetes.default.svc'

export function judgeOidc({ metadata, spec }: MCPOIDCConfig, world: World): Verdict {
  if (spec.type === 'kubernetesServiceAccount') {
    const { serviceAccount = '', namespace = '', issuer = API_SERVER } = spec.kubernetesServiceAccount ?? {}
    const home = namespace === '' ? metadata.namespace : namespace
    const all = namespace === '' ? 'every service account' : `every service account of the namespace ${namespace}`
    const who = serviceAccount === '' ? all : `the service account ${home}/${serviceAccount}`
    // What a cluster calls itself its proxies know.
    const by = isApiServer(new URL(issuer)) ? '' : `, issued by ${issuer}`
    return valid(`tokens of ${who} of this cluster${by}`)
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
