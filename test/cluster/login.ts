// A fleet whose default login is the issuer outside: what the admin applies and sets for it.

import type { Outside } from './outside.ts'
import { SYSTEM, configMap, installCrds, installOperator } from './release.ts'
import type { Shared } from './shared.ts'

/** Installs the charts so that servers trust the issuer outside unless they say otherwise, and may reach the vendor. */
export async function installWithLogin(shared: Shared, outside: Outside, values: object = {}): Promise<void> {
  installCrds(shared)
  await configMap(shared, 'outside-ca', { 'ca.crt': outside.ca })
  const oidc = {
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPOIDCConfig',
    metadata: { name: 'fleet', namespace: SYSTEM },
    spec: { type: 'inline', inline: { issuer: outside.issuer.url } },
  }
  shared.kubectl(['apply', '-f', '-'], JSON.stringify(oidc))
  await installOperator(shared, {
    operator: {
      defaultOIDCConfigRef: { name: 'fleet' },
      egress: { allow: ['mcp.linear.app', 'idp.test'] },
      extraCA: { configMap: 'outside-ca' },
    },
    ...values,
  })
}
