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
      if (typeof url === 'string' && /^http:\/\//.test(url)) {
        refuse([field], 'must use https, unless insecureAllowHTTP is true (development only)')
      }
    }
  },
  { rule: '!has(self.clientSecretRef) || has(self.clientId)', message: 'clientId is required with clientSecretRef' },
  ...['issuer', 'jwksUrl', 'introspectionUrl'].map((field) => ({
    rule: `(has(self.insecureAllowHTTP) && self.insecureAllowHTTP) || !has(self.${field}) || self.${field}.startsWith('https://')`,
    message: `${field} must use https, unless insecureAllowHTTP is true (development only)`,
    fieldPath: `.${field}`,
  })),
)

export const MCPOIDCConfig = resource(
  toolhive,
  'MCPOIDCConfig',
  oneOf(
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
    'type',
    { inline: 'inline', kubernetesServiceAccount: 'kubernetesServiceAccount' },
  ),
)
export type MCPOIDCConfig = z.infer<typeof MCPOIDCConfig>
