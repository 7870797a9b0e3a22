// MCPServer: a server that the operator runs in the cluster, behind a proxy that authenticates, limits and audits.
// `secrets` is no list map: its key would be the variable's name, which may be left out, and the name of the Secret (ToolHive's key)
// would forbid two values from one Secret. A rule over an atomic list says what is meant.
import * as z from 'zod'
import { AuthzConfig } from './authz.ts'
import { filled, list, Opaque, Port, text } from './bound.ts'
import { Env, Replicas, ResourceOverrides, Resources, SessionAffinity, SessionStorage } from './pod.ts'
import { limitsUsers, RateLimiting } from './rate-limit.ts'
import { LegacyOIDC } from './legacy-oidc.ts'
import { AuthServerRef, NameRef, OIDCConfigRef, SecretKeyRef, TelemetryConfigRef } from './reference.ts'
import { resource, toolhive } from './resource.ts'
import { gone, LooseNameRef, old, spelt } from './spelling.ts'
import { PathPrefix } from './url.ts'
import { keyed, notBoth, rule, textOf, unique } from './rule.ts'

const Secret = z.strictObject({
  name: SecretKeyRef.shape.name,
  key: SecretKeyRef.shape.key,
  targetEnvName: filled(253).optional().describe('Name of the environment variable; the key when left out.'),
})

/** The environment variable that an item of `spec.secrets` becomes. */
export function envName(secret: z.infer<typeof Secret>): string {
  return secret.targetEnvName ?? secret.key
}

const celName = (item: string) => `(has(${item}.targetEnvName) ? ${item}.targetEnvName : ${item}.key)`

const Secrets = unique(
  list(Secret, 64).meta({ 'x-kubernetes-list-type': 'atomic' }),
  'targetEnvName',
  (item) => textOf(item.targetEnvName ?? item.key),
  {
    rule: `self.all(a, self.exists_one(b, ${celName('a')} == ${celName('b')}))`,
    message: 'two secrets give the same environment variable; set another targetEnvName',
  },
)

const Volume = z.strictObject({
  name: filled(63).describe('Name of the volume.'),
  hostPath: filled(1024).describe('Path on the node.'),
  mountPath: filled(1024).describe('Path in the container.'),
  readOnly: z.boolean().default(false).describe('Mount it read-only.'),
})

const PermissionProfile = z.strictObject({
  type: z.enum(['builtin', 'configmap']).default('builtin').describe('Where the profile comes from.'),
  name: filled(253).describe('Name of the profile or of the ConfigMap.'),
  key: text(253).optional().describe('Key in the ConfigMap.'),
})

