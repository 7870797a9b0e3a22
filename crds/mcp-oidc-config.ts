// MCPOIDCConfig: an issuer whose tokens guard endpoints. Audience and scopes stand where the config is referenced.
import * as z from 'zod'
import { filled, text } from './bound.ts'
import { CABundleRef, SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { oneOf, rule } from './rule.ts'
import { HttpUrl } from './url.ts'

const jwksUrl = HttpUrl.optional().describe('URL of its keys; found by discovery when left out.')
const introspectionUrl = HttpUrl.optional().describe('URL that tells what an opaque token is worth (RFC 7662).')

const development = 'must use https, unless insecureAllowHTTP is true (development only)'

export const InlineIssuer = rule(
  z.strictObject({
    issuer: HttpUrl.describe('URL of the issuer, exactly as in its tokens.'),
    jwksUrl,
    introspectionUrl,
    clientId: filled(512).optional().describe('Client id for introspection.'),
    clientSecretRef: SecretKeyRef.optional().describe('Where the client secret for introspection is kept.'),
    insecureAllowHTTP: z.boolean().default(false).describe('Allow plain http; for development only.'),
    jwksAllowPrivateIP: z.boolean().default(false).describe('Allow keys at a private address.'),
    protectedResourceAllowPrivateIP: z.boolean().default(false).describe('Allow a resource URL at a private address.'),
    jwksAuthTokenPath: text(1024).optional().describe('File with a token for fetching the keys.'),
    caBundleRef: CABundleRef.optional().describe('Certificates to trust when talking to the issuer.'),
  }),
  (fields, refuse) => {
    if (fields.clientSecretRef !== undefined && fields.clientId === undefined) {
      refuse(['clientId'], 'is required with clientSecretRef')
    }
    if (fields.insecureAllowHTTP === true) return
    for (const field of urls()) {
      const url = fields[field]
      if (typeof url === 'string' && url.startsWith('http://')) refuse([field], development)
    }
  },
  { rule: '!has(self.clientSecretRef) || has(self.clientId)', message: 'clientId is required with clientSecretRef' },
  ...urls().map((field) => ({
    rule: `(has(self.insecureAllowHTTP) && self.insecureAllowHTTP) || !has(self.${field}) || !self.${field}.startsWith('http://')`,
    message: `${field} ${development}`,
    fieldPath: `.${field}`,
  })),
)

function urls() {
  return ['issuer', 'jwksUrl', 'introspectionUrl']
}

export const ServiceAccountIssuer = z.strictObject({
  issuer: HttpUrl.default('https://kubernetes.default.svc').describe(
    'URL of the issuer of service account tokens. The address of the API server stands for whatever the cluster calls itself.',
  ),
  jwksUrl,
  introspectionUrl,
  namespace: text(63).optional().describe('Namespace of the service accounts that may call.'),
  serviceAccount: text(253)
    .optional()
    .describe('Name of the service account that may call; all of the namespace, or of the cluster, when left out.'),
  useClusterAuth: z
    .boolean()
    .optional()
    .describe("Fetch keys with the proxy's own token and the cluster's CA; on when left out."),
})

export const OIDCSpec = oneOf(
  z.strictObject({
    type: z.enum(['inline', 'kubernetesServiceAccount']).describe('Which of the parts below is meant.'),
    inline: InlineIssuer.optional().describe('An OIDC issuer.'),
    kubernetesServiceAccount: ServiceAccountIssuer.optional().describe(
      "The cluster itself: its service accounts' tokens.",
    ),
  }),
  'type',
  { inline: 'inline', kubernetesServiceAccount: 'kubernetesServiceAccount' },
)

export const MCPOIDCConfig = resource(toolhive, 'MCPOIDCConfig', OIDCSpec)
export type MCPOIDCConfig = z.infer<typeof MCPOIDCConfig>
