// spec.config.incomingAuth and outgoingAuth of a virtual server: what an operator makes of the references in the spec. Nobody has to
// write them.
import * as z from 'zod'
import { filled, list, map, text, whole } from './bound.ts'
import { HttpUrl } from './url.ts'

const maybe = (max: number, what: string) => text(max).optional().describe(what)
const scopes = list(filled(256), 64).optional().describe('Scopes.')

const env = 'Environment variable with it.'
const clientId = maybe(512, 'Client id.')
const clientSecret = maybe(4096, 'Client secret.')
const clientSecretEnv = maybe(253, env)

export const IncomingAuth = z.strictObject({
  type: filled(63).describe('Who may call.'),
  oidc: z
    .strictObject({
      issuer: text(2048)
        .regex(/^https?:\/\//, { error: 'must be an http or https URL' })
        .describe('URL of the issuer.'),
      audience: text(2048).describe('Audience of its tokens.'),
      clientId: text(512).describe('Client id.'),
      clientSecretEnv,
      resource: maybe(2048, 'URL of the endpoint as clients see it.'),
      scopes,
      jwksUrl: maybe(2048, 'URL of its keys.'),
      introspectionUrl: maybe(2048, 'URL that tells what an opaque token is worth.'),
      caBundlePath: maybe(1024, 'File with certificates to trust.'),
      insecureAllowHttp: z.boolean().optional().describe('Allow plain http.'),
      jwksAllowPrivateIp: z.boolean().optional().describe('Allow keys at a private address.'),
      protectedResourceAllowPrivateIp: z.boolean().optional().describe('Allow a resource URL at a private address.'),
    })
    .optional()
    .describe('The issuer.'),
  authz: z
    .strictObject({
      type: filled(63).describe('Kind of the policies.'),
      policies: list(filled(32_768), 256).optional().describe('Cedar policies.'),
      entitiesJson: maybe(32_768, 'Cedar entities as JSON.'),
      groupClaimName: maybe(253, 'Claim that holds the groups.'),
      groupEntityType: maybe(63, 'Cedar type of groups.'),
      roleClaimName: maybe(253, 'Claim that holds the roles.'),
      primaryUpstreamProvider: maybe(63, 'Upstream provider whose claims policies see.'),
    })
    .optional()
    .describe('Policies over what callers may do.'),
})

const provider = maybe(63, 'Upstream provider whose token is used.')

const Strategy = z.strictObject({
  type: filled(63).describe('How the server is authenticated to.'),
  headerInjection: z
    .strictObject({
      headerName: filled(255).describe('Name of the header.'),
      headerValue: maybe(4096, 'Its value.'),
      headerValueEnv: maybe(253, env),
    })
    .optional()
    .describe('A fixed header.'),
  tokenExchange: z
    .strictObject({
      tokenUrl: HttpUrl.describe('URL of the token endpoint.'),
      audience: maybe(2048, 'Audience of the token to get.'),
      clientId,
      clientSecret,
      clientSecretEnv,
      scopes,
      subjectProviderName: provider,
      subjectTokenType: maybe(128, 'Type of the token that is exchanged.'),
    })
    .optional()
    .describe("The caller's token, exchanged."),
  upstreamInject: z
    .strictObject({ providerName: filled(63).describe('Name of the upstream provider.') })
    .optional()
    .describe('The token of an upstream provider.'),
  awsSts: z
    .strictObject({
      region: filled(63).describe('AWS region.'),
      service: maybe(63, 'Name of the service in signatures.'),
      roleClaim: maybe(253, 'Claim that mappings look at.'),
      roleMappings: list(
        z.strictObject({
          claim: maybe(253, 'Value that the claim must have.'),
          matcher: maybe(4096, 'CEL expression over the claims.'),
          priority: whole(0).optional().describe('Lower ones come first.'),
          roleArn: filled(2048).describe('The role then.'),
        }),
        64,
      )
        .optional()
        .describe('Which callers get which role.'),
      fallbackRoleArn: maybe(2048, 'The role of all others.'),
      sessionDuration: whole(0, 43_200).optional().describe('Seconds that credentials are valid.'),
      sessionNameClaim: maybe(253, 'Claim that names the session.'),
      subjectProviderName: provider,
    })
    .optional()
    .describe('Credentials of an AWS role.'),
  obo: z
    .strictObject({
      tokenUrl: HttpUrl.describe('URL of the token endpoint.'),
      audience: maybe(2048, 'Audience of the token to get.'),
      clientId,
      clientSecret,
      clientSecretEnv,
      scopes,
      subjectTokenProviderName: provider,
      cacheSkewSeconds: whole(0).optional().describe('How long before its end a token is replaced.'),
    })
    .optional()
    .describe('A token on behalf of the caller.'),
  xaa: z
    .strictObject({
      idpTokenUrl: HttpUrl.describe('Token endpoint of the identity provider.'),
      idpClientId: maybe(512, 'Client id there.'),
      idpClientSecret: maybe(4096, 'Client secret there.'),
      idpClientSecretEnv: maybe(253, env),
      targetTokenUrl: HttpUrl.describe("Token endpoint of the server's own authorization server."),
      targetAudience: filled(2048).describe('Audience of the assertion for it.'),
      targetResource: maybe(2048, 'Resource to ask for.'),
      targetClientId: maybe(512, 'Client id there.'),
      targetClientSecret: maybe(4096, 'Client secret there.'),
      targetClientSecretEnv: maybe(253, env),
      insecureTargetTokenUrl: z.boolean().optional().describe('Allow plain http there.'),
      scopes,
      subjectProviderName: provider,
      subjectTokenType: maybe(128, 'Type of the token that is exchanged.'),
    })
    .optional()
    .describe('A token through an identity assertion.'),
})

export const OutgoingAuth = z.strictObject({
  source: filled(63).describe('Where credentials come from.'),
  default: Strategy.optional().describe('For servers that backends does not name.'),
  backends: map(Strategy, 1024).optional().describe('By the name of the server.'),
})
