// `oidcConfig` as servers had it before MCPOIDCConfig: the issuer right in the spec. See inline-issuer.ts for what becomes of it.
import * as z from 'zod'
import { Opaque } from './bound.ts'

/** The form that API servers let through; what is in it is looked at when it is converted. */
export const LegacyOIDC = z
  .strictObject({
    type: z.enum(['kubernetes', 'configMap', 'inline']).describe('Which of the parts below is meant.'),
    kubernetes: Opaque.optional().describe("The cluster's own service accounts."),
    configMap: Opaque.optional().describe('No longer possible.'),
    inline: Opaque.optional().describe('An OIDC issuer.'),
    resourceUrl: z.string().max(2048).optional().describe('URL of the endpoint as clients see it.'),
  })
  .optional()
  .meta({ deprecated: true, description: 'Old form; write an MCPOIDCConfig and name it in oidcConfigRef.' })
