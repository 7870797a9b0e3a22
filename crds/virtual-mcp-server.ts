// VirtualMCPServer: one endpoint that aggregates servers, given as a group (`groupRef`) or one by one (`backends`,
// which wins); with neither it is empty. Unlike in ToolHive, `groupRef` and `incomingAuth` are optional: without the latter the edge's default issuer guards it.
import * as z from 'zod'
import { Aggregation } from './aggregation.ts'
import { AuthzConfig } from './authz.ts'
import { filled, inCluster, list, map, Opaque, Port, text } from './bound.ts'
import { PassthroughHeaders } from './header.ts'
import { Name, Namespace } from './name.ts'
import { Operational } from './operational.ts'
import { ImagePullSecrets, Replicas, SessionAffinity, SessionStorage } from './pod.ts'
import { RateLimiting } from './rate-limit.ts'
import { NameRef, OIDCConfigRef, TelemetryConfigRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { distinct, notBoth, oneOf, rule, textOf } from './rule.ts'
import { HttpUrl } from './url.ts'

const named = 'name an MCPOIDCConfig, or remove incomingAuth to use the default issuer'

const IncomingAuth = rule(
  notBoth(
    z.strictObject({
      type: z.enum(['oidc', 'anonymous']).describe('Who may call: users of an issuer, or everybody.'),
      oidcConfigRef: OIDCConfigRef.optional().describe('The MCPOIDCConfig whose users may call.'),
      authzConfig: AuthzConfig.optional().describe('Cedar policies over what callers may do.'),
      authzConfigRef: NameRef.optional().describe('An MCPAuthzConfig with policies over what callers may do.'),
    }),
    'authzConfigRef',
    'authzConfig',
  ),
  (fields, refuse) => {
    if (fields.type === 'oidc' && fields.oidcConfigRef === undefined) {
      refuse(['oidcConfigRef'], `is required when type is oidc: ${named}`)
    }
    if (fields.type === 'anonymous' && fields.oidcConfigRef !== undefined) {
      refuse(['oidcConfigRef'], 'does not go with type: anonymous; remove it or change type to oidc')
    }
  },
  {
    rule: "self.type != 'oidc' || has(self.oidcConfigRef)",
    message: `oidcConfigRef is required when type is oidc: ${named}`,
  },
  {
    rule: "self.type != 'anonymous' || !has(self.oidcConfigRef)",
    message: 'oidcConfigRef does not go with type: anonymous; remove it or change type to oidc',
    fieldPath: '.oidcConfigRef',
  },
)

const BackendAuth = oneOf(
  z.strictObject({
    type: z.enum(['discovered', 'externalAuthConfigRef']).describe('Where the credentials come from.'),
    externalAuthConfigRef: NameRef.optional().describe('The MCPExternalAuthConfig to use.'),
  }),
  'type',
  { discovered: null, externalAuthConfigRef: 'externalAuthConfigRef' },
)

/** A server written into the configuration instead of a resource of its own. */
const StaticBackend = z.strictObject({
  name: filled(253),
  url: HttpUrl,
  transport: z.enum(['sse', 'streamable-http']),
  type: z.enum(['entry', '']).optional(),
  caBundlePath: text(1024).optional(),
  metadata: map(text(2048)).optional(),
})

const Config = z.strictObject({
  name: text(253).optional(),
  aggregation: Aggregation.prefault({}),
  operational: Operational.optional(),
  rateLimiting: RateLimiting.optional(),
  backends: list(StaticBackend, 1024).optional(),
  compositeTools: list(Opaque, 256).optional(),
  compositeToolRefs: list(NameRef, 256).optional(),
  passthroughHeaders: PassthroughHeaders.optional(),
  audit: Opaque.optional(),
  codeMode: Opaque.optional(),
  optimizer: Opaque.optional(),
  telemetry: Opaque.optional(),
  sessionStorage: Opaque.optional(),
  incomingAuth: Opaque.optional(),
  outgoingAuth: Opaque.optional(),
  metadata: map(text(2048)).optional(),
})

export const VirtualMCPServer = resource(
  toolhive,
  'VirtualMCPServer',
  z
    .strictObject({
      groupRef: NameRef.optional(),
      /** Servers by name; a server of another namespace must consent by its annotation waggle.dev/allow-virtual-servers-from. */
      backends: distinct(
        list(z.strictObject({ name: Name, namespace: Namespace.optional() }), 1024),
        'name',
        (item) => `${textOf(item.namespace)}/${textOf(item.name)}`,
      ).optional(),
      incomingAuth: IncomingAuth.optional(),
      outgoingAuth: z
        .strictObject({
          source: z.enum(['discovered', 'inline']).default('discovered'),
          default: BackendAuth.optional(),
          backends: map(BackendAuth, 1024).optional(),
        })
        .optional(),
      config: Config.prefault({}),
      passthroughHeaders: PassthroughHeaders.optional(),
      authServerConfig: Opaque.optional(),
      embeddingServerRef: NameRef.optional(),
      telemetryConfigRef: TelemetryConfigRef.optional(),
      telemetry: Opaque.optional(),
      sessionStorage: SessionStorage.optional(),
      sessionAffinity: inCluster(SessionAffinity, 'ClientIP'),
      proxyPort: Port.optional(),
      replicas: Replicas.optional(),
      serviceAccount: text(253).optional(),
      serviceType: inCluster(z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']), 'ClusterIP'),
      imagePullSecrets: ImagePullSecrets.optional(),
      podTemplateSpec: Opaque.optional(),
    })
    .prefault({}),
)
export type VirtualMCPServer = z.infer<typeof VirtualMCPServer>
