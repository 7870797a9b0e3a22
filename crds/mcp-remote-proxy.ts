// MCPRemoteProxy: a server that runs elsewhere, with an endpoint of its own that authenticates and audits.
import * as z from 'zod'
import { AuthzConfig } from './authz.ts'
import { filled, inCluster, list, Opaque, Port, text } from './bound.ts'
import { HeaderForward } from './header.ts'
import { Replicas, ResourceOverrides, Resources, SessionAffinity, SessionStorage } from './pod.ts'
import { LegacyOIDC } from './legacy-oidc.ts'
import { AuthServerRef, NameRef, OIDCConfigRef, TelemetryConfigRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { notBoth } from './rule.ts'
import { gone, LooseNameRef, old, requireOne, spelt } from './spelling.ts'
import { HttpUrl, PathPrefix } from './url.ts'

const remoteUrl = HttpUrl.describe('URL of the server.')

const Spec = spelt(
  z.strictObject({
    remoteUrl,
    transport: z.enum(['sse', 'streamable-http']).default('streamable-http').describe('What the server speaks.'),
    proxyPort: inCluster(Port, 8080).describe('Port of the endpoint.'),
    groupRef: NameRef.optional().describe('The MCPGroup that the server belongs to.'),
    oidcConfigRef: OIDCConfigRef.optional().describe('Who may call: users of an MCPOIDCConfig.'),
    externalAuthConfigRef: NameRef.optional().describe(
      'How the proxy authenticates to the server: an MCPExternalAuthConfig.',
    ),
    headerForward: HeaderForward.optional().describe('Headers to add to requests to the server.'),
    toolConfigRef: NameRef.optional().describe('An MCPToolConfig that hides, renames or describes tools.'),
    allowPrivateEndpoint: z.boolean().default(false).describe('Allow remoteUrl to be a private address.'),
    authzConfig: AuthzConfig.optional().describe('Cedar policies over what callers may do.'),
    authzConfigRef: NameRef.optional().describe('An MCPAuthzConfig with policies over what callers may do.'),
    authServerRef: AuthServerRef.optional().describe('The embedded authorization server to run beside the proxy.'),
    audit: z
      .strictObject({ enabled: z.boolean().default(false).describe('Log every request.') })
      .optional()
      .describe('The audit log.'),
    telemetryConfigRef: TelemetryConfigRef.optional().describe('Where traces and metrics go: an MCPTelemetryConfig.'),
    telemetry: Opaque.optional().describe('Old form of telemetryConfigRef.'),
    sessionStorage: SessionStorage.optional().describe('Where sessions are kept; Redis with more than one replica.'),
    sessionAffinity: inCluster(SessionAffinity, 'ClientIP').describe('Whether a client keeps its proxy.'),
    endpointPrefix: PathPrefix.optional().describe('Path that an ingress puts before the endpoint.'),
    trustProxyHeaders: inCluster(z.boolean(), false).describe('Believe the X-Forwarded headers of an ingress.'),
    replicas: Replicas.optional().describe('Number of proxies; left to an autoscaler when left out.'),
    resources: Resources.optional().describe('CPU and memory of the proxy.'),
    resourceOverrides: ResourceOverrides.optional().describe('Changes to the objects of the proxy.'),
    serviceAccount: text(253).optional().describe('ServiceAccount of the proxy; one of its own when left out.'),
    podTemplateSpec: Opaque.optional().describe(
      "Changes to the proxy's pods, merged by Kubernetes' rules; the container is toolhive.",
    ),
  }),
  {
    remoteUrl: remoteUrl.optional(),
    url: old(HttpUrl, 'remoteUrl'),
    remoteURL: old(HttpUrl, 'remoteUrl'),
    groupRef: LooseNameRef,
    port: old(Port, 'proxyPort'),
    targetPort: gone(Port, 'remove it'),
    tools: gone(list(filled(256), 1024), 'write an MCPToolConfig with toolsFilter and name it in toolConfigRef'),
    oidcConfig: LegacyOIDC,
  },
  (schema) => requireOne(schema, 'remoteUrl', 'url', 'remoteURL'),
)

export const MCPRemoteProxy = resource(toolhive, 'MCPRemoteProxy', notBoth(Spec, 'authzConfigRef', 'authzConfig'))
export type MCPRemoteProxy = z.infer<typeof MCPRemoteProxy>
