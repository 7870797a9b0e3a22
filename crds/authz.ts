// Cedar policies of a resource. The edge keeps them but can't evaluate them yet: whoever serves a resource that has one must refuse
// callers rather than ignore it.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { Name, ProviderName } from './name.ts'
import { oneOf } from './rule.ts'

const claim = (what: string) => text(253).optional().describe(`Claim of the token that holds the ${what}.`)

export const AuthzConfig = oneOf(
  z.strictObject({
    type: z.enum(['configMap', 'inline']).default('configMap').describe('Where the policies are.'),
    configMap: z
      .strictObject({
        name: Name.describe('Name of the ConfigMap.'),
        key: filled(253).default('authz.json').describe('Key in the ConfigMap.'),
      })
      .optional()
      .describe('Policies in a ConfigMap.'),
    inline: z
      .strictObject({
        policies: list(filled(32_768), 256).min(1).describe('Cedar policies.'),
        entitiesJson: text(32_768).default('[]').describe('Cedar entities as JSON.'),
        primaryUpstreamProvider: ProviderName.optional().describe('Upstream provider whose claims policies see.'),
      })
      .optional()
      .describe('Policies right here.'),
    groupClaimName: claim('groups'),
    groupEntityType: text(63)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a Cedar identifier' })
      .optional()
      .describe('Cedar type of groups.'),
    roleClaimName: claim('roles'),
  }),
  'type',
  { configMap: 'configMap', inline: 'inline' },
)
