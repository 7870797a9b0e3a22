// MCPOIDCConfig: an issuer whose tokens guard endpoints. Audience and scopes stand where the config is referenced.
import * as z from 'zod'
import { filled, text } from './bound.ts'
import { CABundleRef, SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { oneOf, rule } from './rule.ts'
import { HttpUrl } from './url.ts'

const Inline = rule(
  z.strictObject({
    issuer: HttpUrl,
    jwksUrl: HttpUrl.optional(),
    introspectionUrl: HttpUrl.optional(),
    clientId: filled(512).optional(),
    clientSecretRef: SecretKeyRef.optional(),
    insecureAllowHTTP: z.boolean().default(false),
    jwksAllowPrivateIP: z.boolean().default(false),
    protectedResourceAllowPrivateIP: z.boolean().default(false),
    jwksAuthTokenPath: text(1024).optional(),
    caBundleRef: CABundleRef.optional(),
  }),
  (fields, refuse) => {
    if (fields.clientSecretRef !== undefined && fields.clientId === undefined) {
      refuse(['clientId'], 'is required with clientSecretRef')
    }
    if (fields.insecureAllowHTTP === true) return
    for (const field of ['issuer', 'jwksUrl', 'introspectionUrl']) {
      const url = fields[field]
      if (typeof url === 'string' && /^http:\/\//i.test(url)) {
        refuse([field], 'must use https, unless insecureAllowHTTP is true (development only)')
      }
    }
  },
)

export const MCPOIDCConfig = resource(
  toolhive,
  'MCPOIDCConfig',
  rule(
    z.strictObject({
      type: z.enum(['inline', 'kubernetesServiceAccount']),
      inline: Inline.optional(),
      kubernetesServiceAccount: z
        .strictObject({
          issuer: HttpUrl.default('https://kubernetes.default.svc'),
          jwksUrl: HttpUrl.optional(),
          introspectionUrl: HttpUrl.optional(),
          namespace: text(63).optional(),
          serviceAccount: text(253).optional(),
          useClusterAuth: z.boolean().optional(),
        })
        .optional(),
    }),
    oneOf('type', { inline: 'inline', kubernetesServiceAccount: 'kubernetesServiceAccount' }),
  ),
)
export type MCPOIDCConfig = z.infer<typeof MCPOIDCConfig>
