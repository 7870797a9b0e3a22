// MCPRemoteProxy: a server that runs elsewhere, with an endpoint of its own that authenticates and audits.
import * as z from 'zod'
import { AuthzConfig } from './authz.ts'
import { inCluster, Opaque, Port, text } from './bound.ts'
import { HeaderForward } from './header.ts'
import { Replicas, ResourceOverrides, Resources, SessionAffinity, SessionStorage } from './pod.ts'
import { AuthServerRef, NameRef, OIDCConfigRef, TelemetryConfigRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { notBoth } from './rule.ts'
import { HttpUrl } from './url.ts'

export const MCPRemoteProxy = resource(
  toolhive,
  'MCPRemoteProxy',
  notBoth(
    z.strictObject({
      remoteUrl: HttpUrl,
      transport: z.enum(['sse', 'streamable-http']).default('streamable-http'),
      groupRef: NameRef.optional(),
      oidcConfigRef: OIDCConfigRef.optional(),
      externalAuthConfigRef: NameRef.optional(),
      headerForward: HeaderForward.optional(),
      toolConfigRef: NameRef.optional(),
      allowPrivateEndpoint: z.boolean().default(false),
      authzConfig: AuthzConfig.optional(),
      authzConfigRef: NameRef.optional(),
      authServerRef: AuthServerRef.optional(),
      audit: z.strictObject({ enabled: z.boolean().default(false) }).optional(),
      telemetryConfigRef: TelemetryConfigRef.optional(),
      telemetry: Opaque.optional(),
      sessionStorage: SessionStorage.optional(),
      sessionAffinity: inCluster(SessionAffinity, 'ClientIP'),
      proxyPort: inCluster(Port, 8080),
      endpointPrefix: text(512).optional(),
      trustProxyHeaders: inCluster(z.boolean(), false),
      replicas: Replicas.optional(),
      resources: Resources.optional(),
      resourceOverrides: ResourceOverrides.optional(),
      serviceAccount: text(253).optional(),
      podTemplateSpec: Opaque.optional(),
    }),
    'authzConfigRef',
    'authzConfig',
  ),
)
export type MCPRemoteProxy = z.infer<typeof MCPRemoteProxy>
