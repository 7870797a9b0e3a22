// Where users of an embedded authorization server sign in: an OpenID provider, or an OAuth server whose identities are read from an API.
import * as z from 'zod'
import { filled, list, map, text } from './bound.ts'
import { ProviderName } from './name.ts'
import { SecretKeyRef } from './reference.ts'
import { exactlyOne, oneOf } from './rule.ts'
import { SecureBaseUrl } from './url.ts'

const Endpoint = text(2048).regex(/^https?:\/\/[!-~]*$/, { error: 'must be an http or https URL' })
const SecureEndpoint = text(2048).regex(/^https:\/\/[!-~]*$/, { error: 'must be an https URL' })

const Paths = list(filled(256), 16).optional()

const UserInfo = z.strictObject({
  endpointUrl: Endpoint.describe('URL that tells about a user.'),
  httpMethod: z.enum(['GET', 'POST']).optional().describe('How it is called.'),
  additionalHeaders: map(text(4096), 32).optional().describe('Headers for the call.'),
  fieldMapping: z
    .strictObject({
      subjectFields: Paths.describe('Fields to take the subject from.'),
      nameFields: Paths.describe('Fields to take the name from.'),
      emailFields: Paths.describe('Fields to take the e-mail address from.'),
    })
    .optional()
    .describe('Where its answer has what.'),
})

const client = {
  clientSecretRef: SecretKeyRef.optional().describe('Where the client secret is kept.'),
  redirectUri: text(2048).optional().describe('Where the provider sends users back to.'),
  scopes: list(filled(256), 64).optional().describe('Scopes to ask for.'),
  additionalAuthorizationParams: map(text(2048), 16).optional().describe('More parameters for the sign-in page.'),
}

const Oidc = z.strictObject({
  issuerUrl: SecureEndpoint.describe('URL of the provider.'),
  clientId: filled(512).describe('Client id at the provider.'),
  ...client,
  subjectClaim: text(128)
    .regex(/^([a-zA-Z_][a-zA-Z0-9_]*)?$/, { error: 'must be the name of a claim' })
    .optional()
    .describe('Claim that names the user.'),
  userInfoOverride: UserInfo.optional().describe('Where to ask about users instead.'),
})

const Registration = exactlyOne(
  z.strictObject({
    discoveryUrl: SecureBaseUrl.optional().describe("URL of the provider's metadata."),
    registrationEndpoint: SecureBaseUrl.optional().describe('URL for registering.'),
    initialAccessTokenRef: SecretKeyRef.optional().describe('Where a token for registering is kept.'),
    softwareId: text(255).optional().describe('software_id to register with.'),
    softwareStatement: text(16_384).optional().describe('software_statement to register with.'),
  }),
  'discoveryUrl',
  'registrationEndpoint',
)

const OAuth2 = exactlyOne(
  z.strictObject({
    authorizationEndpoint: Endpoint.describe('URL where users sign in.'),
    tokenEndpoint: Endpoint.describe('URL that gives tokens.'),
    clientId: text(512).optional().describe('Client id at the provider.'),
    ...client,
    dcrConfig: Registration.optional().describe('Register as a client instead (RFC 7591).'),
    userInfo: UserInfo.optional().describe('Where to ask about users.'),
    identityFromToken: z
      .strictObject({
        subjectPath: filled(256).describe('Path of the subject.'),
        namePath: filled(256).optional().describe('Path of the name.'),
        emailPath: filled(256).optional().describe('Path of the e-mail address.'),
      })
      .optional()
      .describe('Where the token response says who the user is.'),
    tokenResponseMapping: z
      .strictObject({
        accessTokenPath: filled(256).describe('Path of the access token.'),
        expiresInPath: text(256).optional().describe('Path of its lifetime.'),
        refreshTokenPath: text(256).optional().describe('Path of the refresh token.'),
        scopePath: text(256).optional().describe('Path of the scopes.'),
      })
      .optional()
      .describe('Where the token response has what.'),
    allowPrivateIPs: z.boolean().optional().describe('Allow it at a private address.'),
    insecureAllowHTTP: z.boolean().optional().describe('Allow plain http; for development only.'),
  }),
  'clientId',
  'dcrConfig',
)

export const Upstream = oneOf(
  z.strictObject({
    name: ProviderName.describe('Name of the provider.'),
    type: z.enum(['oidc', 'oauth2']).describe('What it speaks.'),
    oidcConfig: Oidc.optional().describe('An OpenID provider.'),
    oauth2Config: OAuth2.optional().describe('An OAuth server.'),
  }),
  'type',
  { oidc: 'oidcConfig', oauth2: 'oauth2Config' },
)
