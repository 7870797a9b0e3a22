// Issuers besides the embedded authorization server whose tokens it exchanges.
import * as z from 'zod'
import { filled, inCluster, list, text } from './bound.ts'
import { Duration } from './duration.ts'

const Resource = filled(2048).regex(/^https?:\/\/[!-~]+$/, { error: 'must be an http or https URL' })

const Binding = z.strictObject({
  subject: filled(256)
    .regex(/^[^*]+$/, { error: 'must be one subject, without *' })
    .describe('Subject of the assertion.'),
  allowedResources: list(Resource, 50).min(1).describe('Resources that it may ask for.'),
})

const JwtBearer = z.strictObject({
  maxAssertionAge: Duration.describe('How old an assertion may be.'),
  acceptedAudiences: list(Resource, 50).optional().describe('Audiences of assertions.'),
  subjectBindings: list(Binding, 50).min(1).describe('Who may ask for what.'),
})

export const TrustedIssuer = z.strictObject({
  issuerUrl: filled(2048).describe('URL of the issuer, exactly as in its tokens.'),
  jwksUrl: text(2048).optional().describe('URL of its keys; found by discovery when left out.'),
  expectedAudience: filled(2048).optional().describe('Audience that its tokens must have.'),
  allowedDelegateClients: list(filled(256), 50).min(1).optional().describe('Clients that may present its tokens.'),
  allowedActors: list(filled(256), 50).optional().describe('Who may act for others.'),
  actorClaim: text(64).optional().describe('Claim that names who acts.'),
  actorMatcher: text(4096).optional().describe('CEL expression that says who may act.'),
  allowMayAct: inCluster(z.boolean(), false).describe('Believe its may_act claims.'),
  jwtBearerGrant: JwtBearer.optional().describe('Assertions as grants (RFC 7523).'),
  allowPrivateIPs: z.boolean().optional().describe('Allow it at a private address.'),
  insecureAllowHTTP: z.boolean().optional().describe('Allow plain http; for development only.'),
})