const Spec = spelt(
  z.strictObject({
    image: filled(1024).describe('Container image of the server.'),
    transport: z
      .enum(['stdio', 'streamable-http', 'sse'])
      .default('stdio')
      .describe('How the server is spoken to: over its stdin and stdout, or over HTTP on mcpPort.'),
    mcpPort: Port.optional().describe('Port that the server listens on; 8080 when left out.'),
    proxyPort: Port.default(8080).describe('Port of the endpoint.'),
    proxyMode: z
      .enum(['sse', 'streamable-http'])
      .default('streamable-http')
      .describe('What clients speak to the endpoint of a stdio server.'),
    args: list(text(8192)).optional().describe('Arguments for the container.'),
    env: Env.optional().describe('Environment variables of the server.'),
    secrets: Secrets.optional().describe(
      'Values of Secrets as environment variables of the server; the proxy never sees them.',
    ),
    resources: Resources.optional().describe('CPU and memory of the server.'),
    replicas: Replicas.optional().describe('Number of proxies; left to an autoscaler when left out.'),
    backendReplicas: Replicas.optional().describe('Number of server pods; left to an autoscaler when left out.'),
    groupRef: NameRef.optional().describe('The MCPGroup that the server belongs to.'),
    oidcConfigRef: OIDCConfigRef.optional().describe('Who may call: users of an MCPOIDCConfig.'),
    externalAuthConfigRef: NameRef.optional().describe(
      'How the proxy authenticates to the server: an MCPExternalAuthConfig.',
    ),
    authServerRef: AuthServerRef.optional().describe('The embedded authorization server to run beside the proxy.'),
    authzConfig: AuthzConfig.optional().describe('Cedar policies over what callers may do.'),
    authzConfigRef: NameRef.optional().describe('An MCPAuthzConfig with policies over what callers may do.'),
    toolConfigRef: NameRef.optional().describe('An MCPToolConfig that hides, renames or describes tools.'),
    webhookConfigRef: NameRef.optional().describe('An MCPWebhookConfig with webhooks that see every request.'),
    telemetryConfigRef: TelemetryConfigRef.optional().describe('Where traces and metrics go: an MCPTelemetryConfig.'),
    audit: z
      .strictObject({ enabled: z.boolean().default(false).describe('Log every request.') })
      .optional()
      .describe('The audit log.'),
    rateLimiting: RateLimiting.optional().describe(
      'How many tool calls are let through; needs sessionStorage in Redis.',
    ),
    sessionStorage: SessionStorage.optional().describe('Where sessions are kept; Redis with more than one replica.'),
    sessionAffinity: SessionAffinity.default('ClientIP').describe('Whether a client keeps its proxy.'),
    endpointPrefix: PathPrefix.optional().describe('Path that an ingress puts before the endpoint.'),
    trustProxyHeaders: z.boolean().default(false).describe('Believe the X-Forwarded headers of an ingress.'),
    serviceAccount: text(253)
      .optional()
      .describe("ServiceAccount of the server's pods; one of their own when left out."),
    permissionProfile: PermissionProfile.optional().describe('Profile of what the server may reach.'),
    volumes: keyed(list(Volume, 64), 'name').optional().describe('Directories of the node to mount.'),
    podTemplateSpec: Opaque.optional().describe(
      "Changes to the server's pods, merged by Kubernetes' rules; the container is mcp.",
    ),
    resourceOverrides: ResourceOverrides.optional().describe('Changes to the objects of the proxy.'),
  }),
  {
    groupRef: LooseNameRef,
    port: old(Port, 'proxyPort'),
    targetPort: old(Port, 'mcpPort'),
    tools: gone(list(filled(256), 1024), 'write an MCPToolConfig with toolsFilter and name it in toolConfigRef'),
    oidcConfig: LegacyOIDC,
    telemetry: gone(Opaque, 'write an MCPTelemetryConfig and name it in telemetryConfigRef'),
  },
)

const limits = "has(self.sessionStorage) && self.sessionStorage.provider == 'redis'"
const perUser =
  '!has(self.rateLimiting.perUser) && !(has(self.rateLimiting.tools) && self.rateLimiting.tools.exists(t, has(t.perUser)))'

const Limited = rule(
  Spec,
  (fields, refuse) => {
    const limiting = RateLimiting.safeParse(fields.rateLimiting)
    if (!limiting.success) return
    const storage = SessionStorage.safeParse(fields.sessionStorage)
    if (storage.data?.provider !== 'redis') {
      refuse(['sessionStorage'], 'is required with rateLimiting, with provider: redis, where calls are counted')
    }
    if (limitsUsers(limiting.data) && !identifies(fields)) {
      refuse(['oidcConfigRef'], 'is required with limits per user, or externalAuthConfigRef')
    }
  },
  {
    rule: `!has(self.rateLimiting) || (${limits})`,
    message: 'sessionStorage with provider: redis is required with rateLimiting; calls are counted there',
  },
  {
    rule: `!has(self.rateLimiting) || (${perUser}) || has(self.oidcConfigRef) || has(self.oidcConfig) || has(self.externalAuthConfigRef)`,
    message: 'oidcConfigRef or externalAuthConfigRef is required with limits per user',
  },
)

function identifies(fields: Readonly<Record<string, unknown>>): boolean {
  return ['oidcConfigRef', 'oidcConfig', 'externalAuthConfigRef'].some((field) => fields[field] !== undefined)
}

export const MCPServer = resource(toolhive, 'MCPServer', notBoth(Limited, 'authzConfigRef', 'authzConfig'))
export type MCPServer = z.infer<typeof MCPServer>
