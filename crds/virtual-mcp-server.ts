// VirtualMCPServer: one endpoint that aggregates servers, given as a group (`groupRef`) or one by one (`backends`,
// which wins); with neither it is empty. Unlike in ToolHive, `groupRef` and `incomingAuth` are optional: without the latter the default
// issuer guards it.
import * as z from 'zod'
import { AuthzConfig } from './authz.ts'
import { inCluster, list, map, Opaque, Port, text } from './bound.ts'
import { EmbeddedAuthServer } from './embedded-auth-server.ts'
import { PassthroughHeaders } from './header.ts'
import { LegacyOIDC } from './legacy-oidc.ts'
import { Name, Namespace } from './name.ts'
import { ImagePullSecrets, Replicas, SessionAffinity, SessionStorage } from './pod.ts'
import { isTree } from './plain.ts'
import { NameRef, OIDCConfigRef, TelemetryConfigRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { distinct, notBoth, oneOf, rule, textOf } from './rule.ts'
import { LooseNameRef, moved, spelt } from './spelling.ts'
import { VirtualConfig } from './virtual-config.ts'

const named = 'name an MCPOIDCConfig, or remove incomingAuth to use the default issuer'

const IncomingAuth = rule(
  notBoth(
    spelt(
      z.strictObject({
        type: z.enum(['oidc', 'anonymous']).describe('Who may call: users of an issuer, or everybody.'),
        oidcConfigRef: OIDCConfigRef.optional().describe('The MCPOIDCConfig whose users may call.'),
        authzConfig: AuthzConfig.optional().describe('Cedar policies over what callers may do.'),
        authzConfigRef: NameRef.optional().describe('An MCPAuthzConfig with policies over what callers may do.'),
      }),
      { oidcConfig: LegacyOIDC },
    ),
    'authzConfigRef',
    'authzConfig',
  ),
  (fields, refuse) => {
    if (fields.type === 'oidc' && fields.oidcConfigRef === undefined && fields.oidcConfig === undefined) {
      refuse(['oidcConfigRef'], `is required when type is oidc: ${named}`)
    }
    if (fields.type === 'anonymous' && fields.oidcConfigRef !== undefined) {
      refuse(['oidcConfigRef'], 'does not go with type: anonymous; remove it or change type to oidc')
    }
  },
  {
    rule: "self.type != 'oidc' || has(self.oidcConfigRef) || has(self.oidcConfig)",
    message: `oidcConfigRef is required when type is oidc: ${named}`,
  },
  {
    rule: "self.type != 'anonymous' || !has(self.oidcConfigRef)",
    message: 'oidcConfigRef does not go with type: anonymous; remove it or change type to oidc',
    fieldPath: '.oidcConfigRef',
  },
)

const outgoingTypes = ['discovered', 'externalAuthConfigRef'] as const

const BackendAuth = spelt(
  oneOf(
    z.strictObject({
      type: z.enum(outgoingTypes).describe('Where the credentials come from.'),
      externalAuthConfigRef: NameRef.optional().describe('The MCPExternalAuthConfig to use.'),
    }),
    'type',
    {
      discovered: null,
      externalAuthConfigRef: 'externalAuthConfigRef',
      external_auth_config_ref: 'externalAuthConfigRef',
    },
  ),
  {
    type: z.enum([...outgoingTypes, 'external_auth_config_ref']).describe('Where the credentials come from.'),
  },
)

const OutgoingAuth = z.strictObject({
  source: z
    .enum(['discovered', 'inline'])
    .default('discovered')
    .describe("Whether servers' own settings count, or only those given here."),
  default: BackendAuth.optional().describe('For servers that backends does not name.'),
  backends: map(BackendAuth, 1024).optional().describe('By the name of the server.'),
})

const Backend = z.strictObject({
  name: Name.describe('Name of the server.'),
  namespace: Namespace.optional().describe(
    "Its namespace, if another; the server's owner must agree by the annotation waggle.dev/allow-virtual-servers-from.",
  ),
})

const Spec = spelt(
  z.strictObject({
    backends: distinct(list(Backend, 1024), 'name', (item) => `${textOf(item.namespace)}/${textOf(item.name)}`)
      .optional()
      .describe('The servers behind the endpoint, one by one; counts before groupRef.'),
    groupRef: NameRef.optional().describe('An MCPGroup whose servers are behind the endpoint: {name}.'),
    incomingAuth: IncomingAuth.optional().describe('Who may call; users of the default issuer when left out.'),
    outgoingAuth: OutgoingAuth.optional().describe('How servers are authenticated to.'),
    config: VirtualConfig.prefault({}).describe('How servers are made into one.'),
    passthroughHeaders: PassthroughHeaders.optional().describe(
      "Headers of callers' requests that go on to all servers.",
    ),
    authServerConfig: EmbeddedAuthServer.optional().describe('The embedded authorization server.'),
    embeddingServerRef: NameRef.optional().describe('An EmbeddingServer for the search over tools.'),
    telemetryConfigRef: TelemetryConfigRef.optional().describe('Where traces and metrics go: an MCPTelemetryConfig.'),
    telemetry: Opaque.optional().describe('Old form of telemetryConfigRef.'),
    sessionStorage: SessionStorage.optional().describe('Where sessions are kept; Redis with more than one replica.'),
    sessionAffinity: inCluster(SessionAffinity, 'ClientIP').describe('Whether a client keeps its pod.'),
    proxyPort: Port.optional().describe('Port of one more Service of the endpoint, mcp-<name>-proxy.'),
    replicas: Replicas.optional().describe('Number of pods; left to an autoscaler when left out.'),
    serviceAccount: text(253).optional().describe('ServiceAccount of the pods; one of their own when left out.'),
    serviceType: inCluster(z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']), 'ClusterIP').describe(
      'Type of the Service.',
    ),
    imagePullSecrets: ImagePullSecrets.optional().describe('Secrets for pulling the image.'),
    podTemplateSpec: Opaque.optional().describe(
      "Changes to the pods, merged by Kubernetes' rules; the container is vmcp.",
    ),
  }),
  {
    groupRef: LooseNameRef,
    aggregation: moved('config.aggregation'),
    compositeTools: moved('config.compositeTools'),
    compositeToolRefs: moved('config.compositeToolRefs'),
    operational: moved('config.operational'),
  },
)

const counted = 'with provider: redis is required with config.rateLimiting; calls are counted there'
const either = 'does not go with config.optimizer.embeddingProvider: openai; keep one of the two'

const Checked = rule(
  Spec,
  ({ config, sessionStorage: storage, embeddingServerRef }, refuse) => {
    if (!isTree(config)) return
    const { rateLimiting, optimizer } = config
    if (rateLimiting !== undefined && !(isTree(storage) && storage['provider'] === 'redis'))
      refuse(['sessionStorage'], counted)
    if (embeddingServerRef !== undefined && isTree(optimizer) && optimizer['embeddingProvider'] === 'openai')
      refuse(['embeddingServerRef'], either)
  },
  {
    rule: "!has(self.config) || !has(self.config.rateLimiting) || (has(self.sessionStorage) && self.sessionStorage.provider == 'redis')",
    message: `sessionStorage ${counted}`,
  },
  {
    rule: "!has(self.embeddingServerRef) || !has(self.config) || !has(self.config.optimizer) || !has(self.config.optimizer.embeddingProvider) || self.config.optimizer.embeddingProvider != 'openai'",
    message: `embeddingServerRef ${either}`,
    fieldPath: '.embeddingServerRef',
  },
)

export const VirtualMCPServer = resource(toolhive, 'VirtualMCPServer', Checked.prefault({}))
export type VirtualMCPServer = z.infer<typeof VirtualMCPServer>
