// References from one object to another of the same namespace.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { Name } from './name.ts'
import { HttpUrl } from './url.ts'

/** `{name}` of another resource. */
export const NameRef = z.strictObject({ name: Name })

/** One value of a secret: a Kubernetes Secret in a cluster, `waggle secret set` at the edge. */
export const SecretKeyRef = z.strictObject({
  name: Name,
  key: filled(253).regex(/^[-._a-zA-Z0-9]+$/, { error: 'must consist of letters, digits, "-", "_" and "."' }),
})

/** A CA bundle in a ConfigMap of a cluster. */
export const CABundleRef = z.strictObject({
  configMapRef: z
    .strictObject({ key: filled(253), name: text(253).default(''), optional: z.boolean().optional() })
    .optional(),
})

/** The MCPOIDCConfig that guards an endpoint. Without `audience` it is the URL of the endpoint. */
export const OIDCConfigRef = z.strictObject({
  name: Name,
  audience: filled(2048).optional(),
  resourceUrl: HttpUrl.optional(),
  scopes: list(
    filled(256).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, {
      error: 'must be an OAuth scope: no spaces, quotes or backslashes',
    }),
    64,
  ).optional(),
})

/** Where OpenTelemetry settings of a cluster live. */
export const TelemetryConfigRef = z.strictObject({ name: Name, serviceName: text(253).optional() })

/** The embedded authorization server of a cluster. */
export const AuthServerRef = z.strictObject({
  kind: z.enum(['MCPExternalAuthConfig']).default('MCPExternalAuthConfig'),
  name: Name,
})
