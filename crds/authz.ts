// Cedar policies of a resource. The edge keeps them but can't evaluate them yet: whoever serves a resource that has one must refuse
// callers rather than ignore it.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { Name, ProviderName } from './name.ts'
import { oneOf } from './rule.ts'

export const AuthzConfig = oneOf(
  z.strictObject({
    type: z.enum(['configMap', 'inline']).default('configMap'),
    configMap: z.strictObject({ name: Name, key: filled(253).default('authz.json') }).optional(),
    inline: z
      .strictObject({
        policies: list(filled(32_768), 256).min(1),
        entitiesJson: text(32_768).default('[]'),
        primaryUpstreamProvider: ProviderName.optional(),
      })
      .optional(),
    groupClaimName: text(253).optional(),
    groupEntityType: text(63)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a Cedar identifier' })
      .optional(),
    roleClaimName: text(253).optional(),
  }),
  'type',
  { configMap: 'configMap', inline: 'inline' },
)
