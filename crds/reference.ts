// References from one object to another of the same namespace.
import * as z from 'zod'
import { filled, list, text } from './bound.ts'
import { Name } from './name.ts'
import { HttpUrl } from './url.ts'

/** `{name}` of another resource. */
export const NameRef = z.strictObject({ name: Name.describe('Name of the resource.') })

/** One value of a secret: a Kubernetes Secret in a cluster, `waggle secret set` at the edge. */
export const SecretKeyRef = z.strictObject({
  name: Name.describe('Name of the Secret.'),
  key: filled(253)
    .regex(/^[-._a-zA-Z0-9]+$/, { error: 'must consist of letters, digits, "-", "_" and "."' })
    .describe('Key in the Secret.'),
})

/** A CA bundle in a ConfigMap of a cluster. */
export const CABundleRef = z.strictObject({
  configMapRef: z
    .strictObject({
      key: filled(253).describe('Key in the ConfigMap.'),
      name: text(253).default('').describe('Name of the ConfigMap.'),
      optional: z.boolean().optional().describe('Go on without the bundle when the ConfigMap is missing.'),
    })
    .optional()
    .meta({ 'x-kubernetes-map-type': 'atomic' })
    .describe('A key of a ConfigMap that holds certificates as PEM.'),
})

/** An OAuth scope. */
export const Scope = filled(256).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, {
  error: 'must be an OAuth scope: no spaces, quotes or backslashes',
})

/** The MCPOIDCConfig that guards an endpoint. Without `audience` it is the URL of the endpoint. */
export const OIDCConfigRef = z.strictObject({
  name: Name.describe('Name of the MCPOIDCConfig.'),
  audience: filled(2048)
    .optional()
    .describe('Audience that tokens must have; must differ between servers. The URL of the endpoint when left out.'),
  resourceUrl: HttpUrl.optional().describe('URL of the endpoint as clients see it, announced as the OAuth resource.'),
  scopes: list(Scope, 64).optional().describe('Scopes announced to clients as those they may ask for.'),
})

/** Where OpenTelemetry settings of a cluster live. */
export const TelemetryConfigRef = z.strictObject({
  name: Name.describe('Name of the MCPTelemetryConfig.'),
  serviceName: text(253).optional().describe('service.name of the telemetry; the name of the resource when left out.'),
})

/** The embedded authorization server of a cluster. */
export const AuthServerRef = z.strictObject({
  kind: z.enum(['MCPExternalAuthConfig']).default('MCPExternalAuthConfig').describe('Kind of the resource.'),
  name: Name.describe('Name of the MCPExternalAuthConfig, whose type is embeddedAuthServer.'),
})
