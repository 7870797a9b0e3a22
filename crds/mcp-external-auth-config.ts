// MCPExternalAuthConfig: how a server is authenticated to. The edge serves unauthenticated, headerInjection and bearerToken; the
// other types are valid and reported as not available.
import * as z from 'zod'
import { filled, list, Opaque, text } from './bound.ts'
import { HeaderName } from './header.ts'
import { SecretKeyRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { oneOf } from './rule.ts'
import { HttpUrl } from './url.ts'

const TokenExchange = z.strictObject({
  tokenUrl: HttpUrl,
  audience: filled(2048),
  clientId: text(512).optional(),
  clientSecretRef: SecretKeyRef.optional(),
  scopes: list(filled(256), 64).optional(),
  externalTokenHeaderName: HeaderName.optional(),
  subjectProviderName: text(63).optional(),
  subjectTokenType: text(128)
    .regex(/^(access_token|id_token|jwt|urn:ietf:params:oauth:token-type:(access_token|id_token|jwt))?$/, {
      error: 'must be access_token, id_token or jwt, or one of them as an urn:ietf:params:oauth:token-type',
    })
    .optional(),
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
      type: z.enum([
        'unauthenticated',
        'headerInjection',
        'bearerToken',
        'tokenExchange',
        'embeddedAuthServer',
        'awsSts',
        'upstreamInject',
        'obo',
        'xaa',
      ]),
      headerInjection: z.strictObject({ headerName: HeaderName, valueSecretRef: SecretKeyRef }).optional(),
      bearerToken: z.strictObject({ tokenSecretRef: SecretKeyRef }).optional(),
      tokenExchange: TokenExchange.optional(),
      upstreamInject: z.strictObject({ providerName: filled(63) }).optional(),
      embeddedAuthServer: Opaque.optional(),
      awsSts: Opaque.optional(),
      obo: Opaque.optional(),
      xaa: Opaque.optional(),
    }),
    'type',
    parts,
  ),
)
export type MCPExternalAuthConfig = z.infer<typeof MCPExternalAuthConfig>
