// MCPExternalAuthConfig: how a server is authenticated to. The edge serves unauthenticated, headerInjection and bearerToken; the
// other types are valid and reported as not available.
import * as z from 'zod'
import { AwsSts } from './aws-sts.ts'
import { filled, list, text } from './bound.ts'
import { EmbeddedAuthServer } from './embedded-auth-server.ts'
import { HeaderName } from './header.ts'
import { ProviderName } from './name.ts'
import { SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { oneOf } from './rule.ts'
import { old, requireOne, spelt } from './spelling.ts'
import { HttpsUrl, HttpUrl } from './url.ts'

const clientId = text(512).optional().describe('Client id.')
const clientSecretRef = SecretKeyRef.optional().describe('Where the client secret is kept.')
const subjectProviderName = text(63)
  .optional()
  .describe("Upstream provider whose token is exchanged; the caller's when left out.")

const TokenExchange = spelt(
  z.strictObject({
    tokenUrl: HttpUrl.describe('URL of the token endpoint.'),
    audience: filled(2048).describe('Audience of the token to get.'),
    clientId,
    clientSecretRef,
    scopes: list(filled(256), 64).optional().describe('Scopes of the token to get.'),
    externalTokenHeaderName: HeaderName.optional().describe('Header for the token; Authorization when left out.'),
    subjectProviderName,
    subjectTokenType: text(128)
      .regex(/^(access_token|id_token|jwt|urn:ietf:params:oauth:token-type:(access_token|id_token|jwt))?$/, {
        error: 'must be access_token, id_token or jwt, or one of them as an urn:ietf:params:oauth:token-type',
      })
      .optional()
      .describe('Type of the token that is exchanged.'),
  }),
  {
    tokenUrl: HttpUrl.optional().describe('URL of the token endpoint.'),
    token_url: old(HttpUrl, 'tokenUrl'),
    client_id: old(text(512), 'clientId'),
    client_secret_ref: old(SecretKeyRef, 'clientSecretRef'),
    scope: old(text(8192), 'scopes'),
    external_token_header_name: old(HeaderName, 'externalTokenHeaderName'),
  },
  (schema) => requireOne(schema, 'tokenUrl', 'token_url'),
)

const HeaderInjection = z.strictObject({
  headerName: HeaderName.describe('Name of the header.'),
  valueSecretRef: SecretKeyRef.describe('Where its value is kept.'),
})

const OnBehalfOf = z.strictObject({
  tenantId: text(253)
    .regex(
      /^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,})$/,
      { error: 'must be a UUID or a domain' },
    )
    .optional()
    .describe('Id or domain of the tenant.'),
  authority: text(2048)
    .regex(/^https:\/\/[!-"$->A-~]*[!-"$-.0->A-~]$/, { error: 'must be an https URL without user, query or fragment' })
    .optional()
    .describe('URL of the authority.'),
  clientId,
  clientSecretRef,
  audience: text(2048).optional().describe('Audience of the token to get.'),
  scopes: list(filled(256), 20).optional().describe('Scopes of the token to get.'),
  subjectTokenProviderName: ProviderName.optional().describe('Upstream provider whose token is exchanged.'),
  cacheSkew: text(32).optional().describe('How long before its end a token is replaced.'),
})

const CrossApp = z.strictObject({
  idpTokenUrl: HttpsUrl.describe('Token endpoint of the identity provider.'),
  idpClientId: text(512).optional().describe('Client id there.'),
  idpClientSecretRef: SecretKeyRef.optional().describe('Where the client secret for it is kept.'),
  targetTokenUrl: HttpUrl.describe("Token endpoint of the server's own authorization server."),
  targetAudience: filled(2048).describe('Audience of the assertion for it.'),
  targetResource: text(2048).optional().describe('Resource to ask for.'),
  targetClientId: text(512).optional().describe('Client id there.'),
  targetClientSecretRef: SecretKeyRef.optional().describe('Where the client secret for it is kept.'),
  insecureTargetTokenUrl: z.boolean().optional().describe('Allow plain http there; for development only.'),
  scopes: list(filled(256), 64).optional().describe('Scopes of the token to get.'),
  subjectProviderName,
  subjectTokenType: z
    .enum(['urn:ietf:params:oauth:token-type:id_token'])
    .optional()
    .describe('Type of the token that is exchanged.'),
})

/** The part of the spec that belongs to each type; null where there is none. */
const parts = {
  unauthenticated: null,
  headerInjection: 'headerInjection',
  bearerToken: 'bearerToken',
  tokenExchange: 'tokenExchange',
  embeddedAuthServer: 'embeddedAuthServer',
  awsSts: 'awsSts',
  upstreamInject: 'upstreamInject',
  obo: 'obo',
  xaa: 'xaa',
} as const

export const MCPExternalAuthConfig = resource(
  toolhive,
  'MCPExternalAuthConfig',
  oneOf(
    z.strictObject({
      type: z
        .enum([
          'unauthenticated',
          'headerInjection',
          'bearerToken',
          'tokenExchange',
          'embeddedAuthServer',
          'awsSts',
          'upstreamInject',
          'obo',
          'xaa',
        ])
        .describe('Which of the parts below is meant.'),
      headerInjection: HeaderInjection.optional().describe('A header with a value from a Secret.'),
      bearerToken: z
        .strictObject({ tokenSecretRef: SecretKeyRef.describe('Where the token is kept.') })
        .optional()
        .describe('A fixed bearer token.'),
      tokenExchange: TokenExchange.optional().describe(
        "The caller's token, exchanged for one of the server's (RFC 8693).",
      ),
      upstreamInject: z
        .strictObject({ providerName: filled(63).describe('Name of the upstream provider.') })
        .optional()
        .describe('The token that an upstream provider gave to the caller.'),
      embeddedAuthServer: EmbeddedAuthServer.optional().describe('An OAuth server beside the proxy.'),
      awsSts: AwsSts.optional().describe('Credentials of an AWS role, with signed requests.'),
      obo: OnBehalfOf.optional().describe('A token on behalf of the caller, as Microsoft Entra gives it.'),
      xaa: CrossApp.optional().describe('A token through an identity assertion of the identity provider.'),
    }),
    'type',
    parts,
  ),
)
export type MCPExternalAuthConfig = z.infer<typeof MCPExternalAuthConfig>
